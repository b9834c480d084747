/* SPDX-License-Identifier: MIT */
/*
 * fork(2): what becomes of memory (copies, shared maps, advice), what else a child inherits and what not, and
 * many processes at once.
 */
#include "tests/lib/child.h"
#include "tests/lib/maps.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>

#define MIB ((size_t)1 << 20)

static char *map(size_t size, int flags)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

static void fill(char *p, size_t size, int seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		*(int *)(void *)(p + i) = seed + (int)(i / PAGE);
}

static int filled(const char *p, size_t size, int seed)
{
	for (size_t i = 0; i < size; i += PAGE)
		CHECK(*(const int *)(p + i) == seed + (int)(i / PAGE));
	return 0;
}

/* --- copies ----------------------------------------------------------------------------------------------------- */

struct area { char *p; size_t size; };

static int check_and_change(void *arg)
{
	struct area *a = arg;

	CHECK(filled(a->p, a->size, 100) == 0);
	fill(a->p, a->size, 900);
	CHECK(filled(a->p, a->size, 900) == 0);
	return 0;
}

static void private_memory_is_copied(void **state)
{
	static const size_t sizes[] = { PAGE, 20 * PAGE, MIB, 3 * MIB + 5 * PAGE, 64 * MIB };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct area a = { map(sizes[i], MAP_PRIVATE), sizes[i] };

		fill(a.p, a.size, 100);
		IN_CHILD(check_and_change, &a);
		assert_int_equal(filled(a.p, a.size, 100), 0);
		/* While the child lives, the parent changes; the child sees nothing of it. */
		struct gate g;
		gate_make(&g);
		pid_t pid = fork();
		if (pid == 0) {
			gate_wait(&g);
			_exit(check_and_change(&a));
		}
		ASSERT_OK(pid);
		fill(a.p, a.size, 500);
		gate_open(&g);
		ASSERT_CHILD_OK(pid);
		assert_int_equal(filled(a.p, a.size, 500), 0);
		munmap(a.p, a.size);
	}
}

static int descend(struct area *a, int depth)
{
	int status;

	CHECK(filled(a->p, a->size, depth * 1000) == 0);
	if (depth == 8)
		return 0;
	pid_t pid = fork();
	if (pid == 0) {
		fill(a->p, a->size, (depth + 1) * 1000);
		_exit(descend(a, depth + 1));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(a->p, a->size, depth * 1000) == 0);
	return 0;
}

static void generations_keep_their_own(void **state)
{
	struct area a = { map(4 * MIB, MAP_PRIVATE), 4 * MIB };

	fill(a.p, a.size, 0);
	assert_int_equal(descend(&a, 0), 0);
	munmap(a.p, a.size);
}

static int calls_write(void *arg)
{
	struct area *a = arg;
	int p[2];

	/* A call that writes to memory copies as a store would. */
	CHECK(pipe(p) == 0 && write(p[1], "ABCD", 4) == 4);
	CHECK(read(p[0], a->p + a->size / 2, 4) == 4);
	CHECK(!memcmp(a->p + a->size / 2, "ABCD", 4));
	CHECK(lseek(*(int *)(a->p + a->size), 0, SEEK_SET) == 0);
	CHECK(read(*(int *)(a->p + a->size), a->p, a->size) == (ssize_t)a->size);
	return filled(a->p, a->size, 7);
}

static void calls_write_to_copies(void **state)
{
	size_t size = 4 * MIB;
	struct area a = { map(size + PAGE, MAP_PRIVATE), size };
	int fd = (int)ASSERT_OK(open("data", O_RDWR | O_CREAT | O_TRUNC, 0600));

	fill(a.p, size, 7);
	assert_int_equal(write(fd, a.p, size), size);
	fill(a.p, size, 100);
	*(int *)(a.p + size) = fd;
	IN_CHILD(calls_write, &a);
	assert_int_equal(filled(a.p, size, 100), 0);
	close(fd);
	munmap(a.p, size + PAGE);
}

static int change_shared(void *arg)
{
	struct area *a = arg;

	CHECK(filled(a->p, a->size, 100) == 0);
	fill(a->p, a->size, 900);
	return 0;
}

