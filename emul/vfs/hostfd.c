/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that vmrun's caller gave us: stdin, stdout, stderr. The description is shared with other
 * programs, so its flags are never changed; O_NONBLOCK is what the guest sees in its own file.
 *
 * How a read or write does not block in the host, where no signal would bring the thread back:
 *   socket         recvmsg/sendmsg with MSG_DONTWAIT
 *   tty, pipe      a second, non-blocking description of the same thing, opened through /proc/self/fd
 *   anything else  poll first; a write then takes at most PIPE_BUF bytes, which a ready pipe has room for
 * and where that says "not now", host_wait() sleeps until it is ready or a signal comes. Regular
 * files and plain devices never block; they keep the host's own file position, which the
 * caller's other programs share (the shell's `(a; b) > file`).
 *
 * SIGPIPE must be ignored by the VMM's process: -EPIPE is what counts.
 */
/* host syscalls: fcntl fstat readlink openat readv writev preadv2 pwritev2 recvmsg sendmsg poll lseek statx fsync fdatasync ftruncate fallocate */
#include "emul/vfs/hostfd.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/loop.h"
#include "emul/mm/memobj.h"
#include "emul/vfs/mapname.h"

enum kind {
	HOST_SOCKET,
	HOST_OWN,   /* fd is our own non-blocking description */
	HOST_READY, /* poll before each call */
	HOST_PLAIN, /* never blocks: regular file, directory, /dev/null */
};

struct hostfd {
	struct file file;
	enum kind kind;     /* constant, as fd, id and text */
	int fd;
	struct memobj_id id;
	char *text;         /* what /proc/self/fd shows on the host */
	struct mutex lock;
	bool watched;       /* lock: the reactor tells wq of changes */
	struct loop_watch watch;
};

static struct phys *frames; /* set at boot */

void hostfd_set_phys(struct phys *ph)
{
	frames = ph;
}

static struct hostfd *hostfd_of(struct file *f)
{
	return container_of(f, struct hostfd, file);
}

/* --- moving data ------------------------------------------------------------------------------------------- */

static bool ready_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, 0) > 0;
}

