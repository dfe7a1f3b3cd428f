# ipcbox: one binary, many names. `make`, `make check`, `make demo`, `make install`.
#
#   LINK=musl|static|dynamic   force the way of linking (default: the first that works here)
#   CC=clang BUILD=build-x     another compiler, another place
#   PREFIX= DESTDIR=           where make install puts things
#   T=tests/x.bats V=1         check: only these files; say more (time per file, skipped tests)

VERSION = 0.1
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
WARN = -Wall -Wextra -Wshadow -Wconversion
CFLAGS ?= -O2 -g

include mk/target.mk
ifneq ($(LINK),dynamic)
# No relocations to do at start, and as few pages to touch as possible.
CFLAGS_LINK = -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
LIBC = -lc
LDFLAGS_LINK = -static -Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none
endif

# What is built says nothing of where it was built (compilers believe $PWD).
export PWD := $(CURDIR)
# Only the command line says these: the environment may use such words for something else, and so may the tests.
$(foreach v,T V F B,$(if $(filter environment,$(origin $v)),$(eval override $v :=)))
unexport T V F B
MAP = '-ffile-prefix-map=$(CURDIR)=.' '-ffile-prefix-map=$(BUILD)/=build/'
COMMON = $(MAP) -DSYSTEM_$(SYSTEM_LIBC) $(WIDE) -Ilib -I. -DIPCBOX_VERSION='"$(VERSION)"' $(CPPFLAGS)
ALL_CPPFLAGS = $(COMMON) $(CPPFLAGS_LINK)
ALL_CFLAGS = -std=gnu17 $(WARN) $(CFLAGS_LINK) $(CFLAGS)
COMPILE = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP
LINKIT = $(CC) $(ALL_CFLAGS) $(LDFLAGS_LINK) $(LDFLAGS)

# Sorted, since the order of the directory or the locale is not to be the order of the code.
LIB = $(filter-out lib/host_%.c,$(sort $(wildcard lib/*.c)))
APPLETS = $(sort $(wildcard applets/*.c applets/*/*.c))
# The applets' names are their files' (or folders') names.
NAMES := $(sort $(patsubst applets/%/,%,$(sort $(dir $(wildcard applets/*/*.c)))) \
	$(patsubst applets/%.c,%,$(wildcard applets/ipc-*.c)))
PARTS = $(patsubst %.c,$(BUILD)/obj/%.o,$(LIB) $(APPLETS))
OBJ = $(BUILD)/obj/main.o $(PARTS)
# What most calls run lies close together, with what it needs of the C library: few pages to map.
HOT = $(patsubst %,$(BUILD)/obj/%.o,main $(addprefix lib/,args call fd futex host mapped num object out shared std wait))

all: $(BUILD)/ipcbox $(BUILD)/bin

$(BUILD)/ipcbox: $(OBJ)
	@echo "ipcbox: linking with $(LINK) ($(CC))"
	@$(LINKIT) -o $@ $(HOT) $(LIBC) $(filter-out $(HOT),$(OBJ)) $(LDLIBS) $(LDLIBS_TARGET)

$(BUILD)/bin: $(BUILD)/ipcbox
	@rm -rf $@ && mkdir -p $@
	@for n in ipcbox $(NAMES); do ln -s ../ipcbox $@/$$n || exit; done

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(KERNEL_HEADERS)
	@mkdir -p $(@D)
	@echo "  cc $<"; $(COMPILE) -c -o $@ $<

# Other flags, other objects.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(COMPILE) $(LINKIT))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(COMPILE) $(LINKIT))' >$@

# musl has no kernel headers of its own, and glibc's must not be seen.
$(BUILD)/include/linux:
	@mkdir -p $(BUILD)/include
	@for d in linux asm asm-generic; do \
		for p in /usr/include/$$d /usr/include/$$($(HOSTCC) -print-multiarch)/$$d; do \
			if [ -d $$p ]; then ln -sfn $$p $(BUILD)/include/$$d; fi; done; done

# ---- completions: generated from the records, committed

completions: all
	completions/gen $(BUILD)/ipcbox completions .

# ---- the rest: tests, bash builtins, installation

include $(filter-out mk/target.mk,$(sort $(wildcard mk/*.mk)))

clean:
	rm -rf $(BUILD) $(BUILD)-musl $(BUILD)-static $(BUILD)-dynamic $(BUILD)-clang $(BUILD)-asan $(BUILD)-tsan $(BUILD)-valgrind $(BUILD)-cov* $(BUILD)-fuzz $(CROSS_MACHINES:%=$(BUILD)-%)

-include $(OBJ:.o=.d) $(PIC:.o=.d) $(wildcard $(BUILD)/obj/tests/*/*.d)
FORCE:
.PHONY: all completions clean FORCE
