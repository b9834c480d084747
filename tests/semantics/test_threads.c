/* SPDX-License-Identifier: MIT */
/*
 * Threads: clone(2) and clone3(2) as libraries use them and their errors, TLS, identities, names,
 * ending one thread, set_tid_address(2), robust lists, stack guards, cancellation.
 * Futexes by themselves are in test_futex.c, signals between threads in test_signal.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <asm/prctl.h>
#include <dirent.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static long raw_futex(void *word, int op, unsigned int val)
{
	return syscall(SYS_futex, word, op, val, NULL, NULL, 0);
}

/* Wait until the kernel has cleared a thread's word, as pthread_join does. */
static bool wait_cleared(atomic_int *word)
{
	struct timespec ts = { 10, 0 };
	int tid;

	while ((tid = *word) != 0)
		if (syscall(SYS_futex, word, FUTEX_WAIT, tid, &ts, NULL, 0) == -1 &&
		    errno == ETIMEDOUT)
			return false;
	return true;
}

static void *give_back(void *arg)
{
	return (char *)arg + 1;
}

static void join_returns_the_value(void **state)
{
	pthread_t t;
	void *ret;
	char base[2];

	for (int i = 0; i < 50; i++) {
		ASSERT_RET(pthread_create(&t, NULL, give_back, base), 0);
		ASSERT_RET(pthread_join(t, &ret), 0);
		assert_ptr_equal(ret, base + 1);
	}
}

static __thread int tls_zero;
static __thread int tls_set = 42;

struct identity {
	int pid, tid, zero, set, err;
	unsigned long fs;
	void *tls_addr;
};

static void *identify(void *arg)
{
	struct identity *id = arg;

	id->pid = getpid();
	id->tid = gettid();
	id->zero = tls_zero;
	id->set = tls_set;
	id->tls_addr = &tls_zero;
	syscall(SYS_arch_prctl, ARCH_GET_FS, &id->fs);
	tls_zero = tls_set = 7;
	close(-1);
	id->err = errno;
	return NULL;
}

static void threads_share_pid_but_have_own_tid_tls_and_errno(void **state)
{
	struct identity id[2];
	pthread_t t;
	unsigned long fs = 0;

	assert_int_equal(getpid(), gettid());
	ASSERT_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	tls_zero = 100;
	errno = ENOTTY;
	for (int i = 0; i < 2; i++) {
		ASSERT_RET(pthread_create(&t, NULL, identify, &id[i]), 0);
		ASSERT_RET(pthread_join(t, NULL), 0);
		assert_int_equal(id[i].pid, getpid());
		assert_int_not_equal(id[i].tid, getpid());
		assert_int_equal(id[i].zero, 0);
		assert_int_equal(id[i].set, 42);
		assert_int_equal(id[i].err, EBADF);
		assert_true(id[i].fs != fs);
		assert_ptr_not_equal(id[i].tls_addr, &tls_zero);
	}
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(tls_zero, 100);
	assert_true(id[0].tid != id[1].tid);
}

enum { MANY = 300 };
static pthread_barrier_t many_barrier;
static atomic_int many_sum;

static void *be_many(void *arg)
{
	pthread_barrier_wait(&many_barrier);    /* all are alive */
	pthread_barrier_wait(&many_barrier);    /* counted */
	atomic_fetch_add(&many_sum, (int)(intptr_t)arg);
	return NULL;
}