static void shared_memory_stays_shared(void **state)
{
	struct area a = { map(3 * MIB, MAP_SHARED), 3 * MIB };

	fill(a.p, a.size, 100);
	IN_CHILD(change_shared, &a);
	assert_int_equal(filled(a.p, a.size, 900), 0);
	munmap(a.p, a.size);

	int fd = (int)ASSERT_OK(open("shared", O_RDWR | O_CREAT | O_TRUNC, 0600));
	ASSERT_OK(ftruncate(fd, MIB));
	a = (struct area){ mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MIB };
	assert_true(a.p != MAP_FAILED);
	fill(a.p, a.size, 100);
	IN_CHILD(change_shared, &a);
	assert_int_equal(filled(a.p, a.size, 900), 0);
	int v;
	assert_int_equal(pread(fd, &v, sizeof(v), 5 * PAGE), sizeof(v));
	assert_int_equal(v, 905);
	munmap(a.p, a.size);

	/* Pages that nobody has touched yet are one thing, too. */
	a = (struct area){ map(MIB, MAP_SHARED), MIB };
	pid_t pid = fork();
	if (pid == 0) {
		fill(a.p, a.size, 3);
		_exit(0);
	}
	ASSERT_CHILD_OK(pid);
	assert_int_equal(filled(a.p, a.size, 3), 0);
	munmap(a.p, a.size);
	close(fd);
}

static void private_maps_of_files_are_copied(void **state)
{
	int fd = (int)ASSERT_OK(open("private", O_RDWR | O_CREAT | O_TRUNC, 0600));
	struct area a = { map(MIB, MAP_PRIVATE), MIB };

	fill(a.p, a.size, 100);
	assert_int_equal(write(fd, a.p, a.size), a.size);
	munmap(a.p, a.size);
	a.p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(a.p != MAP_FAILED);
	*(int *)(a.p + 9 * PAGE) = 109; /* one is ours already */
	IN_CHILD(check_and_change, &a);
	assert_int_equal(filled(a.p, a.size, 100), 0);
	munmap(a.p, a.size);
	close(fd);
}

/* --- advice ---------------------------------------------------------------------------------------------------------- */

static int is_mapped(const char *p)
{
	unsigned char vec;

	return mincore((void *)p, PAGE, &vec) == 0;
}

static int check_advice(void *arg)
{
	char *p = arg;

	CHECK(is_mapped(p) && !is_mapped(p + PAGE) && is_mapped(p + 2 * PAGE));
	CHECK(*(int *)(p + 2 * PAGE) == 0);     /* wiped */
	CHECK(*(int *)(p + 3 * PAGE) == 103);
	CHECK(*(int *)(p + 4 * PAGE) == 104);
	*(int *)(p + 2 * PAGE) = 5;
	/* Advice stays with the child's areas. */
	pid_t pid = fork();
	if (pid == 0)
		_exit(*(int *)(p + 2 * PAGE) != 0);
	return child_status(pid) != 0;
}

static void advice_decides_what_a_child_gets(void **state)
{
	char *p = map(5 * PAGE, MAP_PRIVATE);

	fill(p, 5 * PAGE, 100);
	ASSERT_OK(madvise(p + PAGE, PAGE, MADV_DONTFORK));
	ASSERT_OK(madvise(p + 2 * PAGE, PAGE, MADV_WIPEONFORK));
	ASSERT_OK(madvise(p + 3 * PAGE, PAGE, MADV_DONTFORK));
	ASSERT_OK(madvise(p + 3 * PAGE, PAGE, MADV_DOFORK));
	ASSERT_OK(madvise(p + 4 * PAGE, PAGE, MADV_WIPEONFORK));
	ASSERT_OK(madvise(p + 4 * PAGE, PAGE, MADV_KEEPONFORK));
	IN_CHILD(check_advice, p);
	assert_int_equal(filled(p, 5 * PAGE, 100), 0);
	munmap(p, 5 * PAGE);
	p = map(PAGE, MAP_SHARED);
	ASSERT_ERR(madvise(p, PAGE, MADV_WIPEONFORK), EINVAL);
	munmap(p, PAGE);
}

static int locked_kb(void)
{
	char text[4096], *at;

	if (proc_read("/proc/self/status", text, sizeof(text)) <= 0)
		return -1;
	at = strstr(text, "VmLck:");
	return at ? atoi(at + 6) : -1;
}

static int nothing_is_locked(void *arg)
{
	return locked_kb() != 0;
}

static void memory_locks_are_not_inherited(void **state)
{
	char *p = map(4 * PAGE, MAP_PRIVATE);

	ASSERT_OK(mlock(p, 4 * PAGE));
	assert_int_equal(locked_kb(), 16);
	IN_CHILD(nothing_is_locked, NULL);
	assert_int_equal(locked_kb(), 16);
	munmap(p, 4 * PAGE);
}

static int own_break(void *arg)
{
	char *end = sbrk(0);

	CHECK(sbrk(10 * PAGE) == end);
	memset(end, 1, 10 * PAGE);
	CHECK(mprotect(arg, PAGE, PROT_NONE) == 0);
	CHECK(munmap((char *)arg + PAGE, PAGE) == 0);
	return 0;
}

