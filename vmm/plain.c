/* SPDX-License-Identifier: MIT */
#include "vmm/plain.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "emul/base/auto.h"

/* Bytes of the character at s, of at most left: 0 if there is none. RFC 3629: shortest forms, no surrogates, up to U+10FFFF. */
static size_t character(const unsigned char *s, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s[i] >> 6 != 2)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	*ret = c;
	return c >= least[n] && c <= 0x10ffff && c >> 11 != 0xd800 >> 11 ? n : 0;
}

static bool obeyed(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

json_t *plain_text(const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *)bytes;
	AUTO_FREE char *text = malloc(len + 1);
	size_t out = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = character(s + i, len - i, &c);

		if (!n || obeyed(c)) {
			text[out++] = '?';
			i += n ? n : 1;
			continue;
		}
		for (; n; n--)
			text[out++] = bytes[i++];
	}
	return json_stringn(text, out);
}
