# mk/tests.mk: the tests, and what else is checked.

# Another host of the same objects: the unit tests of lib/.
$(BUILD)/unit: $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/unit/*.c))) $(PARTS)
	@$(LINKIT) -o $@ $^ $(LDLIBS) $(LDLIBS_TARGET)

include $(wildcard tests/*/rules.mk)

# What the suite runs, so that it can be built with -j before.
check-build: all $(BUILD)/contract $(BUILD)/unit builtins

# The applets' tests; bats, and python3, are fetched into $(BUILD)/tools where they are missing.
check: check-build
	@tests/run $(if $(V),-v) $(BUILD) $(T)

# The applets' tests once more, with the applets as builtins of the tests' shell, but for those
# that have next to nothing that runs there.
BUILTIN_TESTS = $(filter-out tests/ipc-bench.bats tests/ipc-door.bats,$(sort $(wildcard tests/ipc-*.bats)))
check-builtins: all builtins
	@if [ -e $(BUILD)/ipcbox.so ]; then IPCBOX_BUILTINS=1 tests/run $(if $(V),-v) $(BUILD) $(BUILTIN_TESTS); fi

# The same while the kernel refuses system calls: CALLS="CALL,..." for others than those of old container profiles.
check-refused: check-build
	@CALLS="$(CALLS)" tests/security/refused $(BUILD) $(T)

# Everything that the tests can use, installed on this machine: see tests/packages.
setup:
	@tests/setup

# All there is, for hours; what is checked for each commit is .ci/run.
everything:
	@.ci/run --all

# Every way of linking, each compiler; all are tried, any failure counts.
check-all:
	@tests/check-all $(MAKE) $(BUILD)

SANITIZE = -fsanitize=address,undefined
sanitize:
	@T="$(T)" tests/sanitize $(MAKE) --no-print-directory check LINK=dynamic BUILD=$(BUILD)-asan \
		CFLAGS="-O1 -g $(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer" LDFLAGS="$(SANITIZE)"

# T= some bats files only, F= of the fault matrix; tests/coverage says where it is told what was
# not run.
coverage:
	@T="$(T)" F="$(F)" V="$(V)" tests/coverage $(BUILD)-cov $(MAKE) --no-print-directory

lint:
	@tests/lint $(BUILD)

bench: all builtins
	@IPCBOX_BUILD=$(abspath $(BUILD)) BENCH_CC="$(CC)" tests/bench/run $(B)

# Longer than check: kills at random (N of them), and the models (spin).
N = 1000
torture: all
	@tests/torture/run $(abspath $(BUILD)) $(N)
model:
	@tests/model/run
# Every verb while the kernel refuses: F="-a ipc-ring" for some, F=-q for a short matrix.
faults: all
	@IPCBOX_BUILD=$(abspath $(BUILD)) tests/faults/run $(F)

demo: all
	@PATH="$(abspath $(BUILD))/bin:$$PATH" tests/demo

.PHONY: check check-build check-builtins check-refused setup everything check-all sanitize coverage fuzz lint bench torture model faults demo