/* One host call that does not block. off -1: the description's own position. */
static ssize_t move_once(struct hostfd *h, bool in, struct iovec *iov, int n, off_t off, int rwf)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = n };

	switch (h->kind) {
	case HOST_SOCKET:
		return in ? HOST(recvmsg(h->fd, &msg, MSG_DONTWAIT)) : HOST(sendmsg(h->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
	case HOST_READY:
		if (!ready_now(h->fd, in ? POLLIN : POLLOUT))
			return -EAGAIN;
		break;
	case HOST_OWN:
	case HOST_PLAIN:
		break;
	}
	if (off < 0 && !rwf)
		return in ? HOST(readv(h->fd, iov, n)) : HOST(writev(h->fd, iov, n));
	return in ? HOST(preadv2(h->fd, iov, n, off, rwf)) : HOST(pwritev2(h->fd, iov, n, off, rwf));
}

/* As much of u as one call takes. */
static ssize_t move_some(struct hostfd *h, bool in, struct uio *u, off_t off, int rwf)
{
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	struct uio part = *u;
	ssize_t r;
	size_t len;
	int n;

	if (u->seg == u->inline_seg)
		part.seg = part.inline_seg;
	if (!in && h->kind == HOST_READY)
		uio_truncate(&part, PIPE_BUF);
	n = uio_pin(&part, in, iov, &pins, &len);
	if (n < 0)
		return n;
	r = move_once(h, in, iov, n, off, rwf); /* n == 0: an empty read or write is the host's to judge */
	uio_unpin(&pins);
	if (r > 0)
		uio_advance(u, r);
	return r;
}

static int wait_ready(struct hostfd *h, short events)
{
	return file_nonblock(&h->file) ? -EAGAIN : host_wait(h->fd, events, FOREVER);
}

static ssize_t stream_read(struct file *f, struct uio *to, off_t *pos)
{
	struct hostfd *h = hostfd_of(f);
	ssize_t r;

	(void)pos;
	while ((r = move_some(h, true, to, -1, 0)) == -EAGAIN || r == -EINTR) {
		int w = wait_ready(h, POLLIN);

		if (w < 0)
			return w;
	}
	return r;
}

static ssize_t stream_write(struct file *f, struct uio *from, off_t *pos)
{
	struct hostfd *h = hostfd_of(f);
	ssize_t done = 0, r = 0;

	(void)pos;
	/* A helper thread must not begin what it cannot end. */
	if (!waiter_current()->may_sleep && !file_nonblock(f) && uio_left(from) > PIPE_BUF)
		return -EWOULDSLEEP;
	do {
		r = move_some(h, false, from, -1, 0);
		if (r > 0)
			done += r;
		else if (r == -EAGAIN || r == -EINTR)
			r = wait_ready(h, POLLOUT);
		else
			break;
	} while (r >= 0 && uio_left(from));
	return done ? done : r;
}

/* Regular files: all of it, unless the file ends or the disk is full. */
static ssize_t plain_move(struct file *f, bool in, struct uio *u, off_t *pos)
{
	struct hostfd *h = hostfd_of(f);
	bool own_pos = pos == &f->pos || !f->seekable;
	int rwf = !in && file_append(f) ? RWF_APPEND : 0; /* the guest's flag: the shared one stays */
	ssize_t done = 0, r;

	do {
		r = move_some(h, in, u, own_pos ? -1 : *pos, rwf);
		if (r > 0) {
			done += r;
			if (!own_pos)
				*pos += r;
		}
	} while (r > 0 && uio_left(u));
	return done ? done : r;
}

static ssize_t plain_read(struct file *f, struct uio *to, off_t *pos)
{
	return plain_move(f, true, to, pos);
}

static void plain_changed(struct file *f, uint64_t off, uint64_t len)
{
	if (frames)
		memobj_host_file_written(frames, hostfd_of(f)->id, off, len);
}

static ssize_t plain_write(struct file *f, struct uio *from, off_t *pos)
{
	ssize_t r = plain_move(f, false, from, pos);

	/* The position is the host's, and shared with others: where it was written is not known. */
	if (r > 0)
		plain_changed(f, 0, UINT64_MAX);
	return r;
}

/* --- readiness ------------------------------------------------------------------------------------------------- */

static void host_changed(struct loop_watch *w, uint32_t events)
{
	struct file *f = &container_of(w, struct hostfd, watch)->file;

	waitq_wake(&f->wq, events);
	file_async(f, events & EPOLLIN ? POLL_IN : POLL_OUT);
}

/* From the first poll on the reactor tells of changes; programs that only read and write do not pay for it. */
static void start_watching(struct hostfd *h)
{
	mutex_lock(&h->lock);
	if (!h->watched) {
		int r = loop_watch_add(&h->watch, h->fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP, host_changed);

		if (r < 0)
			log_warn("descriptor %s cannot be watched: %d", h->text, r);
		h->watched = true;
	}
	mutex_unlock(&h->lock);
}

static int stream_start_async(struct file *f)
{
	start_watching(hostfd_of(f));
	return 0;
}

static uint32_t stream_poll(struct file *f)
{
	struct hostfd *h = hostfd_of(f);
	struct pollfd p = { .fd = h->fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM | POLLRDBAND | POLLWRBAND | POLLRDHUP };

	start_watching(h); /* first: a change after the look below is told */
	if (poll(&p, 1, 0) < 0)
		return EPOLLERR;
	return (uint32_t)p.revents; /* POLL* and EPOLL* are the same bits */
}

/* --- the rest ------------------------------------------------------------------------------------------------------ */

static off_t plain_lseek(struct file *f, off_t off, int whence)
{
	return HOST(lseek(hostfd_of(f)->fd, off, whence));
}

static long host_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	return hostfd_ioctl(hostfd_of(f)->fd, cmd, arg, c);
}

static int host_stat(struct file *f, unsigned mask, struct statx *ret)
{
	return (int)HOST(statx(hostfd_of(f)->fd, "", AT_EMPTY_PATH, mask, ret));
}

static int plain_mmap(struct file *f, bool shared, struct memobj **ret)
{
	struct hostfd *h = hostfd_of(f);
	struct stat st;
	int r;

	if (!frames)
		return -ENODEV;
	r = (int)HOST(fstat(h->fd, &st));
	if (r < 0)
		return r;
	if (shared)
		r = memobj_file_window(frames, h->fd, &st, PROT_READ | PROT_EXEC | (file_writable(f) ? PROT_WRITE : 0), ret);
	else
		r = memobj_cached_file(frames, h->fd, &st, ret);
	if (r == 0)
		memobj_name_text(*ret, h->text);
	return r;
}

