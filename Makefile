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

# An empty static musl program starts in a third of the time of a static glibc one.
ifndef LINK
LINK := $(shell if command -v musl-gcc >/dev/null 2>&1; then echo musl; \
	elif echo 'int main(void){return 0;}' | $(CC) -static -x c - -o /dev/null 2>/dev/null; \
	then echo static; else echo dynamic; fi)
endif
HOSTCC := $(CC)
ifeq ($(LINK),musl)
ifeq ($(origin CC),default)
CC := musl-gcc
endif
KERNEL_HEADERS = $(BUILD)/include/linux
CPPFLAGS_LINK = -idirafter $(BUILD)/include
endif
ifneq ($(LINK),dynamic)
# No relocations to do at start, and as few pages to touch as possible.
CFLAGS_LINK = -fno-pie -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
LIBC = -lc
LDFLAGS_LINK = -static -no-pie -Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none
endif

# Whose semaphores other programs here speak, whatever we are linked with.
SYSTEM_LIBC := $(if $(wildcard /lib/*/libc.so.6 /lib/libc.so.6 /lib64/libc.so.6 /usr/lib*/libc.so.6),GLIBC,MUSL)

# What is built says nothing of where it was built (compilers believe $PWD).
export PWD := $(CURDIR)
MAP = '-ffile-prefix-map=$(CURDIR)=.' '-ffile-prefix-map=$(BUILD)/=build/'
COMMON = $(MAP) -DSYSTEM_$(SYSTEM_LIBC) -Ilib -I. -DIPCBOX_VERSION='"$(VERSION)"' $(CPPFLAGS)
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
	@$(LINKIT) -o $@ $(HOT) $(LIBC) $(filter-out $(HOT),$(OBJ)) $(LDLIBS)

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
		for p in /usr/include/$$d /usr/include/$$(gcc -print-multiarch)/$$d; do \
			if [ -d $$p ]; then ln -sfn $$p $(BUILD)/include/$$d; fi; done; done

# ---- tests

# Another host of the same objects: the unit tests of lib/.
$(BUILD)/unit: $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/unit/*.c))) $(PARTS)
	@$(LINKIT) -o $@ $^ $(LDLIBS)

include $(wildcard tests/*/rules.mk)
check: all $(BUILD)/contract $(BUILD)/unit builtins
	@tests/run $(if $(V),-v) $(BUILD) $(T)

# The applets' tests once more, with the applets as builtins of the tests' shell, but for those that have next to
# nothing that runs there.
BUILTIN_TESTS = $(filter-out tests/ipc-bench.bats tests/ipc-door.bats,$(sort $(wildcard tests/ipc-*.bats)))
check-builtins: all builtins
	@if [ -e $(BUILD)/ipcbox.so ]; then IPCBOX_BUILTINS=1 tests/run $(if $(V),-v) $(BUILD) $(BUILTIN_TESTS); fi

# Every way of linking, each compiler; all are tried, any failure counts.
check-all:
	@tests/check-all $(MAKE) $(BUILD)

SANITIZE = -fsanitize=address,undefined
sanitize:
	@tests/sanitize $(MAKE) --no-print-directory check LINK=dynamic BUILD=$(BUILD)-asan \
		CFLAGS="-O1 -g $(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer" LDFLAGS="$(SANITIZE)"

# T= some bats files only, F= of the fault matrix; tests/coverage says where it is told what was not run.
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

# ---- completions: generated from the records, committed

completions: all
	completions/gen $(BUILD)/ipcbox completions .

# ---- bash builtins: the same sources as a shared object for `enable -f`

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

# ---- install

SHARE = $(DESTDIR)$(PREFIX)/share
LIBBASH = $(DESTDIR)$(PREFIX)/lib/bash
BASHDIR = $(SHARE)/bash-completion/completions
ZSHDIR = $(SHARE)/zsh/site-functions
FISHDIR = $(SHARE)/fish/vendor_completions.d
MAN = $(sort $(wildcard man/*.1 man/*.7))

# bash and fish look for a file by the command's name, so each applet gets a link there too.
install: all
	mkdir -p $(DESTDIR)$(PREFIX)/bin $(BASHDIR) $(ZSHDIR) $(FISHDIR) $(SHARE)/man/man1 $(SHARE)/man/man7
	install -m 755 $(BUILD)/ipcbox $(DESTDIR)$(PREFIX)/bin/ipcbox
	install -m 644 completions/ipcbox.bash $(BASHDIR)/ipcbox
	install -m 644 completions/ipcbox.fish $(FISHDIR)/ipcbox.fish
	install -m 644 completions/_ipcbox $(ZSHDIR)/_ipcbox
	@for n in $(NAMES); do ln -sfn ipcbox $(DESTDIR)$(PREFIX)/bin/$$n && \
		ln -sfn ipcbox $(BASHDIR)/$$n && ln -sfn ipcbox.fish $(FISHDIR)/$$n.fish || exit; done
	if [ -e $(BUILD)/ipcbox.so ]; then mkdir -p $(LIBBASH) && install -m 644 $(BUILD)/ipcbox.so $(LIBBASH)/; fi
	@for m in $(MAN); do install -m 644 $$m $(SHARE)/man/man$${m##*.}/ || exit; done

uninstall:
	rm -f $(foreach n,ipcbox $(NAMES),$(DESTDIR)$(PREFIX)/bin/$n $(BASHDIR)/$n $(FISHDIR)/$n.fish)
	rm -f $(LIBBASH)/ipcbox.so $(ZSHDIR)/_ipcbox $(foreach m,$(MAN),$(SHARE)/man/man$(subst .,,$(suffix $m))/$(notdir $m))

# The Debian packages, into $(BUILD)/deb; debian/README.source says how they differ from make install.
deb:
	@debian/build $(BUILD)/deb

clean:
	rm -rf $(BUILD) $(BUILD)-musl $(BUILD)-static $(BUILD)-dynamic $(BUILD)-clang $(BUILD)-asan $(BUILD)-tsan $(BUILD)-valgrind $(BUILD)-cov* $(BUILD)-fuzz

-include $(OBJ:.o=.d) $(PIC:.o=.d) $(wildcard $(BUILD)/obj/tests/*/*.d)
FORCE:
.PHONY: all check check-builtins check-all sanitize coverage fuzz lint bench torture model faults demo completions builtins install uninstall deb clean FORCE
