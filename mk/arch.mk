# mk/arch.mk, part of the Makefile: other machines than this one.

# The suite with programs of 32 bits. gcc-multilib excludes the cross compilers; gcc-12-multilib does not, but
# lacks the link to the kernel's headers, which are the same for both.
I386 = CC='$(CROSS_i386)' BUILD=$(BUILD)-i386
check-i386:
	@$(MAKE) --no-print-directory $(I386) BASH_CPPFLAGS= check

# cross: build for each machine whose compiler is here, and say which are missing; a warning is an error.
CROSS_arm64 = aarch64-linux-gnu-gcc
CROSS_armhf = arm-linux-gnueabihf-gcc
CROSS_riscv64 = riscv64-linux-gnu-gcc
CROSS_i386 = gcc -m32 -idirafter /usr/include/x86_64-linux-gnu
CROSS_MACHINES = arm64 armhf riscv64 i386
CROSS_COMPILES = echo '\#include <linux/futex.h>' | $(CROSS_$*) -E -x c - >/dev/null 2>&1

cross: $(CROSS_MACHINES:%=cross-%)
$(CROSS_MACHINES:%=cross-%): cross-%:
	@if $(CROSS_COMPILES); then $(MAKE) --no-print-directory CC='$(CROSS_$*)' BUILD=$(BUILD)-$* \
		CFLAGS='$(CFLAGS) -Werror' all $(BUILD)-$*/unit $(BUILD)-$*/contract && \
		echo "cross: $*: built with $(CROSS_$*)"; \
	else echo "cross: $*: left out, $(firstword $(CROSS_$*)) does not compile for it here"; fi
.PHONY: check-i386 cross $(CROSS_MACHINES:%=cross-%)
