# tests/contract/rules.mk, part of the Makefile: the contract test, another host of the same objects. The functions that
# it can refuse are those that refuse.c wraps.
WRAPPED = $(sort $(shell sed -nE 's/^(MEMORY|CALL|VARIADIC|WRAP).(MEMORY, |CALLS, )?[A-Za-z_ *]+, ([a-z_0-9]+),.*/\3/p; \
	s/.*__real_([a-z_0-9]+).*;$$/\1/p' tests/contract/refuse.c))
comma = ,
$(BUILD)/contract: $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/contract/*.c))) $(PARTS)
	@$(LINKIT) $(addprefix -Wl$(comma)--wrap=,$(WRAPPED)) -o $@ $^ $(LDLIBS) $(LDLIBS_TARGET)
