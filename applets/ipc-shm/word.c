/* ipc-shm: words of a type: their text, their arithmetic, and the atomic steps on them. */
#define _GNU_SOURCE
#include "shm.h"

#include "futex.h"
#include "num.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const word_names[] = {
	"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", NULL};

struct word_type word_type(const struct call *call)
{
	static const struct word_type types[] = {{CLASS_UNSIGNED, 1}, {CLASS_UNSIGNED, 2},
		{CLASS_UNSIGNED, 4}, {CLASS_UNSIGNED, 8}, {CLASS_SIGNED, 1}, {CLASS_SIGNED, 2},
		{CLASS_SIGNED, 4}, {CLASS_SIGNED, 8}, {CLASS_FLOAT, 4}, {CLASS_FLOAT, 8}};
	if (call->opt[WORD_TYPE].count == 0)
		return (struct word_type){CLASS_SIGNED, 8};
	return types[call->opt[WORD_TYPE].num];
}

static double float_of(struct word_type type, uint64_t bits)
{
	float f;
	double d;
	uint32_t low = (uint32_t)bits;
	memcpy(&f, &low, sizeof f);
	memcpy(&d, &bits, sizeof d);
	return type.width == 4 ? (double)f : d;
}

static uint64_t float_bits(struct word_type type, double d)
{
	float f = (float)d;
	uint32_t low;
	uint64_t bits;
	memcpy(&low, &f, sizeof low);
	memcpy(&bits, &d, sizeof bits);
	return type.width == 4 ? low : bits;
}

static uint64_t mask(struct word_type type)
{
	return type.width == 8 ? UINT64_MAX : (UINT64_C(1) << (type.width * 8)) - 1;
}

static int64_t signed_of(struct word_type type, uint64_t bits)
{
	unsigned shift = 64 - type.width * 8;
	return (int64_t)(bits << shift) >> shift;
}

/* The decimal point is a point, whatever the locale of the shell that we may run in. */
static const char *parse_float(struct word_type type, const char *text, uint64_t *bits)
{
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t old = uselocale(c);
	char *end;
	errno = 0;
	double d = strtod(text, &end);
	bool huge = errno == ERANGE && (d > 1 || d < -1);
	uselocale(old);
	if (c != (locale_t)0)
		freelocale(c);
	if (end == text || *end != '\0' || strchr(" \t\n\v\f\r", *text) != NULL)
		return "not a number";
	if (huge ||
		(type.width == 4 && d - d == 0 && (d > (double)FLT_MAX || d < -(double)FLT_MAX)))
		return "out of range";
	*bits = float_bits(type, d);
	return NULL;
}

const char *word_parse(struct word_type type, const char *text, bool delta, uint64_t *bits)
{
	int64_t n;
	const char *why;
	if (type.is == CLASS_FLOAT)
		return parse_float(type, text, bits);
	if (type.is == CLASS_UNSIGNED && (!delta || *text != '-')) {
		why = num_uint(text, bits);
		return why != NULL ? why : *bits > mask(type) ? "out of range" : NULL;
	}
	why = num_int(text, &n);
	if (why != NULL)
		return why;
	*bits = (uint64_t)n & mask(type);
	if (type.is == CLASS_SIGNED)
		return signed_of(type, *bits) == n ? NULL : "out of range";
	return type.width == 8 || n >= -(int64_t)mask(type) ? NULL : "out of range";
}

void word_print(struct out *out, struct word_type type, uint64_t bits)
{
	char text[40];
	if (type.is == CLASS_UNSIGNED) {
		out_fmt(out, "%llu\n", (unsigned long long)bits);
		return;
	}
	if (type.is == CLASS_SIGNED) {
		out_fmt(out, "%lld\n", (long long)signed_of(type, bits));
		return;
	}
	/* The shortest text that reads back as the same bits. */
	locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	locale_t old = uselocale(c);
	double d = float_of(type, bits);
	for (int digits = 6; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, d);
		double back = strtod(text, NULL);
		if (float_bits(type, back) == bits)
			break;
	}
	uselocale(old);
	if (c != (locale_t)0)
		freelocale(c);
	out_fmt(out, "%s\n", text);
}

int word_compare(struct word_type type, uint64_t a, uint64_t b)
{
	if (type.is == CLASS_FLOAT) {
		double x = float_of(type, a), y = float_of(type, b);
		return __builtin_isunordered(x, y) ? 2 : x < y ? -1 : x > y;
	}
	if (type.is == CLASS_UNSIGNED)
		return a < b ? -1 : a > b;
	int64_t x = signed_of(type, a), y = signed_of(type, b);
	return x < y ? -1 : x > y;
}

uint64_t word_add(struct word_type type, uint64_t a, uint64_t b)
{
	if (type.is == CLASS_FLOAT)
		return float_bits(type, float_of(type, a) + float_of(type, b));
	return (a + b) & mask(type);
}

uint64_t word_load(const void *p, unsigned width)
{
	switch (width) {
	case 1: return __atomic_load_n((const uint8_t *)p, __ATOMIC_SEQ_CST);
	case 2: return __atomic_load_n((const uint16_t *)p, __ATOMIC_SEQ_CST);
	case 4: return __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST);
	default: return __atomic_load_n((const atomic_u64 *)p, __ATOMIC_SEQ_CST);
	}
}

#define CAS(T)                                                                              \
	{                                                                                   \
		T seen = (T)*old;                                                           \
		bool done = __atomic_compare_exchange_n(                                    \
			(T *)p, &seen, (T) new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
		*old = seen;                                                                \
		return done;                                                                \
	}

bool word_cas(void *p, unsigned width, uint64_t *old, uint64_t new)
{
	switch (width) {
	case 1: CAS(uint8_t)
	case 2: CAS(uint16_t)
	case 4: CAS(uint32_t)
	default: CAS(atomic_u64)
	}
}

uint32_t *word_futex(void *p, unsigned width)
{
	uintptr_t at = (uintptr_t)p & ~(uintptr_t)3;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	at += width == 8 ? 4 : 0; /* the half that changes most */
#else
	(void)width;
#endif
	return (uint32_t *)at;
}
