/* SPDX-License-Identifier: MIT */
/*
 * The text around a guest's `syscall`, which the rewriter takes apart: what it says to move stands within the bytes that it was shown, and
 * holds what the rules of docs and vmm/sites.c want: the room of a jump, no byte of the call itself behind it left over.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "vmm/machine.h"

#define JUMP 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	uint8_t *text = malloc(SITE_BEFORE + SITE_AFTER); /* its own size: reading beyond it is seen */
	struct uregs r = { 0 };
	unsigned before, after = 0;
	uint32_t nr;

	if (!text)
		return 0;
	nr = fuzz_u16(&in) % 512;
	r.r8 = r.rdx = nr; /* registers that may hold the number */
	r.r9 = fuzz_u32(&in);
	r.rbx = fuzz_u8(&in) & 1 ? nr : 0;
	fuzz_bytes(&in, text, SITE_BEFORE + SITE_AFTER);
	if (fuzz_u8(&in) != 0xff)
		memcpy(text + SITE_BEFORE - 2, "\x0f\x05", 2);
	before = sites_shape(text + SITE_BEFORE, &r, nr, &after);
	if (before && (before > SITE_BEFORE - 2 || after > SITE_AFTER || before + 2 + after < JUMP || memcmp(text + SITE_BEFORE - 2, "\x0f\x05", 2)))
		abort();
	free(text);
	return 0;
}

static size_t seed(uint8_t *buf, uint16_t nr, const void *before, size_t n, const void *behind, size_t m)
{
	uint8_t text[SITE_BEFORE + SITE_AFTER];
	size_t at = fuzz_put(buf, 0, &nr, sizeof(nr));

	memset(text, 0x90, sizeof(text));
	memcpy(text + SITE_BEFORE - 2 - n, before, n);
	memcpy(text + SITE_BEFORE - 2, "\x0f\x05", 2);
	memcpy(text + SITE_BEFORE, behind, m);
	at = fuzz_put(buf, at, "\1\0\0\0\0", 5);
	return fuzz_put(buf, at, text, sizeof(text));
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	switch (n) {
	case 0: return seed(buf, 110, "\xb8\x6e\0\0\0", 5, "\xc3", 1);
	case 1: return seed(buf, 0, "\x31\xc0", 2, "\x48\x3d\0\xf0\xff\xff", 6);
	case 2: return seed(buf, 202, "\xba\xff\xff\xff\x7f\xbe\x81\0\0\0\x4c\x89\xc0", 13, "\x48\x83\xf8\xda", 4);
	case 3: return seed(buf, 17, "\x49\x89\xf2\x48\x89\xfa\x48\x89\xce\x48\x89\xdf", 12, "\x48\x3d\1\xf0\xff\xff\x0f\x83", 8);
	case 4: return seed(buf, 15, "\x48\xc7\xc0\x0f\0\0\0", 7, "\x0f\x1f\x80\0\0\0\0", 7);
	default: return 0;
	}
}
