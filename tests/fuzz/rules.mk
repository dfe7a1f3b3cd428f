# tests/fuzz/rules.mk, part of the Makefile: the fuzz targets, which tests/fuzz/run asks for: the same objects
# with libFuzzer's main.
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/lib/host.o $(PARTS)
	@mkdir -p $(@D) && $(LINKIT) -fsanitize=fuzzer $(WRAP_$*) -o $@ $^ $(LDLIBS) $(LDLIBS_TARGET)
WRAP_proc = -Wl,--wrap=openat
WRAP_mapped = -Wl,--wrap=opendir
.PRECIOUS: $(BUILD)/obj/tests/fuzz/%.o

# What parses foreign input, fed by libFuzzer: TIME seconds a target, F="args num" for some.
fuzz:
	@TIME="$(TIME)" tests/fuzz/run $(BUILD)-fuzz $(F)
