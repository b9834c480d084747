/* SPDX-License-Identifier: MIT */
/*
 * Code that makes the same system call again and again, in the shapes that compilers make: whatever an emulator does to such a site, the
 * program must not notice. The code is mapped from a file, privately, as a linker does it.
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
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"

#define HOT 300 /* calls that make any site worth a change */
#define AT 0x40 /* where the code begins in its page */

typedef long (*code_fn)(long a, long b, long c, long d);

struct code { const char *bytes; size_t len; };
#define CODE(s) ((struct code){ s, sizeof(s) - 1 })

/* nr in %edi where it is not fixed. */
#define MOV_IMM "\xb8\x27\x00\x00\x00\x0f\x05\xc3\x90\x90\x90\x90\x90\x90\x90\x90" /* mov $getpid, %eax; syscall; ret */
#define MOV_IMM_CMP "\xb8\x27\x00\x00\x00\x0f\x05\x48\x3d\x00\xf0\xff\xff\xc3"
#define MOV_GAP "\xb8\x27\x00\x00\x00\x40\x80\xf6\x81\x0f\x05\x48\x3d\x00\xf0\xff\xff\xc3" /* mov; xor $0x81, %sil; syscall; cmp; ret */
#define MOV_IMM64 "\x48\xc7\xc0\x27\x00\x00\x00\x0f\x05\xc3"
#define MOV_REG "\x49\x89\xf8\x44\x89\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\xc3" /* mov %rdi, %r8; mov %r8d, %eax; syscall; cmp; ret */
#define MOV_MUSL "\x49\x89\xf8\x4c\x89\xc0\x48\x89\xd6\x0f\x05\xc3" /* mov %rdi, %r8; mov %r8, %rax; mov %rdx, %rsi; syscall; ret */

static int code_file(const struct code *c)
{
	static char page[4096];
	int fd = open("code", O_RDWR | O_CREAT | O_TRUNC, 0700);

	assert_return_code(fd, errno);
	memset(page, 0xcc, sizeof(page));
	memcpy(page + AT, c->bytes, c->len);
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	return fd;
}

static code_fn code_map(const struct code *c, void *at)
{
	int fd = code_file(c);
	char *p = mmap(at, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | (at ? MAP_FIXED : 0), fd, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	close(fd);
	return (code_fn)(uintptr_t)(p + AT);
}

static char *page_of(code_fn f)
{
	return (char *)((uintptr_t)f & ~4095ul);
}

static void code_unmap(code_fn f)
{
	assert_return_code(munmap(page_of(f), 4096), errno);
}

static void heat(code_fn f, long a, long want)
{
	for (int i = 0; i < HOT; i++)
		if (f(a, 0, 0, 0) != want)
			fail_msg("call %d", i);
}

static void every_shape_goes_on_working(void **state)
{
	const struct code shapes[] = { CODE(MOV_IMM), CODE(MOV_IMM_CMP), CODE(MOV_GAP), CODE(MOV_IMM64), CODE(MOV_REG), CODE(MOV_MUSL) };

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		code_fn f = code_map(&shapes[i], NULL);

		heat(f, SYS_getpid, getpid());
		code_unmap(f);
	}
}

/* xor %eax, %eax; syscall; cmp; ret: read(2), and its results of all kinds. */
static void a_read_of_every_result(void **state)
{
	const struct code c = CODE("\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\xc3");
	code_fn f = code_map(&c, NULL);
	int fd = open("/dev/zero", O_RDONLY);
	char buf[8];

	for (int i = 0; i < HOT; i++) {
		memset(buf, 1, sizeof(buf));
		assert_int_equal(f(fd, (long)buf, i % 8, 0), i % 8);
		for (int k = 0; k < 8; k++)
			assert_int_equal(buf[k], k >= i % 8);
		assert_int_equal(f(-1, (long)buf, 1, 0), -EBADF);
		assert_int_equal(f(fd, 8, 1, 0), -EFAULT);
	}
	close(fd);
	code_unmap(f);
}