static int count_task_entries(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

static void three_hundred_threads_live_at_once(void **state)
{
	static pthread_t t[MANY];
	pthread_attr_t attr;

	ASSERT_RET(pthread_barrier_init(&many_barrier, NULL, MANY + 1), 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	for (int i = 0; i < MANY; i++)
		ASSERT_RET(pthread_create(&t[i], &attr, be_many, (void *)(intptr_t)i), 0);
	pthread_barrier_wait(&many_barrier);
	assert_int_equal(status_number("Threads"), MANY + 1);
	assert_int_equal(count_task_entries(), MANY + 1);
	pthread_barrier_wait(&many_barrier);
	for (int i = 0; i < MANY; i++)
		ASSERT_RET(pthread_join(t[i], NULL), 0);
	assert_int_equal(many_sum, MANY * (MANY - 1) / 2);
	assert_true(EVENTUALLY(count_task_entries() == 1));
	pthread_attr_destroy(&attr);
	pthread_barrier_destroy(&many_barrier);
}

static void clone_refuses_flags_that_do_not_go_together(void **state)
{
	const struct { const char *what; unsigned long flags; } c[] = {
		{ "THREAD without SIGHAND",      CLONE_VM | CLONE_THREAD },
		{ "SIGHAND without VM",          CLONE_SIGHAND },
		{ "THREAD, SIGHAND without VM",  CLONE_SIGHAND | CLONE_THREAD },
		{ "NEWNS with FS",               CLONE_NEWNS | CLONE_FS },
		{ "NEWUSER with FS",             CLONE_NEWUSER | CLONE_FS },
		{ "PIDFD with PARENT_SETTID",    CLONE_PIDFD | CLONE_PARENT_SETTID },
		{ "NEWPID with THREAD",          THREAD_FLAGS | CLONE_NEWPID },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		long r = syscall(SYS_clone, c[i].flags, 0, &r, &r, 0);
		if (r == 0)
			syscall(SYS_exit, 1);
		if (r != -1 || errno != EINVAL)
			fail_msg("%s: got %ld/%s", c[i].what, r, errno_name(errno));
	}
}

static void clone3_reports_errors(void **state)
{
	static char stack[4096];
	struct { struct clone_args a; uint64_t more[512]; } big;
	const uint64_t sp = (uintptr_t)stack;
	const struct { const char *what; struct clone_args a; size_t size; int err; } c[] = {
		{ "size below version 0", { 0 }, 63, EINVAL },
		{ "size above a page", { 0 }, 4097, E2BIG },
		{ "unknown flag", { .flags = 1ULL << 40 }, 88, EINVAL },
		{ "signal in flags", { .flags = SIGCHLD }, 88, EINVAL },
		{ "bad signal", { .exit_signal = 65 }, 88, EINVAL },
		{ "huge signal", { .exit_signal = 1ULL << 40 }, 88, EINVAL },
		{ "thread with signal", { .flags = THREAD_FLAGS, .exit_signal = SIGCHLD }, 88, EINVAL },
		{ "stack without size", { .stack = sp }, 88, EINVAL },
		{ "size without stack", { .stack_size = 4096 }, 88, EINVAL },
		{ "DETACHED", { .flags = CLONE_DETACHED }, 88, EINVAL },
		{ "thread without sighand", { .flags = CLONE_THREAD | CLONE_VM }, 88, EINVAL },
		{ "sighand both ways",
		  { .flags = CLONE_VM | CLONE_SIGHAND | CLONE_CLEAR_SIGHAND }, 88, EINVAL },
		{ "set_tid too long", { .set_tid = sp, .set_tid_size = 33 }, 88, EINVAL },
		{ "set_tid without size", { .set_tid = sp }, 88, EINVAL },
		{ "set_tid size alone", { .set_tid_size = 1 }, 88, EINVAL },
		{ "stack not of this space", { .stack = 1ULL << 62, .stack_size = 4096 }, 88, EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		memset(&big, 0, sizeof(big));
		big.a = c[i].a;
		errno = 0;
		long r = syscall(SYS_clone3, &big, c[i].size);
		if (r == 0)
			syscall(SYS_exit, 1);
		if (r != -1 || errno != c[i].err)
			fail_msg("%s: got %ld/%s, want %s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	memset(&big, 0, sizeof(big));
	big.more[100] = 1;
	ASSERT_ERR(syscall(SYS_clone3, &big, 2048), E2BIG);     /* unknown fields must be zero */
	ASSERT_ERR(syscall(SYS_clone3, (void *)8, 88), EFAULT);
}

/* A thread made by hand: no library state, so only system calls in it. */
struct raw_thread {
	atomic_int child_tid;           /* CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID */
	atomic_int parent_tid;          /* CLONE_PARENT_SETTID */
	atomic_int seen_tid, set_tid_result, go;
	atomic_int other_word;          /* set_tid_address */
};

static int raw_body(void *arg)
{
	struct raw_thread *rt = arg;

	while (!rt->go)
		raw_futex(&rt->go, FUTEX_WAIT, 0);
	rt->seen_tid = (int)syscall(SYS_gettid);
	return 0;
}

static int raw_body_other_word(void *arg)
{
	struct raw_thread *rt = arg;

	rt->seen_tid = (int)syscall(SYS_gettid);
	rt->other_word = rt->seen_tid;
	rt->set_tid_result = (int)syscall(SYS_set_tid_address, &rt->other_word);
	return 0;
}

static void clone_sets_and_clears_tid_words_and_wakes(void **state)
{
	static char stack[65536] __attribute__((aligned(16)));
	static struct raw_thread rt;
	int tid = clone(raw_body, stack + sizeof(stack),
			THREAD_FLAGS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
			&rt, &rt.parent_tid, NULL, &rt.child_tid);

	assert_true(tid > 0);
	assert_int_equal(rt.parent_tid, tid);   /* already when clone returns */
	rt.go = 1;
	raw_futex(&rt.go, FUTEX_WAKE, 1);
	assert_true(EVENTUALLY(rt.seen_tid == tid));
	assert_true(wait_cleared(&rt.child_tid));
	assert_int_equal(rt.parent_tid, tid);
	ASSERT_OK(tid);
	assert_true(EVENTUALLY(syscall(SYS_tgkill, getpid(), tid, 0) == -1));
	ASSERT_ERR(syscall(SYS_tgkill, getpid(), tid, 0), ESRCH);
}

static void set_tid_address_moves_the_word_to_clear(void **state)
{
	static char stack[65536] __attribute__((aligned(16)));
	static struct raw_thread rt;
	int tid = clone(raw_body_other_word, stack + sizeof(stack), THREAD_FLAGS | CLONE_CHILD_CLEARTID,
			&rt, NULL, NULL, &rt.child_tid);

	assert_true(tid > 0);
	rt.child_tid = 5;
	assert_true(EVENTUALLY(rt.set_tid_result == tid));      /* returns the caller's tid */
	assert_true(wait_cleared(&rt.other_word));
	assert_int_equal(rt.child_tid, 5);
	assert_true(EVENTUALLY(syscall(SYS_tgkill, getpid(), tid, 0) == -1));
}

/* clone3 by hand: the child starts on the given stack's top with its own FS and leaves at once. */
static long clone3_thread(struct clone_args *a, size_t size)
{
	long r;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %%fs:0, %%rdi\n\t"        /* what the TLS says ... */
			 "mov %%rsp, 8(%%rdi)\n\t"      /* ... and where the stack is */
			 "mov %[exit], %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "=a"(r)
			 : "a"(SYS_clone3), "D"(a), "S"(size), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
	return r;
}

static void clone3_starts_a_thread_at_the_stack_top_with_its_tls(void **state)
{
	static char stack[8192] __attribute__((aligned(16)));
	static uint64_t tls[2];
	static atomic_int child = -1, parent;
	struct clone_args a = {
		.flags = THREAD_FLAGS | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
		.stack = (uintptr_t)stack,
		.stack_size = sizeof(stack),
		.tls = (uintptr_t)tls,
		.parent_tid = (uintptr_t)&parent,
		.child_tid = (uintptr_t)&child,
	};

	tls[0] = (uintptr_t)tls;
	long tid = clone3_thread(&a, sizeof(a));
	assert_true(tid > 0);
	assert_int_equal(parent, tid);
	assert_true(wait_cleared(&child));
	assert_int_equal(tls[1], (uintptr_t)stack + sizeof(stack));
}

static int name_pipe[2];

static void *name_self(void *arg)
{
	char c;

	prctl(PR_SET_NAME, "worker-with-a-very-long-name");
	*(atomic_int *)arg = gettid();
	while (read(name_pipe[0], &c, 1) != 1)
		;
	prctl(PR_GET_NAME, (char *)arg + 16);
	return NULL;
}

static void thread_names_show_in_proc(void **state)
{
	union { atomic_int tid; char name[48]; } u = { 0 };
	char path[64], text[64], mine[32];
	pthread_t t;

	ASSERT_OK(pipe(name_pipe));
	assert_true(proc_read("/proc/self/comm", mine, sizeof(mine)) > 0);
	ASSERT_RET(pthread_create(&t, NULL, name_self, &u), 0);
	assert_true(EVENTUALLY(u.tid != 0));
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", u.tid);
	assert_int_equal(proc_read(path, text, sizeof(text)), 16);
	assert_string_equal(text, "worker-with-a-v\n");         /* 15 characters */
	assert_true(proc_read("/proc/self/comm", text, sizeof(text)) > 0);
	assert_string_equal(text, mine);

	ASSERT_RET(pthread_setname_np(t, "renamed"), 0);
	int fd = (int)ASSERT_OK(open(path, O_RDWR));
	assert_int_equal(read(fd, text, sizeof(text)), 8);
	assert_memory_equal(text, "renamed\n", 8);
	assert_int_equal(write(fd, "0123456789abcdefghij", 20), 20);
	close(fd);
	assert_int_equal(write(name_pipe[1], "x", 1), 1);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_string_equal(u.name + 16, "0123456789abcde");
	assert_true(EVENTUALLY(access(path, F_OK) == -1 && errno == ENOENT));
	close(name_pipe[0]);
	close(name_pipe[1]);
}

static void *exit_only_this_thread(void *arg)
{
	pthread_exit(arg);
}

static pthread_key_t key;
static atomic_int key_destroyed;

static void destroy_key(void *val)
{
	key_destroyed = *(int *)val;
}

static void *use_key(void *arg)
{
	pthread_setspecific(key, arg);
	return NULL;
}

static void one_thread_ends_alone_and_runs_its_destructors(void **state)
{
	pthread_t t;
	void *ret;
	int val = 77;

	ASSERT_RET(pthread_create(&t, NULL, exit_only_this_thread, &val), 0);
	ASSERT_RET(pthread_join(t, &ret), 0);
	assert_ptr_equal(ret, &val);
	ASSERT_RET(pthread_key_create(&key, destroy_key), 0);
	ASSERT_RET(pthread_create(&t, NULL, use_key, &val), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(key_destroyed, 77);
	assert_null(pthread_getspecific(key));
	pthread_key_delete(key);
}

static pthread_mutex_t robust;
static atomic_int robust_held;

static void *die_with_the_lock(void *arg)
{
	int r = pthread_mutex_lock(&robust);

	robust_held = 1;
	sleep_ms(20);                   /* time for the main thread to wait for it */
	return (void *)(intptr_t)r;
}

static void a_robust_mutex_tells_that_its_owner_died(void **state)
{
	pthread_mutexattr_t attr;
	pthread_t t;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int shared = 0; shared < 2; shared++) {
		pthread_mutexattr_setpshared(&attr, shared);
		ASSERT_RET(pthread_mutex_init(&robust, &attr), 0);
		robust_held = 0;
		ASSERT_RET(pthread_create(&t, NULL, die_with_the_lock, NULL), 0);
		assert_true(EVENTUALLY(robust_held));
		ASSERT_RET(pthread_mutex_lock(&robust), EOWNERDEAD);
		ASSERT_RET(pthread_mutex_consistent(&robust), 0);
		ASSERT_RET(pthread_mutex_unlock(&robust), 0);
		ASSERT_RET(pthread_join(t, NULL), 0);
		ASSERT_RET(pthread_create(&t, NULL, die_with_the_lock, NULL), 0);
		ASSERT_RET(pthread_join(t, NULL), 0);
		ASSERT_RET(pthread_mutex_trylock(&robust), EOWNERDEAD);
		ASSERT_RET(pthread_mutex_unlock(&robust), 0);           /* not made consistent */
		ASSERT_RET(pthread_mutex_lock(&robust), ENOTRECOVERABLE);
		ASSERT_RET(pthread_mutex_destroy(&robust), 0);
	}
	pthread_mutexattr_destroy(&attr);
}

/* The kernel's side: what happens to the words of a list whose thread ends. */
struct robust_word {
	struct robust_list link;
	atomic_uint word;
};

static struct robust_word words[3];
static struct robust_list_head robust_head;

static void *die_with_a_list(void *arg)
{
	unsigned int tid = (unsigned int)gettid();

	robust_head.list.next = &words[0].link;
	words[0].link.next = &words[1].link;
	words[1].link.next = &robust_head.list;
	robust_head.futex_offset = offsetof(struct robust_word, word);
	robust_head.list_op_pending = &words[2].link;
	words[0].word = tid;
	words[1].word = (tid + 1) | FUTEX_WAITERS;      /* somebody else's: left alone */
	words[2].word = tid | FUTEX_WAITERS;
	syscall(SYS_set_robust_list, &robust_head, sizeof(robust_head));
	return (void *)(uintptr_t)tid;
}

static void the_robust_list_is_walked_at_exit(void **state)
{
	pthread_t t;
	void *tid;

	ASSERT_RET(pthread_create(&t, NULL, die_with_a_list, NULL), 0);
	ASSERT_RET(pthread_join(t, &tid), 0);
	assert_int_equal(words[0].word, FUTEX_OWNER_DIED);
	assert_int_equal(words[1].word, ((unsigned int)(uintptr_t)tid + 1) | FUTEX_WAITERS);
	assert_int_equal(words[2].word, FUTEX_OWNER_DIED | FUTEX_WAITERS);
}

static void robust_list_calls_check_their_arguments(void **state)
{
	struct robust_list_head *head = NULL;
	size_t len = 0;

	ASSERT_ERR(syscall(SYS_set_robust_list, &robust_head, 23), EINVAL);
	ASSERT_ERR(syscall(SYS_set_robust_list, &robust_head, 0), EINVAL);
	ASSERT_OK(syscall(SYS_get_robust_list, 0, &head, &len));
	assert_non_null(head);
	assert_int_equal(len, sizeof(*head));
	ASSERT_ERR(syscall(SYS_get_robust_list, 0, (void *)8, &len), EFAULT);
	ASSERT_ERR(syscall(SYS_get_robust_list, 0x3fffffff, &head, &len), ESRCH);
}

struct overflow {
	char *stack;            /* lowest usable address */
	size_t size, guard;
	struct fault fault;
};

static __attribute__((noinline)) int recurse(volatile char *below, long depth)
{
	volatile char frame[1024];

	frame[0] = *below;
	return depth == 0 ? 0 : recurse(frame, depth - 1) + frame[0];
}

static void overflow_stack(void *arg)
{
	char c = 0;

	recurse(&c, 1 << 20);
}

static void *run_overflow(void *arg)
{
	static char alt[65536];
	struct overflow *o = arg;
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	pthread_attr_t attr;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, (void **)&o->stack, &o->size);
	pthread_attr_getguardsize(&attr, &o->guard);
	pthread_attr_destroy(&attr);
	sigaltstack(&ss, NULL);
	fault_run(overflow_stack, NULL, &o->fault);
	return NULL;
}

static void a_thread_stack_overflow_hits_the_guard(void **state)
{
	struct overflow o = { 0 };
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 << 10);
	ASSERT_RET(pthread_create(&t, &attr, run_overflow, &o), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(o.fault.sig, SIGSEGV);
	assert_int_equal(o.fault.info.si_code, SEGV_ACCERR);
	assert_true(o.fault.on_altstack);
	assert_true((char *)o.fault.info.si_addr < o.stack);
	assert_true((char *)o.fault.info.si_addr >= o.stack - o.guard);
	pthread_attr_destroy(&attr);
}

static atomic_int cleaned;

static void clean(void *arg)
{
	cleaned = 1;
}

static void *block_in_read(void *arg)
{
	char c;

	pthread_cleanup_push(clean, NULL);
	(void)!read(*(int *)arg, &c, 1);
	pthread_cleanup_pop(0);
	return NULL;
}

static void a_blocked_thread_can_be_cancelled(void **state)
{
	int p[2];
	pthread_t t;
	void *ret;

	ASSERT_OK(pipe(p));
	ASSERT_RET(pthread_create(&t, NULL, block_in_read, &p[0]), 0);
	sleep_ms(20);
	ASSERT_RET(pthread_cancel(t), 0);
	ASSERT_RET(pthread_join(t, &ret), 0);
	assert_ptr_equal(ret, PTHREAD_CANCELED);
	assert_int_equal(cleaned, 1);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(join_returns_the_value),
		cmocka_unit_test(threads_share_pid_but_have_own_tid_tls_and_errno),
		cmocka_unit_test(three_hundred_threads_live_at_once),
		cmocka_unit_test(clone_refuses_flags_that_do_not_go_together),
		cmocka_unit_test(clone3_reports_errors),
		cmocka_unit_test(clone_sets_and_clears_tid_words_and_wakes),
		cmocka_unit_test(set_tid_address_moves_the_word_to_clear),
		cmocka_unit_test(clone3_starts_a_thread_at_the_stack_top_with_its_tls),
		cmocka_unit_test(thread_names_show_in_proc),
		cmocka_unit_test(one_thread_ends_alone_and_runs_its_destructors),
		cmocka_unit_test(a_robust_mutex_tells_that_its_owner_died),
		cmocka_unit_test(the_robust_list_is_walked_at_exit),
		cmocka_unit_test(robust_list_calls_check_their_arguments),
		cmocka_unit_test(a_thread_stack_overflow_hits_the_guard),
		cmocka_unit_test(a_blocked_thread_can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
