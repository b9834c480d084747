/* SPDX-License-Identifier: MIT */
/* Packet capture: the classic format with nanoseconds, a frame a write. */
/* host syscalls: openat writev */
#include "emul/net/pcap.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/err.h"

#define MAGIC_NS 0xa1b23c4du
#define LINKTYPE_ETHERNET 1

static int out = -1; /* lwIP's core lock after opening */

int pcap_open(const char *file)
{
	const struct { uint32_t magic; uint16_t major, minor; uint32_t zone, sigfigs, snaplen, link; } head = {
		MAGIC_NS, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET
	};

	out = (int)HOST(open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
	if (out < 0)
		return out;
	return HOST(write(out, &head, sizeof(head))) == sizeof(head) ? 0 : -EIO;
}

void pcap_frame(const void *frame, size_t len)
{
	struct { uint32_t sec, nsec, caplen, len; } head = { .caplen = (uint32_t)len, .len = (uint32_t)len };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)frame, len } };
	struct timespec ts;

	if (out < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	head.sec = (uint32_t)ts.tv_sec;
	head.nsec = (uint32_t)ts.tv_nsec;
	if (writev(out, iov, 2) < 0) { /* the disk is full: the capture ends, the network goes on */
		close(out);
		out = -1;
	}
}

void pcap_close(void)
{
	if (out >= 0)
		close(out);
	out = -1;
}
