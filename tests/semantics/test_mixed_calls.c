/* SPDX-License-Identifier: MIT */
/*
 * Every call is executed exactly once, whatever comes between: threads make short calls without pause while
 * signals hit them at random times and their handlers make calls of their own. What each call adds to (an appended file,
 * an eventfd, a pipe, a descriptor table) is counted at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/lib/cmocka_all.h"
#include "tests/lib/file_dir.h"

#define THREADS 6
#define ROUNDS 3000

static int log_fd, counter_fd, data_fd;
static _Atomic long appended, added, handled, raised, finished;
static _Atomic bool stop;
static pid_t pid;

struct worker { pthread_t thread; unsigned seed; const char *wrong; long got; };

#define WANT(w, cond, value)                                  \
	do {                                                  \
		if (!(cond) && !(w)->wrong) {                 \
			(w)->wrong = #cond;                   \
			(w)->got = (long)(value);             \
		}                                             \
	} while (0)

static void on_signal(int sig)
{
	int saved = errno;
	uint64_t one = 1;

	if (write(counter_fd, &one, sizeof(one)) == sizeof(one))
		atomic_fetch_add(&added, 1);
	atomic_fetch_add(&handled, 1);
	(void)getppid();
	errno = saved;
}

static void one_round(struct worker *w, unsigned kind)
{
	char buf[16];
	struct stat st;
	uint64_t one = 1;
	int fd;

	switch (kind % 8) {
	case 0:
		WANT(w, write(log_fd, "0123456789abcde\n", 16) == 16, errno);
		atomic_fetch_add(&appended, 16);
		break;
	case 1:
		WANT(w, write(counter_fd, &one, 8) == 8, errno);
		atomic_fetch_add(&added, 1);
		break;
	case 2: {
		off_t at = rand_r(&w->seed) % 200 * 16;

		WANT(w, pread(data_fd, buf, 16, at) == 16, errno);
		WANT(w, atoi(buf) == at / 16, atoi(buf));
		break;
	}
	case 3:
		WANT(w, fstat(data_fd, &st) == 0 && st.st_size == 3200, st.st_size);
		break;
	case 4:
		fd = dup(data_fd);
		WANT(w, fd >= 0, errno);
		WANT(w, close(fd) == 0, errno);
		break;
	case 5:
		errno = 0;
		WANT(w, syscall(SYS_close, -1) == -1 && errno == EBADF, errno);
		break;
	case 6:
		WANT(w, getpid() == pid, getpid());
		break;
	default:
		raise(SIGUSR1); /* has been handled when it returns */
		atomic_fetch_add(&raised, 1);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < ROUNDS; i++)
		one_round(w, (unsigned)rand_r(&w->seed));
	atomic_fetch_add(&finished, 1);
	return NULL;
}

/* Signals to threads at random, beside the process's own timer. */
static void *disturb(void *arg)
{
	struct worker *w = arg;
	unsigned seed = 4711;

	while (!stop) {
		pthread_kill(w[rand_r(&seed) % THREADS].thread, SIGUSR2);
		usleep((useconds_t)(rand_r(&seed) % 500));
	}
	return NULL;
}

static void every_call_happens_once(void **state)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 3000 }, { 0, 3000 } }, off = { { 0, 0 }, { 0, 0 } };
	struct worker w[THREADS] = { 0 };
	pthread_t disturber;
	struct stat st;
	uint64_t sum = 0;
	int sigs[] = { SIGUSR1, SIGUSR2, SIGALRM };

	pid = getpid();
	log_fd = (int)ASSERT_OK(open("log", O_CREAT | O_WRONLY | O_APPEND, 0600));
	data_fd = (int)ASSERT_OK(open("data", O_CREAT | O_RDWR, 0600));
	for (int i = 0; i < 200; i++) {
		char line[17];

		snprintf(line, sizeof(line), "%15d\n", i);
		assert_int_equal(write(data_fd, line, 16), 16);
	}
	counter_fd = (int)ASSERT_OK(eventfd(0, EFD_NONBLOCK));
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		ASSERT_OK(sigaction(sigs[i], &sa, NULL));
	ASSERT_OK(setitimer(ITIMER_REAL, &every, NULL));
	for (int i = 0; i < THREADS; i++) {
		w[i].seed = (unsigned)i * 77 + 1;
		assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	assert_int_equal(pthread_create(&disturber, NULL, disturb, w), 0);
	/* Threads must stay joinable while they are signalled. */
	while (atomic_load(&finished) < THREADS)
		usleep(1000);
	stop = true;
	pthread_join(disturber, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(w[i].thread, NULL);
	ASSERT_OK(setitimer(ITIMER_REAL, &off, NULL));
	for (int i = 0; i < THREADS; i++)
		if (w[i].wrong)
			fail_msg("thread %d: %s, got %ld", i, w[i].wrong, w[i].got);
	ASSERT_OK(fstat(log_fd, &st));
	assert_int_equal(st.st_size, atomic_load(&appended));
	assert_int_equal(read(counter_fd, &sum, sizeof(sum)), sizeof(sum));
	assert_int_equal(sum, atomic_load(&added));
	assert_true(atomic_load(&handled) >= atomic_load(&raised));
	assert_true(atomic_load(&handled) > atomic_load(&raised) || atomic_load(&raised) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_happens_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