/* mov $nr, %eax; syscall; ret is entered at the syscall too. */
static void a_jump_to_the_instruction_itself(void **state)
{
	const struct code shapes[] = {
		CODE("\xb8\x27\x00\x00\x00\x0f\x05\xc3\x90\x90\x90\x90\x90\x90\x90\x90" "\x89\xf8\xeb\xf1"), /* mov %edi, %eax; jmp to it */
		CODE("\xb8\x27\x00\x00\x00\x40\x80\xf6\x81\x0f\x05\xc3\x90\x90\x90\x90" "\x89\xf8\xeb\xf1"), /* jmp to the xor */
		CODE("\xb8\x27\x00\x00\x00\x40\x80\xf6\x81\x0f\x05\xc3\x90\x90\x90\x90" "\x89\xf8\xeb\xf5"), /* jmp to the syscall */
		/* mov $getpid, %r8d; mov %r8, %rax; mov %rdx, %rsi; syscall; ret: to the last mov, to the syscall */
		CODE("\x41\xb8\x27\x00\x00\x00\x4c\x89\xc0\x48\x89\xd6\x0f\x05\xc3\x90" "\x89\xf8\xeb\xf5"),
		CODE("\x41\xb8\x27\x00\x00\x00\x4c\x89\xc0\x48\x89\xd6\x0f\x05\xc3\x90" "\x89\xf8\xeb\xf8"),
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		code_fn f = code_map(&shapes[i], NULL), inside = (code_fn)(uintptr_t)((char *)(uintptr_t)f + 16);

		for (int round = 0; round < HOT; round++) {
			assert_int_equal(f(0, 0, 0, 0), getpid());
			assert_int_equal(inside(SYS_getppid, 0, 0, 0), getppid());
			assert_int_equal(inside(5000, 0, 0, 0), -ENOSYS);
		}
		code_unmap(f);
	}
}

static void registers_flags_and_red_zone_are_kept(void **state)
{
	/* std; stc; mov $getpid, %eax; syscall; pushf; pop %rdx; cld; and what was below the stack pointer, %rcx */
	const struct code c = CODE("\x48\xc7\x44\x24\xf8\x11\x22\x33\x44\xfd\xf9\xb8\x27\x00\x00\x00\x0f\x05\x48\x8b\x4c\x24\xf8\x9c\x5a\xfc"
				   "\x39\xc7\x75\x14\x81\xf9\x11\x22\x33\x44\x75\x0c\x81\xe2\x01\x04\x00\x00\x89\xd0\xc3\x90\x90\x90\x31\xc0\xc3");
	code_fn f = code_map(&c, NULL);

	for (int i = 0; i < HOT; i++)
		assert_int_equal(f(getpid(), 0, 0, 0), 0x401); /* DF and CF */
	code_unmap(f);
}

static void the_file_and_shared_maps_of_it_stay(void **state)
{
	const struct code c = CODE(MOV_IMM);
	code_fn f = code_map(&c, NULL);
	int fd = open("code", O_RDONLY);
	char *shared = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	char buf[sizeof(MOV_IMM) - 1];

	heat(f, 0, getpid());
	heat((code_fn)(uintptr_t)(shared + AT), 0, getpid());
	assert_int_equal(pread(fd, buf, sizeof(buf), AT), sizeof(buf));
	assert_memory_equal(buf, MOV_IMM, sizeof(buf));
	assert_memory_equal(shared + AT, MOV_IMM, sizeof(buf));
	munmap(shared, 4096);
	close(fd);
	code_unmap(f);
}

static void text_made_writable_is_what_it_was(void **state)
{
	const struct code c = CODE(MOV_IMM);
	code_fn f = code_map(&c, NULL);

	heat(f, 0, getpid());
	assert_return_code(mprotect(page_of(f), 4096, PROT_READ | PROT_WRITE | PROT_EXEC), errno);
	assert_memory_equal((char *)(uintptr_t)f, MOV_IMM, sizeof(MOV_IMM) - 1);
	*((char *)(uintptr_t)f + 1) = SYS_getppid;
	heat(f, 0, getppid());
	code_unmap(f);
}

