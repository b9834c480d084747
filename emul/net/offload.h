/* SPDX-License-Identifier: MIT */
/*
 * Frames larger than the wire's, as network cards take them from a kernel (segmentation offload): one call of the host for up to
 * 64 KiB instead of one for each 1500 bytes. The host cuts them where they leave the machine, and gives us its own uncut.
 *
 * Outwards, segments that lwIP sends one after the other, while its core lock is held, are put together if they continue each
 * other. Inwards, lwIP takes large ones as they are; only checksums that the host left to the card must be completed.
 */
#ifndef EMUL_NET_OFFLOAD_H
#define EMUL_NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OFFLOAD_MAX 65535 /* of a frame: lwIP counts in 16 bits */

struct pbuf;

/* How a frame is to be cut. Its TCP checksum is that of the pseudo header alone. */
struct large_frame {
	bool v6;
	uint16_t ip, tcp;  /* where these headers begin */
	uint16_t headers;  /* all of them together */
	uint16_t segment;  /* bytes of data in each frame */
};

/* Who puts a frame on the wire; large NULL: as it is. 0, or -errno: it is lost. */
typedef int offload_send_fn(const void *frame, size_t len, const struct large_frame *large);

/* A frame of lwIP's on its way out: sent, or kept to be continued. 0 or -errno. Core lock held, as for all of these. */
int offload_output(struct pbuf *p, offload_send_fn *send);
/* What was kept goes. */
void offload_flush(void);
/* The checksum over frame[start..len) goes to start + offset, where the pseudo header's sum is. false: there is no room for it. */
bool offload_complete(uint8_t *frame, size_t len, size_t start, size_t offset);

#endif
