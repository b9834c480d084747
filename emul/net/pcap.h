/* SPDX-License-Identifier: MIT */
/* --pcap FILE: what passes eth0, in the format that tcpdump and wireshark read. */
#ifndef EMUL_NET_PCAP_H
#define EMUL_NET_PCAP_H

#include <stddef.h>

int pcap_open(const char *file); /* once. 0, -errno; -ENXIO: a FIFO that nobody reads */
/* One Ethernet frame; nothing if no capture is open. Core lock held. */
void pcap_frame(const void *frame, size_t len);

#endif