static void areas_are_the_childs_own(void **state)
{
	char *p = map(2 * PAGE, MAP_PRIVATE), *end = sbrk(0);

	fill(p, 2 * PAGE, 1);
	IN_CHILD(own_break, p);
	assert_ptr_equal(sbrk(0), end);
	assert_int_equal(filled(p, 2 * PAGE, 1), 0);
	munmap(p, 2 * PAGE);
}

/* --- threads --------------------------------------------------------------------------------------------------------------- */

static atomic_int stop;

/* Both words of a page are equal but for a moment; all pages of a round are. */
static void *write_for_ever(void *arg)
{
	volatile int *p = arg;

	for (int round = 1; !stop; round++)
		for (int i = 0; i < 64; i++) {
			p[i * 1024] = round;
			p[i * 1024 + 1] = round;
		}
	return NULL;
}

static int is_consistent(volatile int *p)
{
	int torn = 0;

	for (int i = 0; i < 64; i++)
		torn += p[i * 1024] != p[i * 1024 + 1];
	CHECK(torn <= 1);
	for (int i = 1; i < 64; i++)
		CHECK(p[i * 1024] == p[i * 1024 - 1024] || p[i * 1024] == p[i * 1024 - 1024] - 1);
	return 0;
}

static void a_fork_sees_one_moment_of_other_threads(void **state)
{
	/* More than is copied at once, so that pages are shared, and a small one */
	static const size_t sizes[] = { 64 * PAGE, 4 * MIB };

	for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
		char *p = map(sizes[k], MAP_PRIVATE);
		pthread_t t;

		memset(p, 0, sizes[k]);
		stop = 0;
		ASSERT_RET(pthread_create(&t, NULL, write_for_ever, p), 0);
		for (int i = 0; i < 30; i++) {
			pid_t pid = fork();

			if (pid == 0)
				_exit(is_consistent((int *)p));
			ASSERT_CHILD_OK((pid_t)ASSERT_OK(pid));
		}
		stop = 1;
		ASSERT_RET(pthread_join(t, NULL), 0);
		munmap(p, sizes[k]);
	}
}

static void *fork_often(void *arg)
{
	for (int i = 0; i < 20; i++) {
		int status, code = (int)(intptr_t)arg * 20 + i;
		pid_t pid = fork();

		if (pid == 0)
			_exit(code);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != code)
			return (void *)1;
	}
	return NULL;
}

static void threads_fork_at_the_same_time(void **state)
{
	pthread_t t[8];
	void *r;

	for (intptr_t i = 0; i < 8; i++)
		ASSERT_RET(pthread_create(&t[i], NULL, fork_often, (void *)i), 0);
	for (int i = 0; i < 8; i++) {
		ASSERT_RET(pthread_join(t[i], &r), 0);
		assert_null(r);
	}
}

/* --- what else ----------------------------------------------------------------------------------------------------------------- */

static int inherits(void *arg)
{
	struct itimerval it;
	struct rlimit lim;
	struct tms t;
	sigset_t set;
	char c;

	CHECK(sigpending(&set) == 0 && !sigismember(&set, SIGUSR1));
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR1));
	CHECK(getitimer(ITIMER_REAL, &it) == 0 && it.it_value.tv_sec == 0 && it.it_value.tv_usec == 0);
	CHECK(times(&t) >= 0 && t.tms_cutime == 0 && t.tms_cstime == 0);
	CHECK(getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_cur == 12345);
	CHECK(umask(0) == 0137);
	CHECK(getpgrp() == getpgid(getppid()) && getsid(0) == getsid(getppid()));
	CHECK(read(*(int *)arg, &c, 1) == 1 && c == 'b');       /* one position for both */
	CHECK(close(*(int *)arg) == 0);
	return 0;
}

static void a_child_inherits_some_and_starts_with_others(void **state)
{
	int fd = (int)ASSERT_OK(open("abc", O_RDWR | O_CREAT | O_TRUNC, 0600));
	struct itimerval it = { .it_value.tv_sec = 1000 }, off = { 0 };
	struct rlimit old, lim;
	sigset_t set, was;
	char c;

	assert_int_equal(write(fd, "abc", 3), 3);
	ASSERT_OK(lseek(fd, 1, SEEK_SET));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &set, &was));
	raise(SIGUSR1);
	ASSERT_OK(setitimer(ITIMER_REAL, &it, NULL));
	ASSERT_OK(getrlimit(RLIMIT_CORE, &old));
	lim = old;
	lim.rlim_cur = 12345;
	mode_t mask = umask(0137);
	int has = setrlimit(RLIMIT_CORE, &lim) == 0;
	if (has)
		IN_CHILD(inherits, &fd);
	umask(mask);
	ASSERT_OK(setrlimit(RLIMIT_CORE, &old));
	ASSERT_OK(setitimer(ITIMER_REAL, &off, NULL));
	if (has) {
		assert_int_equal(read(fd, &c, 1), 1);
		assert_int_equal(c, 'c');
	}
	signal(SIGUSR1, SIG_IGN);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &was, NULL));
	signal(SIGUSR1, SIG_DFL);
	close(fd);
}

