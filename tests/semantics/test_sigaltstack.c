/* SPDX-License-Identifier: MIT */
/*
 * sigaltstack(2): setting, reading, errors, SS_AUTODISARM, what handlers see; nested handlers;
 * siglongjmp out of handlers on both stacks. The frame's contents are in test_sigframe.c, the use
 * of the alternate stack when the normal one overflows in test_faults.c.
 */
#include "tests/lib/cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define AUTODISARM ((int)(1U << 31))

static char alt[65536] __attribute__((aligned(16)));
static char alt2[65536] __attribute__((aligned(16)));

static bool is_on(const char *stack, const void *p)
{
	return (const char *)p >= stack && (const char *)p < stack + sizeof(alt);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&sa.sa_mask);
	ASSERT_OK(sigaction(sig, &sa, NULL));
}

static int setup(void **state)
{
	stack_t off = { .ss_flags = SS_DISABLE };
	sigset_t empty;

	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	return sigaltstack(&off, NULL);
}

static void set_stack(char *p, int flags)
{
	stack_t ss = { .ss_sp = p, .ss_size = sizeof(alt), .ss_flags = flags };

	ASSERT_OK(sigaltstack(&ss, NULL));
}

static void what_is_set_is_read_back(void **state)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) }, old;

	ASSERT_OK(sigaltstack(NULL, &old));
	assert_int_equal(old.ss_flags, SS_DISABLE);
	ASSERT_OK(sigaltstack(&ss, &old));
	assert_int_equal(old.ss_flags, SS_DISABLE);
	ASSERT_OK(sigaltstack(NULL, &old));
	assert_ptr_equal(old.ss_sp, alt);
	assert_int_equal(old.ss_size, sizeof(alt));
	assert_int_equal(old.ss_flags, 0);
	ss.ss_flags = SS_ONSTACK;               /* accepted, means nothing */
	ASSERT_OK(sigaltstack(&ss, NULL));
	ASSERT_OK(sigaltstack(NULL, &old));
	assert_int_equal(old.ss_flags, 0);
	ss.ss_flags = AUTODISARM;
	ASSERT_OK(sigaltstack(&ss, NULL));
	ASSERT_OK(sigaltstack(NULL, &old));
	assert_int_equal(old.ss_flags, AUTODISARM);
	ss.ss_flags = SS_DISABLE;
	ASSERT_OK(sigaltstack(&ss, &old));
	assert_ptr_equal(old.ss_sp, alt);
	ASSERT_OK(sigaltstack(NULL, &old));
	assert_int_equal(old.ss_flags, SS_DISABLE);
	assert_null(old.ss_sp);
	assert_int_equal(old.ss_size, 0);
}

static void errors_are_reported(void **state)
{
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt), .ss_flags = 4 }, old;

	ASSERT_ERR(sigaltstack(&ss, NULL), EINVAL);
	ss.ss_flags = SS_ONSTACK | SS_DISABLE;
	ASSERT_ERR(sigaltstack(&ss, NULL), EINVAL);
	ss.ss_flags = 0;
	ss.ss_size = 2047;                      /* MINSIGSTKSZ is 2048 */
	ASSERT_ERR(sigaltstack(&ss, NULL), ENOMEM);
	ASSERT_ERR(sigaltstack((void *)8, NULL), EFAULT);
	ASSERT_ERR(sigaltstack(NULL, (void *)8), EFAULT);
	ASSERT_OK(sigaltstack(NULL, &old));
	assert_int_equal(old.ss_flags, SS_DISABLE);
}

static struct {
	const void *here;
	stack_t in_frame, asked;
	int set_result, set_errno;
} in_handler;

static void note(int sig, siginfo_t *info, void *ucontext)
{
	stack_t other = { .ss_sp = alt2, .ss_size = sizeof(alt2) };
	volatile char here = 0;

	in_handler.here = (const void *)&here;
	in_handler.in_frame = ((ucontext_t *)ucontext)->uc_stack;
	sigaltstack(NULL, &in_handler.asked);
	in_handler.set_result = sigaltstack(&other, NULL);
	in_handler.set_errno = errno;
}

