/* SPDX-License-Identifier: MIT */
/* Bytes that a guest or a host's file name chose, as text that JSON can hold and that a terminal does not obey. */
#ifndef VMM_PLAIN_H
#define VMM_PLAIN_H

#include <jansson.h>

/* What is not UTF-8 and control characters become '?', byte by byte. NULL: no memory. */
json_t *plain_text(const char *bytes, size_t len);

#endif