static void other_code_at_the_same_place(void **state)
{
	const struct code a = CODE(MOV_IMM), b = CODE("\xb8\x6e\x00\x00\x00\x0f\x05\xc3"), c = CODE("\x31\xc0\xc3"); /* getppid; 0 */
	code_fn f = code_map(&a, NULL);

	for (int i = 0; i < 20; i++) {
		heat(code_map(&a, page_of(f)), 0, getpid());
		heat(code_map(&b, page_of(f)), 0, getppid());
		heat(code_map(&c, page_of(f)), 0, 0);
	}
	code_unmap(f);
}

static void a_forked_child_has_its_own(void **state)
{
	const struct code c = CODE(MOV_IMM);
	code_fn f = code_map(&c, NULL);

	for (int i = 0; i < 10; i++) {
		pid_t pid;
		int status;

		heat(f, 0, getpid());
		pid = fork();
		if (pid == 0) {
			for (int k = 0; k < HOT; k++)
				if (f(0, 0, 0, 0) != getpid() || getppid() == getpid())
					_exit(1);
			_exit(0);
		}
		assert_return_code(waitpid(pid, &status, 0), errno);
		assert_int_equal(status, 0);
	}
	code_unmap(f);
}

/* --- with other threads in the middle of it --------------------------------------------------------------------- */

static code_fn hot_fn;
static _Atomic int ready, wrong;

static void *caller(void *arg)
{
	long pid = getpid();

	atomic_fetch_add(&ready, 1);
	while (atomic_load(&ready) < 4)
		;
	for (int i = 0; i < 2 * HOT; i++)
		if (hot_fn(SYS_getpid, 0, 0, 0) != pid)
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

static void four_threads_find_the_same_site(void **state)
{
	const struct code shapes[] = { CODE(MOV_IMM), CODE(MOV_GAP), CODE(MOV_REG) };

	for (int round = 0; round < 30; round++) {
		pthread_t t[4];

		hot_fn = code_map(&shapes[round % 3], NULL);
		atomic_store(&ready, 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&t[i], NULL, caller, NULL), 0);
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		code_unmap(hot_fn);
	}
	assert_int_equal(atomic_load(&wrong), 0);
}

/* --- signals -------------------------------------------------------------------------------------------------------- */

static volatile uintptr_t low, high;
static volatile int inside, elsewhere, beyond;

static void look(int sig, siginfo_t *info, void *u)
{
	uintptr_t rip = (uintptr_t)((ucontext_t *)u)->uc_mcontext.gregs[REG_RIP];

	if (rip >= low && rip < high)
		inside++;
	else
		elsewhere++;
	if (rip >> 47)
		beyond++;
}

static void handlers_see_the_program_in_its_own_text(void **state)
{
	/* 20000 times: xor %eax, %eax; syscall (read of no bytes); cmp */
	const struct code c = CODE("\x41\x54\x41\xbc\x20\x4e\x00\x00\x31\xff\x31\xd2\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x77\x05\x41\xff\xcc\x75\xeb\x41\x5c\xc3");
	struct sigaction sa = { .sa_sigaction = look, .sa_flags = SA_SIGINFO };
	struct itimerval often = { { 0, 300 }, { 0, 300 } }, off = { 0 };
	int fd = open("/dev/null", O_RDONLY), was = dup(0);
	code_fn f = code_map(&c, NULL);

	dup2(fd, 0);
	low = (uintptr_t)f;
	high = low + c.len;
	inside = elsewhere = beyond = 0;
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 200 && inside < 50; i++)
		assert_int_equal(f(0, 0, 0, 0), 0);
	setitimer(ITIMER_REAL, &off, NULL);
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(beyond, 0);
	assert_true(inside > 0);
	dup2(was, 0);
	close(was);
	close(fd);
	code_unmap(f);
}

