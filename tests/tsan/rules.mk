# tests/tsan/rules.mk, part of the Makefile: the verbs in threads, which tests/tsan/run asks for.
TSAN = $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/tsan/*.c)))
$(BUILD)/tsan: $(TSAN) $(PARTS)
	@$(LINKIT) -Wl,--wrap=mmap,--wrap=munmap,--wrap=newfile_link -o $@ $^ $(LDLIBS) $(LDLIBS_TARGET)

# What the sanitizer must not see: see the file's head.
$(BUILD)/obj/tests/tsan/plain.o: tests/tsan/plain.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  cc $<"; $(CC) $(ALL_CPPFLAGS) -std=gnu17 $(WARN) $(call PLAIN,$(CFLAGS)) -MMD -MP -c -o $@ $<
