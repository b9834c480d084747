/* SPDX-License-Identifier: MIT */
/*
 * A guest makes system calls with wild arguments, from several threads, reproducibly (argv[1]: seed,
 * argv[2]: calls a thread). Only for vmrun: natively this could hurt the host. It ends with status 0, or
 * by a signal that it sent itself; what is judged is that the VMM lives.
 */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 3

static unsigned long calls = 2000;
static uint64_t seed = 1;
static char *arena; /* valid memory, some of it read-only, followed by nothing */

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static uint64_t wild(uint64_t *s)
{
	switch (rnd(s) % 12) {
	case 0: return 0;
	case 1: return ~(uint64_t)0;
	case 2: return rnd(s);
	case 3: return rnd(s) % 16;
	case 4: return (uint64_t)arena + rnd(s) % 8192;
	case 5: return (uint64_t)arena + 8192 - rnd(s) % 16;
	case 6: return 0x7fffffffffff - rnd(s) % 8192;
	case 7: return 0xffff800000000000 + (rnd(s) & 0x7fffffffff000);
	case 8: return (uint64_t)1 << rnd(s) % 64;
	case 9: return -(rnd(s) % 5000);
	case 10: return 4096 * (rnd(s) % 64);
	default: return rnd(s) % 400;
	}
}

/* Calls that end or stop the test itself, or wait for ever by design. */
static int left_out(long nr)
{
	static const short no[] = {
		SYS_exit, SYS_exit_group, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigreturn, SYS_pause, SYS_fork, SYS_vfork,
		SYS_clone, SYS_clone3, SYS_rt_sigsuspend, SYS_execve, SYS_execveat, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
		SYS_munmap, SYS_mremap, SYS_mprotect, SYS_mmap, SYS_brk, SYS_arch_prctl, SYS_madvise, SYS_alarm, SYS_setitimer,
		SYS_timer_settime, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_sigaltstack, SYS_dup2, SYS_dup3, SYS_close,
		SYS_close_range, SYS_prlimit64, SYS_setrlimit, SYS_shmat, SYS_remap_file_pages, SYS_set_robust_list,
		SYS_set_tid_address, SYS_pidfd_send_signal, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex, SYS_poll, SYS_ppoll,
		SYS_select, SYS_pselect6, SYS_epoll_wait, SYS_epoll_pwait, SYS_rt_sigtimedwait, SYS_wait4, SYS_waitid, SYS_read,
		SYS_readv, SYS_flock, SYS_semop, SYS_semtimedop, SYS_msgsnd, SYS_msgrcv, SYS_mq_timedsend, SYS_mq_timedreceive, SYS_seccomp, SYS_prctl, SYS_unlink, SYS_unlinkat, SYS_rmdir, 449 /* futex_waitv */, 441 /* epoll_pwait2 */,
	};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (no[i] == nr)
			return 1;
	return 0;
}

static void *attack(void *arg)
{
	uint64_t s = seed * 7919 + (uintptr_t)arg + 1;

	for (unsigned long i = 0; i < calls; i++) {
		long nr = (long)(rnd(&s) % 470);

		if (rnd(&s) % 64 == 0)
			nr = (long)rnd(&s);
		if (!left_out(nr))
			syscall(nr, wild(&s), wild(&s), wild(&s), wild(&s), wild(&s), wild(&s));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS];

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		calls = strtoul(argv[2], NULL, 0);
	arena = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(arena + 4096, 4096, PROT_READ);
	munmap(arena + 8192, 8192);
	memset(arena, 'x', 4096);
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_IGN);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, attack, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	_exit(0);
}
