/* SPDX-License-Identifier: MIT */
/* What arrives on an instance's socket: framing, JSON, descriptors. The first byte says how many of those come along. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/wire.h"

#define MAGIC 0x6e727631u

static void send_all(int fd, const uint8_t *data, size_t size, unsigned nfds)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int) * 8)]; } u = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[8];

	for (unsigned i = 0; i < nfds; i++)
		fds[i] = fd;
	if (nfds) {
		struct cmsghdr *c;

		m.msg_control = u.buf;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	if (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	unsigned nfds = fuzz_u8(&in) % 9;
	struct wire_message m;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		abort();
	if (in.left)
		send_all(sv[0], in.at, in.left, nfds);
	shutdown(sv[0], SHUT_WR);
	for (int i = 0; i < 4 && wire_recv(sv[1], &m, 0) == 0; i++) {
		(void)wire_text(&m, "op");
		(void)wire_int(&m, "version", 0);
		(void)wire_bool(&m, "tty");
		if (m.blob && m.blob[m.blob_len])
			abort();
		wire_message_fini(&m);
	}
	close(sv[0]);
	close(sv[1]);
	return 0;
}

static size_t message(uint8_t *buf, const char *json, const char *blob, uint32_t nfds)
{
	uint32_t head[4] = { MAGIC, (uint32_t)strlen(json), (uint32_t)strlen(blob), nfds };
	size_t at = 1;

	buf[0] = (uint8_t)nfds;
	at = fuzz_put(buf, at, head, sizeof(head));
	at = fuzz_put(buf, at, json, strlen(json));
	return fuzz_put(buf, at, blob, strlen(blob));
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	switch (n) {
	case 0: return message(buf, "{\"op\":\"ps\",\"version\":1}", "", 0);
	case 1: return message(buf, "{\"op\":\"run\",\"tty\":true,\"argc\":2,\"x\":[1,2.5,null,\"\\u00e9\"]}", "/bin/sh", 3);
	default: return 0;
	}
}
