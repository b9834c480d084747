/* SPDX-License-Identifier: MIT */
/*
 * Terminals in a guest's hands: threads and processes open pairs, type and write what comes, ask for anything, hang up,
 * take each other's terminals and stop each other, all at once. argv[1]: seed, argv[2]: rounds. The VMM lives.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define NFDS 24
#define NTHREADS 3

static _Atomic int fds[NFDS]; /* masters and slaves, shared by all threads: closed under each other */
static int rounds, ep;

struct rng { uint64_t x; };

static unsigned next(struct rng *r, unsigned n)
{
	r->x ^= r->x << 13;
	r->x ^= r->x >> 7;
	r->x ^= r->x << 17;
	return (unsigned)(r->x >> 20) % n;
}

static unsigned request(struct rng *r)
{
	static const unsigned all[] = {
		TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETA, TCSETA, TCFLSH, TCXONC, TCSBRK, FIONREAD, TIOCOUTQ, TIOCGWINSZ, TIOCSWINSZ,
		TIOCSCTTY, TIOCNOTTY, TIOCSPGRP, TIOCGPGRP, TIOCGSID, TIOCSTI, TIOCEXCL, TIOCNXCL, TIOCGPTN, TIOCSPTLCK, TIOCPKT,
		TIOCSIG, TIOCSETD, TIOCGETD, TIOCVHANGUP, 0x5441 /* TIOCGPTPEER */, 0x802c542a /* TCGETS2 */, 0x402c542b /* TCSETS2 */,
	};

	return next(r, 20) ? all[next(r, sizeof(all) / sizeof(all[0]))] : next(r, 1u << 31);
}

static void put(struct rng *r, int fd)
{
	int old = atomic_exchange(&fds[next(r, NFDS)], fd);

	if (old > 2)
		close(old);
}

static void make_pair(struct rng *r)
{
	int m = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	char name[64];

	if (m < 0)
		return;
	unlockpt(m);
	if (next(r, 2) && ptsname_r(m, name, sizeof(name)) == 0)
		put(r, open(name, O_RDWR | O_NONBLOCK | (next(r, 2) ? O_NOCTTY : 0)));
	epoll_ctl(ep, EPOLL_CTL_ADD, m, &(struct epoll_event){ .events = EPOLLIN | EPOLLET });
	put(r, m);
}

static void one(struct rng *r)
{
	unsigned char buf[3000];
	struct epoll_event ev;
	int fd = fds[next(r, NFDS)];
	size_t n = next(r, 10) ? next(r, 40) : next(r, sizeof(buf));

	switch (next(r, 12)) {
	case 0: make_pair(r); break;
	case 1: put(r, open("/dev/tty", O_RDWR | O_NONBLOCK)); break;
	case 2:
	case 3:
		for (size_t i = 0; i < n; i++)
			buf[i] = (unsigned char)next(r, next(r, 2) ? 40 : 256);
		(void)!write(fd, buf, n);
		break;
	case 4: (void)!read(fd, buf, n); break;
	case 5: epoll_wait(ep, &ev, 1, 0); break;
	case 6: fcntl(fd, F_SETFL, O_NONBLOCK); break;
	case 7:
		if (!next(r, 8))
			put(r, -1);
		break;
	default:
		for (size_t i = 0; i < 80; i++)
			buf[i] = (unsigned char)next(r, 256);
		ioctl(fd, request(r), next(r, 3) ? (unsigned long)buf : next(r, 2) ? next(r, 8) : (unsigned long)r->x);
		break;
	}
}

static void *play(void *arg)
{
	struct rng r = { (uintptr_t)arg * 0x9e3779b97f4a7c15u + 1 };

	for (int i = 0; i < rounds; i++)
		one(&r);
	return NULL;
}

static int session(unsigned long seed)
{
	struct rng r = { seed * 7919 + 5 };
	pthread_t t[NTHREADS];

	if (next(&r, 2))
		setsid();
	for (int sig = 1; sig < 32; sig++) /* what the keys send must not end it too early */
		if (sig != SIGSEGV && sig != SIGCHLD && sig != SIGALRM)
			signal(sig, SIG_IGN);
	alarm(100); /* a descriptor without O_NONBLOCK may come into play */
	for (unsigned long i = 0; i < NTHREADS; i++)
		pthread_create(&t[i], NULL, play, (void *)(seed * 100 + i + 1));
	for (int i = 0; i < NTHREADS; i++)
		pthread_join(t[i], NULL);
	return 0;
}

/* As many pairs as there are, with all that they can hold. */
static void exhaust(void)
{
	static char block[65536];
	int n = 0;

	for (int fd; n < 5000 && (fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)) >= 0; n++)
		(void)!write(fd, block, sizeof(block));
	printf("%d pairs, then %s\n", n, strerror(errno));
	closefrom(3);
}

int main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	int status;

	rounds = argc > 2 ? atoi(argv[2]) : 1000;
	exhaust();
	ep = epoll_create1(0);
	for (unsigned long i = 0; i < 3; i++)
		if (fork() == 0)
			_exit(session(seed * 10 + i));
	while (wait(&status) > 0 || errno == EINTR)
		;
	puts("done");
	return 0;
}