static int plain_fsync(struct file *f, bool datasync)
{
	int fd = hostfd_of(f)->fd;

	return (int)(datasync ? HOST(fdatasync(fd)) : HOST(fsync(fd)));
}

static int plain_truncate(struct file *f, uint64_t size)
{
	int fd = hostfd_of(f)->fd, r = (int)HOST(ftruncate(fd, (off_t)size));
	struct stat st;

	if (r == 0 && frames && fstat(fd, &st) == 0)
		memobj_host_file_cut(frames, &st);
	return r;
}

static int plain_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	int r = (int)HOST(fallocate(hostfd_of(f)->fd, mode, (off_t)off, (off_t)len));

	if (r == 0)
		plain_changed(f, 0, UINT64_MAX);
	return r;
}

static int host_host_fd(struct file *f)
{
	return hostfd_of(f)->fd;
}

static void host_describe(struct file *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s", hostfd_of(f)->text);
}

static void host_release(struct file *f)
{
	struct hostfd *h = hostfd_of(f);

	if (h->watched)
		loop_watch_del(&h->watch);
	file_fini(f);
	mutex_fini(&h->lock);
	close(h->fd);
	free(h->text);
	free(h);
}

static const struct file_ops stream_ops = {
	.name = "host",
	.read = stream_read,
	.write = stream_write,
	.poll = stream_poll,
	.start_async = stream_start_async,
	.ioctl = host_ioctl,
	.stat = host_stat,
	.host_fd = host_host_fd,
	.describe = host_describe,
	.release = host_release,
};

static const struct file_ops plain_ops = {
	.name = "host",
	.read = plain_read,
	.write = plain_write,
	.lseek = plain_lseek,
	.ioctl = host_ioctl,
	.mmap = plain_mmap,
	.stat = host_stat,
	.fsync = plain_fsync,
	.truncate = plain_truncate,
	.fallocate = plain_fallocate,
	.host_fd = host_host_fd,
	.host_changed = plain_changed,
	.describe = host_describe,
	.release = host_release,
};

/* --- making ------------------------------------------------------------------------------------------------------------ */

static char *link_text(int fd)
{
	char link[64], text[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	return strdup(text);
}

/* A second, non-blocking description of a terminal or pipe; -1 where the host does not let us. */
static int reopen(int fd, int flags)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Devices without poll, like /dev/null, are refused by epoll and never block. */
static bool can_wait(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	bool can = ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0;

	if (ep >= 0)
		close(ep);
	return can;
}

static void classify(struct hostfd *h, const struct stat *st, int flags)
{
	/* A named FIFO is not opened anew: a reader without writers would never see its end. */
	bool pipe = S_ISFIFO(st->st_mode) && strncmp(h->text, "pipe:", 5) == 0;
	int own;

	if (S_ISSOCK(st->st_mode)) {
		h->kind = HOST_SOCKET;
	} else if (pipe || (S_ISCHR(st->st_mode) && isatty(h->fd))) {
		own = reopen(h->fd, flags);
		h->kind = own < 0 ? HOST_READY : HOST_OWN;
		if (own >= 0) {
			close(h->fd);
			h->fd = own;
		}
	} else {
		h->kind = can_wait(h->fd) ? HOST_READY : HOST_PLAIN;
	}
}

int hostfd_new(int host_fd, struct file **ret)
{
	struct hostfd *h;
	struct stat st;
	int flags = (int)HOST(fcntl(host_fd, F_GETFL)), r;

	if (flags < 0)
		return flags;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->fd = (int)HOST(fcntl(host_fd, F_DUPFD_CLOEXEC, 3));
	r = h->fd < 0 ? h->fd : (int)HOST(fstat(h->fd, &st));
	h->text = r < 0 ? NULL : link_text(h->fd);
	if (!h->text) {
		if (h->fd >= 0)
			close(h->fd);
		free(h);
		return r < 0 ? r : -ENOMEM;
	}
	h->id = (struct memobj_id){ st.st_dev, st.st_ino };
	classify(h, &st, flags);
	mutex_init(&h->lock);
	file_init(&h->file, h->kind == HOST_PLAIN ? &plain_ops : &stream_ops, flags);
	h->file.seekable = h->file.host_pos = h->kind == HOST_PLAIN && lseek(h->fd, 0, SEEK_CUR) >= 0;
	*ret = &h->file;
	return 0;
}
