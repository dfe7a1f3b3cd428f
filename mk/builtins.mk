# mk/builtins.mk: bash builtins: the same sources as a shared object for `enable -f`.

BASH_CPPFLAGS := $(shell pkg-config --cflags bash 2>/dev/null)
BASH_HOST = $(wildcard lib/host_bash*.c)
PIC = $(patsubst %.c,$(BUILD)/pic/%.o,$(BASH_HOST) $(LIB) $(APPLETS))
ifneq ($(BASH_CPPFLAGS),)
builtins: $(BUILD)/ipcbox.so
else
builtins:
	@echo "ipcbox.so: not built, bash's headers are not here (bash-builtins)"
endif

# A shell that is not built with a sanitizer cannot load what is.
PLAIN = $(filter-out -fsanitize=% -fno-sanitize%,$(1))
$(BUILD)/ipcbox.so: $(PIC)
	@echo "ipcbox.so: linking ($(HOSTCC))"
	@$(HOSTCC) -shared $(call PLAIN,$(CFLAGS) $(LDFLAGS)) -o $@ $(PIC)

$(BUILD)/pic/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(HOSTCC) $(COMMON) -std=gnu17 $(WARN) $(call PLAIN,$(CFLAGS)) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<
$(BASH_HOST:%.c=$(BUILD)/pic/%.o): COMMON += -I$(BUILD)/pic $(subst -I,-isystem ,$(BASH_CPPFLAGS))
$(BUILD)/pic/lib/host_bash.o: $(BUILD)/pic/builtins.inc
$(BUILD)/pic/builtins.inc: $(BUILD)/flags $(filter applets/ipc-%,$(APPLETS))
	@mkdir -p $(@D)
	@for n in $(NAMES); do echo "BUILTIN(\"$$n\", $$(echo $$n | tr - _))"; done >$@

.PHONY: builtins
