/* SPDX-License-Identifier: MIT */
/* Packet capture: the classic format with nanoseconds, a frame a write. */
/* host syscalls: openat fcntl write writev */
#include "emul/net/pcap.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/log.h"

#define MAGIC_NS 0xa1b23c4du
#define LINKTYPE_ETHERNET 1

static _Atomic int out = -1; /* opened once; else lwIP's core lock */

int pcap_open(const char *file)
{
	const struct { uint32_t magic; uint16_t major, minor; uint32_t zone, sigfigs, snaplen, link; } head = {
		MAGIC_NS, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET
	};

	/* A FIFO is not waited for: whoever reads it comes first. */
	AUTO_FD fd = (int)HOST(open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
	ssize_t n = fd;

	if (fd >= 0)
		n = HOST(fcntl(fd, F_SETFL, 0));
	if (n >= 0)
		n = HOST(write(fd, &head, sizeof(head)));
	if (n != sizeof(head))
		return n < 0 ? (int)n : -ENOSPC;
	out = steal_fd(fd);
	return 0;
}

void pcap_frame(const void *frame, size_t len)
{
	struct { uint32_t sec, nsec, caplen, len; } head = { .caplen = (uint32_t)len, .len = (uint32_t)len };
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)(uintptr_t)frame, len } };
	struct timespec ts;
	ssize_t n;

	if (out < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	head.sec = (uint32_t)ts.tv_sec;
	head.nsec = (uint32_t)ts.tv_nsec;
	n = HOST(writev(out, iov, 2));
	if (n == (ssize_t)(sizeof(head) + len))
		return;
	log_write("error", "--pcap: the capture ends, the network goes on: %s", strerror(n < 0 ? (int)-n : ENOSPC));
	close(out);
	out = -1;
}
