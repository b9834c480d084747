/* SPDX-License-Identifier: MIT */
/*
 * A guest takes what it can get: memory (touch), memory through a file in /dev/shm (shm), descriptors (fds),
 * threads (threads), what System V IPC keeps for it (ipc). argv[1] says which. It must be told by an errno, or die of SIGKILL as under Linux' OOM
 * killer; the VMM lives and ends as the guest did.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <unistd.h>

static int touch(void)
{
	for (size_t n = 0; n < 4096; n++) { /* 16 GiB at most: more than the test gives */
		char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return errno == ENOMEM ? 0 : 1;
		memset(p, 1, 4 << 20);
	}
	return 2;
}

static int shm(void)
{
	static char block[1 << 20];
	int fd = open("/dev/shm/exhaust", O_RDWR | O_CREAT, 0600);

	for (size_t n = 0; n < 16384; n++)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			return errno == ENOSPC || errno == ENOMEM || errno == 0 ? 0 : 1;
	return 2;
}

static int fds(void)
{
	for (int n = 0; n < 2000000; n++)
		if (open("/dev/null", O_RDONLY) < 0)
			return errno == EMFILE || errno == ENFILE ? 0 : 1;
	return 2;
}

static void *sleeper(void *arg)
{
	pause();
	return arg;
}

static int threads(void)
{
	pthread_attr_t a;
	pthread_t t;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 64 << 10);
	for (int n = 0; n < 100000; n++) {
		int r = pthread_create(&t, &a, sleeper, NULL);

		if (r)
			return (r == EAGAIN || r == ENOMEM) && n > 500 ? 0 : 1;
	}
	return 2;
}

/* Queues and sets until neither can be had, then filled: memory of the VMM's own stands behind them. */
static int ipc(void)
{
	static struct { long type; char text[8192]; } m = { .type = 1 };
	int sets = 0, queues = 0, sent = 0;

	while (sets < 40000 && semget(IPC_PRIVATE, 32000, 0600) >= 0)
		sets++;
	if (errno != ENOSPC && errno != ENOMEM)
		return 1;
	for (int id; queues < 40000 && (id = msgget(IPC_PRIVATE, 0600)) >= 0; queues++)
		while (msgsnd(id, &m, sizeof(m.text), IPC_NOWAIT) == 0)
			sent++;
	if (errno != ENOSPC && errno != ENOMEM)
		return 2;
	printf("%d sets, %d queues, %d messages\n", sets, queues, sent);
	return sets < 40000 && queues < 40000 ? 0 : 3;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int r = !strcmp(what, "touch") ? touch() : !strcmp(what, "shm") ? shm() : !strcmp(what, "fds") ? fds() :
		!strcmp(what, "ipc") ? ipc() : threads();

	printf("%s: %d\n", what, r);
	return r;
}