static volatile sig_atomic_t forked;

static void fork_in_handler(int sig)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(21);
	forked = pid;
}

static void a_handler_may_fork(void **state)
{
	signal(SIGUSR1, fork_in_handler);
	raise(SIGUSR1);
	assert_true(forked > 0);
	assert_int_equal(child_status(forked), 21 << 8);
	signal(SIGUSR1, SIG_DFL);
}

/* The child is the one who goes on in its own frame of the handler. */
static volatile sig_atomic_t goes_on;

static void fork_and_return(int sig)
{
	forked = fork();
	goes_on = goes_on + 1;
}

static void a_child_may_return_from_the_handler(void **state)
{
	signal(SIGUSR1, fork_and_return);
	goes_on = 0;
	raise(SIGUSR1);
	if (forked == 0)
		_exit(goes_on == 1 ? 33 : 1);
	assert_int_equal(child_status(forked), 33 << 8);
	signal(SIGUSR1, SIG_DFL);
}

/* --- many ---------------------------------------------------------------------------------------------------------------------------- */

static void a_thousand_processes_live_at_once(void **state)
{
	enum { N = 1000 };
	int p[2], status, sum = 0;
	struct gate g;
	char c;

	gate_make(&g);
	ASSERT_OK(pipe(p));
	for (int i = 0; i < N; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)!write(p[1], "x", 1);
			gate_wait(&g);
			_exit(i % 7);
		}
		ASSERT_OK(pid);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(read(p[0], &c, 1), 1);
	gate_open(&g);
	for (int i = 0; i < N; i++) {
		assert_true(waitpid(-1, &status, 0) > 0);
		sum += WEXITSTATUS(status);
	}
	assert_int_equal(sum, 142 * 21 + 0 + 1 + 2 + 3 + 4 + 5);
	ASSERT_ERR(waitpid(-1, &status, 0), ECHILD);
	close(p[0]);
	close(p[1]);
}

static int tree(int depth)
{
	pid_t pid[3];
	int status, sum = 1;

	if (depth == 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			_exit(tree(depth - 1));
	}
	for (int i = 0; i < 3; i++) {
		if (pid[i] < 0 || waitpid(pid[i], &status, 0) != pid[i])
			return 0;
		sum += WEXITSTATUS(status);
	}
	return sum;
}

static void trees_of_processes_grow_and_fall(void **state)
{
	assert_int_equal(tree(4), 121);
}

static void vfork_and_fork_mix(void **state)
{
	char *p = map(MIB, MAP_PRIVATE);

	fill(p, MIB, 1);
	for (int i = 0; i < 50; i++) {
		volatile int seen = 0;
		pid_t a = fork();

		if (a == 0)
			_exit(filled(p, MIB, 1));
		pid_t b = vfork();
		if (b == 0) {
			seen = 1;
			_exit(2);
		}
		assert_int_equal(seen, 1);
		assert_int_equal(child_status(b), 2 << 8);
		ASSERT_CHILD_OK(a);
	}
	munmap(p, MIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_memory_is_copied),
		cmocka_unit_test(generations_keep_their_own),
		cmocka_unit_test(calls_write_to_copies),
		cmocka_unit_test(shared_memory_stays_shared),
		cmocka_unit_test(private_maps_of_files_are_copied),
		cmocka_unit_test(advice_decides_what_a_child_gets),
		cmocka_unit_test(memory_locks_are_not_inherited),
		cmocka_unit_test(areas_are_the_childs_own),
		cmocka_unit_test(a_fork_sees_one_moment_of_other_threads),
		cmocka_unit_test(threads_fork_at_the_same_time),
		cmocka_unit_test(a_child_inherits_some_and_starts_with_others),
		cmocka_unit_test(a_handler_may_fork),
		cmocka_unit_test(a_child_may_return_from_the_handler),
		cmocka_unit_test(a_thousand_processes_live_at_once),
		cmocka_unit_test(trees_of_processes_grow_and_fall),
		cmocka_unit_test(vfork_and_fork_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
