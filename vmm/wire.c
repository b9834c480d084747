/* SPDX-License-Identifier: MIT */
#include "vmm/wire.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/types.h"

struct header {
	uint32_t magic;
	uint32_t json_len, blob_len;
	uint32_t nfds;
};
#define FDS_AT_ONCE (WIRE_MAX_FDS / sizeof(struct header)) /* SCM_MAX_FD */
#define MAGIC 0x6e727631u /* "1vrn": other versions of the framing have another */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Until fd has events; until: of now_ms(), -1: for ever. */
static int wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int64_t left = until < 0 ? -1 : until - now_ms();
		int r = poll(&p, 1, until < 0 ? -1 : left > 0 ? (int)left : 0);

		if (r > 0)
			return 0;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* --- sending ----------------------------------------------------------------------------------------------- */

static ssize_t send_some(int fd, struct iovec *iov, unsigned niov, const int *fds, unsigned nfds)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int) * FDS_AT_ONCE)]; } u = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = niov };

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = u.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return HOST(sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT));
}

/* Descriptors go with the first byte, or as many as there must be. */
static int send_all(int fd, struct iovec *iov, unsigned niov, const int *fds, unsigned nfds)
{
	int64_t until = now_ms() + WIRE_WAIT_MS;

	while (niov) {
		unsigned now = MIN(nfds, FDS_AT_ONCE);
		struct iovec byte = { iov->iov_base, 1 };
		ssize_t n = now < nfds ? send_some(fd, &byte, 1, fds, now) : send_some(fd, iov, niov, fds, now);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			n = wait_for(fd, POLLOUT, until);
			if (n < 0)
				return (int)n;
			continue;
		}
		if (n < 0)
			return (int)n;
		fds += now;
		nfds -= now;
		for (; niov && (size_t)n >= iov->iov_len; iov++, niov--)
			n -= (ssize_t)iov->iov_len;
		if (niov) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int wire_send(int fd, json_t *json, const void *blob, size_t blob_len, const int *fds, unsigned nfds)
{
	AUTO_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	struct header h = { .magic = MAGIC, .json_len = (uint32_t)len, .blob_len = (uint32_t)blob_len, .nfds = nfds };
	struct iovec iov[3] = { { &h, sizeof(h) }, { text, len }, { (void *)blob, blob_len } };

	json_decref(json);
	if (!text)
		return -ENOMEM;
	if (len > WIRE_MAX_JSON || blob_len > WIRE_MAX_BLOB || nfds > WIRE_MAX_FDS)
		return -E2BIG;
	return send_all(fd, iov, blob_len ? 3 : 2, fds, nfds);
}

/* --- receiving --------------------------------------------------------------------------------------------- */

/* What came beyond the limit of our descriptors is closed by the kernel, and nfds of the header tells. */
static void take_fds(struct msghdr *msg, struct wire_message *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (m->nfds < WIRE_MAX_FDS)
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static int recv_all(int fd, void *buf, size_t len, int64_t until, struct wire_message *m)
{
	union { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int) * FDS_AT_ONCE)]; } u;

	while (len) {
		struct iovec iov = { buf, len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf) };
		ssize_t n = wait_for(fd, POLLIN, until);

		if (n == 0)
			n = HOST(recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n == 0 || n == -ECONNRESET)
			return -EPIPE;
		if (n < 0)
			return (int)n;
		take_fds(&msg, m);
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

static int recv_body(int fd, const struct header *h, struct wire_message *m)
{
	AUTO_FREE char *text = malloc(h->json_len);
	int64_t until = now_ms() + WIRE_WAIT_MS;
	int r;

	m->blob = malloc((size_t)h->blob_len + 1);
	if (!text || !m->blob)
		return -ENOMEM;
	m->blob_len = h->blob_len;
	m->blob[m->blob_len] = '\0';
	r = recv_all(fd, text, h->json_len, until, m);
	if (r == 0)
		r = recv_all(fd, m->blob, m->blob_len, until, m);
	if (r < 0)
		return r;
	m->json = json_loadb(text, h->json_len, JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(m->json) && m->nfds == h->nfds ? 0 : -EPROTO;
}

int wire_recv(int fd, struct wire_message *m, int wait_ms)
{
	struct header h;
	int r;

	*m = (struct wire_message){ 0 };
	r = wait_for(fd, POLLIN, wait_ms < 0 ? -1 : now_ms() + wait_ms);
	if (r == 0)
		r = recv_all(fd, &h, sizeof(h), now_ms() + WIRE_WAIT_MS, m);
	if (r == 0 && (h.magic != MAGIC || !h.json_len || h.json_len > WIRE_MAX_JSON || h.blob_len > WIRE_MAX_BLOB))
		r = -EPROTO;
	if (r == 0)
		r = recv_body(fd, &h, m);
	if (r < 0)
		wire_message_fini(m);
	return r;
}

void wire_message_fini(struct wire_message *m)
{
	json_decref(m->json);
	free(m->blob);
	for (unsigned i = 0; i < m->nfds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	*m = (struct wire_message){ 0 };
}

/* --- members --------------------------------------------------------------------------------------------------- */

const char *wire_text(const struct wire_message *m, const char *name)
{
	return json_string_value(json_object_get(m->json, name));
}

json_int_t wire_int(const struct wire_message *m, const char *name, json_int_t otherwise)
{
	const json_t *v = json_object_get(m->json, name);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool wire_bool(const struct wire_message *m, const char *name)
{
	return json_is_true(json_object_get(m->json, name));
}
