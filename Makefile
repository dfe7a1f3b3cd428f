# ipcbox: one binary, many names. `make`, `make demo`, `make check`, `make install`.
#
#   LINK=musl|static|dynamic   force the way of linking (default: the first that works here)
#   CC=clang BUILD=build-x     another compiler, another place
#   PREFIX= DESTDIR=           where make install puts things

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
LDFLAGS_LINK = -static -no-pie -Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none
endif

ALL_CPPFLAGS = -Ilib -I. -DIPCBOX_VERSION='"$(VERSION)"' $(CPPFLAGS_LINK) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu17 $(WARN) $(CFLAGS_LINK) $(CFLAGS)

LIB = $(filter-out lib/host_%.c,$(wildcard lib/*.c))
APPLETS = $(wildcard applets/*.c applets/*/*.c)
# The applets' names are their files' (or folders') names.
NAMES = $(sort $(patsubst applets/%/,%,$(sort $(dir $(wildcard applets/*/*.c)))) \
	$(patsubst applets/%.c,%,$(wildcard applets/ipc-*.c)))
OBJ = $(patsubst %.c,$(BUILD)/obj/%.o,main.c $(LIB) $(APPLETS))

all: $(BUILD)/ipcbox $(BUILD)/bin

$(BUILD)/ipcbox: $(OBJ)
	@echo "ipcbox: linking with $(LINK) ($(CC))"
	$(CC) $(ALL_CFLAGS) $(LDFLAGS_LINK) $(LDFLAGS) -o $@ $(OBJ) $(LDLIBS)

$(BUILD)/bin: $(BUILD)/ipcbox
	@rm -rf $@ && mkdir -p $@
	@for n in ipcbox $(NAMES); do ln -s ../ipcbox $@/$$n || exit; done

$(BUILD)/obj/%.o: %.c $(KERNEL_HEADERS) Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# musl has no kernel headers of its own, and glibc's must not be seen.
$(BUILD)/include/linux:
	@mkdir -p $(BUILD)/include
	@for d in linux asm asm-generic; do \
		for p in /usr/include/$$d /usr/include/$$(gcc -print-multiarch)/$$d; do \
			if [ -d $$p ]; then ln -sfn $$p $(BUILD)/include/$$d; fi; done; done

check: all
	tests/run $(BUILD) $(T)

clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d)
.PHONY: all check clean