static void a_handler_on_it_may_not_change_it(void **state)
{
	stack_t now;

	set_stack(alt, 0);
	handle(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
	assert_true(is_on(alt, in_handler.here));
	assert_ptr_equal(in_handler.in_frame.ss_sp, alt);
	assert_int_equal(in_handler.in_frame.ss_size, sizeof(alt));
	assert_int_equal(in_handler.in_frame.ss_flags, 0);
	assert_int_equal(in_handler.asked.ss_flags, SS_ONSTACK);
	assert_int_equal(in_handler.set_result, -1);
	assert_int_equal(in_handler.set_errno, EPERM);
	ASSERT_OK(sigaltstack(NULL, &now));
	assert_ptr_equal(now.ss_sp, alt);
	assert_int_equal(now.ss_flags, 0);
}

static void without_sa_onstack_the_normal_stack_is_used(void **state)
{
	stack_t now;

	set_stack(alt, 0);
	handle(SIGUSR1, note, 0);
	raise(SIGUSR1);
	assert_false(is_on(alt, in_handler.here));
	assert_int_equal(in_handler.asked.ss_flags, 0);
	assert_int_equal(in_handler.set_result, 0);
	/* sigreturn brings back the setting of the frame. */
	ASSERT_OK(sigaltstack(NULL, &now));
	assert_ptr_equal(now.ss_sp, alt);
}

static void disabled_means_the_normal_stack(void **state)
{
	handle(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
	assert_false(is_on(alt, in_handler.here));
	assert_int_equal(in_handler.in_frame.ss_flags, SS_DISABLE);
}

static void autodisarm_disables_while_a_handler_runs(void **state)
{
	stack_t now;

	set_stack(alt, AUTODISARM);
	handle(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
	assert_true(is_on(alt, in_handler.here));
	assert_ptr_equal(in_handler.in_frame.ss_sp, alt);
	assert_int_equal(in_handler.in_frame.ss_flags, AUTODISARM);
	assert_int_equal(in_handler.asked.ss_flags, SS_DISABLE);
	assert_int_equal(in_handler.set_result, 0);
	ASSERT_OK(sigaltstack(NULL, &now));             /* back after sigreturn */
	assert_ptr_equal(now.ss_sp, alt);
	assert_int_equal(now.ss_flags, AUTODISARM);
}

static const char *depth_here[4];
static int depth, depth_max;
static sigset_t depth_mask;

static void nest(int sig, siginfo_t *info, void *ucontext)
{
	volatile char here = 0;

	depth_here[depth] = (const char *)&here;
	depth++;
	if (depth > depth_max)
		depth_max = depth;
	if (sig == SIGUSR1)
		raise(SIGUSR2);
	else if (sig == SIGUSR2)
		raise(SIGHUP);
	else
		sigprocmask(SIG_BLOCK, NULL, &depth_mask);
	depth--;
}

static void nested_handlers_stay_on_the_stack_and_mask_each_other(void **state)
{
	sigset_t now;

	set_stack(alt, 0);
	depth = depth_max = 0;
	handle(SIGUSR1, nest, SA_ONSTACK);
	handle(SIGUSR2, nest, SA_ONSTACK);
	handle(SIGHUP, nest, 0);                /* already there: stays there */
	raise(SIGUSR1);
	assert_int_equal(depth, 0);
	assert_int_equal(depth_max, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(is_on(alt, depth_here[i]));
		assert_true(i == 0 || depth_here[i] < depth_here[i - 1]);
	}
	assert_true(sigismember(&depth_mask, SIGUSR1) && sigismember(&depth_mask, SIGUSR2));
	ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &now));
	assert_true(sigisemptyset(&now));
}

static sigjmp_buf env;

static void jump_out(int sig, siginfo_t *info, void *ucontext)
{
	volatile char here = 0;

	in_handler.here = (const void *)&here;
	siglongjmp(env, sig);
}

static void siglongjmp_leaves_the_handler_and_its_stack(void **state)
{
	stack_t now;
	sigset_t mask;

	set_stack(alt, 0);
	handle(SIGUSR1, jump_out, SA_ONSTACK);
	for (volatile int i = 0; i < 50; i++) {         /* the stack is free again each time */
		if (sigsetjmp(env, 1) == 0) {
			raise(SIGUSR1);
			fail();
		}
		assert_true(is_on(alt, in_handler.here));
		ASSERT_OK(sigaltstack(NULL, &now));
		assert_int_equal(now.ss_flags, 0);
		ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
		assert_true(sigisemptyset(&mask));
	}
	/* Without the saved mask the signal stays blocked. */
	if (sigsetjmp(env, 0) == 0)
		raise(SIGUSR1);
	ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &mask));
	assert_int_equal(sigismember(&mask, SIGUSR1), 1);
}

static void autodisarm_stays_disarmed_after_siglongjmp(void **state)
{
	stack_t now;

	set_stack(alt, AUTODISARM);
	handle(SIGUSR1, jump_out, SA_ONSTACK);
	if (sigsetjmp(env, 1) == 0)
		raise(SIGUSR1);
	ASSERT_OK(sigaltstack(NULL, &now));
	assert_int_equal(now.ss_flags, SS_DISABLE);
}

static void *ask(void *arg)
{
	stack_t ss = { .ss_sp = alt2, .ss_size = sizeof(alt2) };

	sigaltstack(NULL, arg);
	sigaltstack(&ss, NULL);
	pthread_kill(pthread_self(), SIGUSR1);
	return NULL;
}

static void each_thread_has_its_own_and_starts_without(void **state)
{
	stack_t theirs, mine;
	pthread_t t;

	set_stack(alt, 0);
	handle(SIGUSR1, note, SA_ONSTACK);
	ASSERT_RET(pthread_create(&t, NULL, ask, &theirs), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(theirs.ss_flags, SS_DISABLE);
	assert_true(is_on(alt2, in_handler.here));
	ASSERT_OK(sigaltstack(NULL, &mine));
	assert_ptr_equal(mine.ss_sp, alt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_set_is_read_back, setup),
		cmocka_unit_test_setup(errors_are_reported, setup),
		cmocka_unit_test_setup(a_handler_on_it_may_not_change_it, setup),
		cmocka_unit_test_setup(without_sa_onstack_the_normal_stack_is_used, setup),
		cmocka_unit_test_setup(disabled_means_the_normal_stack, setup),
		cmocka_unit_test_setup(autodisarm_disables_while_a_handler_runs, setup),
		cmocka_unit_test_setup(nested_handlers_stay_on_the_stack_and_mask_each_other, setup),
		cmocka_unit_test_setup(siglongjmp_leaves_the_handler_and_its_stack, setup),
		cmocka_unit_test_setup(autodisarm_stays_disarmed_after_siglongjmp, setup),
		cmocka_unit_test_setup(each_thread_has_its_own_and_starts_without, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
