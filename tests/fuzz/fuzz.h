/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target is a file with these two functions. With clang and `meson setup -Dfuzz=true` it becomes a libFuzzer program; the other
 * builds link it with driver.c, which runs a short, always equal series of mutated seeds: a test.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FUZZ_MAX 4096 /* bytes of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t fuzz_seed(unsigned n, uint8_t *buf); /* the n-th input to begin with, at most FUZZ_MAX bytes; 0: there are no more */

/* An input, taken apart from its front; what is not there is zero. */
struct fuzz_in { const uint8_t *at; size_t left; };

static inline size_t fuzz_bytes(struct fuzz_in *in, void *to, size_t n)
{
	size_t k = n < in->left ? n : in->left;

	memcpy(to, in->at, k);
	memset((char *)to + k, 0, n - k);
	in->at += k;
	in->left -= k;
	return k;
}

static inline uint8_t fuzz_u8(struct fuzz_in *in)
{
	uint8_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint32_t fuzz_u32(struct fuzz_in *in)
{
	uint32_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

/* For seeds: appends. */
static inline size_t fuzz_put(uint8_t *buf, size_t at, const void *data, size_t n)
{
	memcpy(buf + at, data, n);
	return at + n;
}

#endif
