# mk/target.mk, part of the Makefile: what the compiler builds for. Nothing here looks at the machine that
# compiles: with a cross compiler, or -m32, that is another one.

MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)

# An empty static musl program starts in a third of the time of a static glibc one.
ifndef LINK
LINK := $(shell if [ '$(filter default %musl-gcc,$(origin CC) $(CC))' ] && \
	command -v musl-gcc >/dev/null 2>&1; then echo musl; \
	elif echo 'int main(void){return 0;}' | $(CC) -static -x c - -o /dev/null 2>/dev/null; \
	then echo static; else echo dynamic; fi)
endif
HOSTCC := $(CC)
ifeq ($(LINK),musl)
ifeq ($(origin CC),default)
CC := musl-gcc
endif
# musl-gcc is gcc that looks elsewhere; other programs here use the C library of gcc itself.
ifneq ($(filter %musl-gcc,$(HOSTCC)),)
HOSTCC := gcc
endif
KERNEL_HEADERS = $(BUILD)/include/linux
CPPFLAGS_LINK = -idirafter $(BUILD)/include
endif

# What headers and compiler say: a C library other than glibc leaves its name as it is; bytes of a word.
SAYS := $(shell echo __GLIBC__ __SIZEOF_LONG__ | $(HOSTCC) -include features.h -E -P -x c - 2>/dev/null)
# Whose semaphores other programs there speak, whatever we are linked with.
SYSTEM_LIBC := $(if $(filter __GLIBC__,$(SAYS)),MUSL,GLIBC)
# Files of more than 2 GiB and times after 2038. Where a word has 64 bits, all are so.
ifeq ($(lastword $(SAYS)),4)
WIDE = -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64
endif

# There, an atomic byte needs a function of its own.
ifneq ($(filter riscv%,$(MACHINE)),)
LDLIBS_TARGET = -latomic
endif