static int restart_pipe[2];

static void feed(int sig)
{
	static int n;

	if (++n % 3 == 0 && write(restart_pipe[1], "x", 1) != 1)
		abort();
}

/* The call is repeated at the instruction that was there. */
static void calls_are_repeated_after_handlers(void **state)
{
	const struct code shapes[] = {
		CODE("\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\xc3"),
		CODE("\xb8\x00\x00\x00\x00\x0f\x05\xc3\x90\x90\x90\x90"),
	};
	struct sigaction sa = { .sa_handler = feed, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, off = { 0 };
	char c;

	assert_return_code(pipe(restart_pipe), errno);
	sigaction(SIGALRM, &sa, NULL);
	for (size_t i = 0; i < 2; i++) {
		code_fn f = code_map(&shapes[i], NULL);

		heat(f, -1, -EBADF);
		setitimer(ITIMER_REAL, &often, NULL);
		for (int k = 0; k < 30; k++)
			assert_int_equal(f(restart_pipe[0], (long)&c, 1, 0), 1);
		setitimer(ITIMER_REAL, &off, NULL);
		code_unmap(f);
	}
	signal(SIGALRM, SIG_DFL);
	close(restart_pipe[0]);
	close(restart_pipe[1]);
}

/* --- single steps ------------------------------------------------------------------------------------------------------ */

static uintptr_t steps[64];
static volatile int nsteps;

static void step(int sig, siginfo_t *info, void *u)
{
	uintptr_t rip = (uintptr_t)((ucontext_t *)u)->uc_mcontext.gregs[REG_RIP];

	if (rip >= low && rip < high && nsteps < 64)
		steps[nsteps++] = rip - low;
}

static void a_program_steps_through_it(void **state)
{
	/* pushf; orl $TF, (%rsp); popf; nop; mov $getpid, %eax; syscall; nop; pushf; andl $~TF, (%rsp); popf; ret */
	const struct code c = CODE("\x9c\x81\x0c\x24\x00\x01\x00\x00\x9d\x90\xb8\x27\x00\x00\x00\x0f\x05\x90\x9c\x81\x24\x24\xff\xfe\xff\xff\x9d\xc3");
	struct sigaction sa = { .sa_sigaction = step, .sa_flags = SA_SIGINFO };
	code_fn f = code_map(&c, NULL);
	uintptr_t first[64];
	int n;

	low = (uintptr_t)f;
	high = low + c.len;
	sigaction(SIGTRAP, &sa, NULL);
	nsteps = 0;
	assert_int_equal(f(0, 0, 0, 0), getpid());
	n = nsteps;
	memcpy(first, steps, sizeof(first));
	assert_true(n >= 5);
	for (int i = 0; i < HOT; i++) {
		nsteps = 0;
		assert_int_equal(f(0, 0, 0, 0), getpid());
		assert_int_equal(nsteps, n);
		assert_memory_equal(first, steps, (size_t)n * sizeof(first[0]));
	}
	signal(SIGTRAP, SIG_DFL);
	code_unmap(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_goes_on_working),
		cmocka_unit_test(a_read_of_every_result),
		cmocka_unit_test(a_jump_to_the_instruction_itself),
		cmocka_unit_test(registers_flags_and_red_zone_are_kept),
		cmocka_unit_test(the_file_and_shared_maps_of_it_stay),
		cmocka_unit_test(text_made_writable_is_what_it_was),
		cmocka_unit_test(other_code_at_the_same_place),
		cmocka_unit_test(a_forked_child_has_its_own),
		cmocka_unit_test(four_threads_find_the_same_site),
		cmocka_unit_test(handlers_see_the_program_in_its_own_text),
		cmocka_unit_test(calls_are_repeated_after_handlers),
		cmocka_unit_test(a_program_steps_through_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
