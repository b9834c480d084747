/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads quarrel over a few segments, sets and queues: made, used, removed and made again under one another's
 * hands, with wild pointers and sizes among the arguments, and filters of random instructions. argv[1]: seed, argv[2]: calls a
 * thread. What is judged is that the VMM lives; nothing here waits for ever: sleepers have time limits or an alarm.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEYS 4
#define THREADS 3
#define PROCESSES 3

static unsigned long calls = 1500;
static uint64_t seed = 1;
static char *arena;

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void *wild(uint64_t *s)
{
	switch (rnd(s) % 6) {
	case 0: return NULL;
	case 1: return (void *)(uintptr_t)rnd(s);
	case 2: return (void *)(uintptr_t)(0x7fffffffffff - rnd(s) % 8192);
	case 3: return arena + 8192 - rnd(s) % 64;
	default: return arena + rnd(s) % 4096;
	}
}

static key_t key_of(uint64_t *s) { return (key_t)(0x77000000 + rnd(s) % KEYS); }

static void use_shm(uint64_t *s)
{
	int id = shmget(key_of(s), (rnd(s) % 5) * 4096, (rnd(s) % 2 ? IPC_CREAT : 0) | 0666);
	void *p;

	if (rnd(s) % 8 == 0)
		id = (int)rnd(s);
	switch (rnd(s) % 6) {
	case 0:
		shmctl(id, IPC_RMID, NULL);
		break;
	case 1:
		shmctl(id, (int)(rnd(s) % 20), wild(s));
		break;
	case 2:
		syscall(SYS_shmdt, (uintptr_t)wild(s) & ~4095ul);
		break;
	default:
		p = shmat(id, NULL, (int)(rnd(s) % 2) * SHM_RDONLY);
		if (p == (void *)-1)
			break;
		if (rnd(s) % 2 && fork() == 0)
			_exit(*(volatile char *)p);
		if (rnd(s) % 4)
			shmdt(p);
		break;
	}
}

static void use_sem(uint64_t *s)
{
	struct timespec soon = { 0, (long)(rnd(s) % 2000000) };
	int id = semget(key_of(s), (int)(rnd(s) % 6), (rnd(s) % 2 ? IPC_CREAT : 0) | 0666);
	struct sembuf ops[4];

	for (int i = 0; i < 4; i++)
		ops[i] = (struct sembuf){ (unsigned short)(rnd(s) % 5), (short)(rnd(s) % 5 - 2),
					  (short)((rnd(s) % 2 ? SEM_UNDO : 0) | (rnd(s) % 3 ? 0 : IPC_NOWAIT)) };
	switch (rnd(s) % 8) {
	case 0:
		semctl(id, 0, IPC_RMID);
		break;
	case 1:
		syscall(SYS_semctl, id, (int)(rnd(s) % 8), (int)(rnd(s) % 24), wild(s));
		break;
	case 2:
		syscall(SYS_semtimedop, id, wild(s), rnd(s) % 600, &soon);
		break;
	default:
		semtimedop(id, ops, 1 + rnd(s) % 4, &soon);
		break;
	}
}

static void use_msg(uint64_t *s)
{
	int id = msgget(key_of(s), (rnd(s) % 2 ? IPC_CREAT : 0) | 0666);

	switch (rnd(s) % 6) {
	case 0:
		msgctl(id, IPC_RMID, NULL);
		break;
	case 1:
		syscall(SYS_msgctl, id, (int)(rnd(s) % 16), wild(s));
		break;
	case 2:
	case 3:
		syscall(SYS_msgsnd, id, wild(s), rnd(s) % 9000, IPC_NOWAIT);
		break;
	default:
		syscall(SYS_msgrcv, id, wild(s), rnd(s) % 9000, (long)(rnd(s) % 7) - 3, IPC_NOWAIT | (int)(rnd(s) & 070000));
		break;
	}
}

static void use_mq(uint64_t *s)
{
	struct timespec soon;
	char name[16];
	mqd_t q;

	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec = (soon.tv_nsec + 1000000) % 1000000000;
	snprintf(name, sizeof(name), "/w%d", (int)(rnd(s) % KEYS));
	q = mq_open(name, O_CREAT | O_RDWR | (rnd(s) % 2 ? O_NONBLOCK : 0), 0666, NULL);
	switch (rnd(s) % 6) {
	case 0:
		mq_unlink(name);
		break;
	case 1:
		syscall(SYS_mq_notify, q, rnd(s) % 2 ? wild(s) : NULL);
		break;
	case 2:
		syscall(SYS_mq_getsetattr, q, wild(s), wild(s));
		break;
	case 3:
		syscall(SYS_mq_timedreceive, q, wild(s), 8192 + rnd(s) % 2, wild(s), &soon);
		break;
	default:
		syscall(SYS_mq_timedsend, q, wild(s), rnd(s) % 8300, rnd(s) % 40000, &soon);
		break;
	}
	mq_close(q);
}

/* In a child: it may well be killed by what it installs. */
static void use_filter(uint64_t *s)
{
	struct sock_filter f[24];
	struct sock_fprog p = { (unsigned short)(1 + rnd(s) % 24), f };

	if (fork())
		return;
	for (int i = 0; i < 24; i++)
		f[i] = (struct sock_filter){ (uint16_t)(rnd(s) % 0x100), (uint8_t)(rnd(s) % 6), (uint8_t)(rnd(s) % 6), (uint32_t)(rnd(s) % 80) };
	f[p.len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, rnd(s) % 40, rnd(s) % 4 ? (void *)&p : wild(s));
	syscall(SYS_getppid);
	_exit(0);
}

static void *quarrel(void *arg)
{
	uint64_t s = seed * 7919 + (uintptr_t)arg * 104729 + 1;

	for (unsigned long i = 0; i < calls; i++) {
		switch (rnd(&s) % 20) {
		case 0:
			use_filter(&s);
			break;
		case 1: case 2: case 3: case 4:
			use_shm(&s);
			break;
		case 5: case 6: case 7: case 8: case 9:
			use_msg(&s);
			break;
		case 10: case 11: case 12: case 13:
			use_mq(&s);
			break;
		default:
			use_sem(&s);
			break;
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return NULL;
}

static int work(long process)
{
	pthread_t t[THREADS];

	alarm(100);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, quarrel, (void *)(process * THREADS + i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		calls = strtoul(argv[2], NULL, 0);
	arena = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(arena + 8192, 8192);
	for (long i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			_exit(work(i));
	while (wait(NULL) > 0)
		;
	puts("over");
	return 0;
}
