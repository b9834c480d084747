/* SPDX-License-Identifier: MIT */
/*
 * fcntl(2) apart from locks: F_DUPFD, FD_CLOEXEC, status flags, pipe sizes, owner and signal of
 * asynchronous I/O, and the errors. Locks: test_locks.c; rarer commands: test_fcntl_misc.c.
 */
#include "tests/lib/file_dir.h"
#include "tests/lib/needs.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

static void dupfd_takes_the_lowest_from_a_minimum(void **state)
{
	int fd = file_make("f", "hello");
	struct rlimit lim;

	assert_int_equal(fcntl(fd, F_DUPFD, 60), 60);
	assert_int_equal(fcntl(fd, F_DUPFD, 60), 61);
	assert_int_equal(fcntl(fd, F_DUPFD, 0), fd + 1);
	assert_int_equal(fcntl(fd, F_DUPFD_CLOEXEC, 60), 62);
	assert_int_equal(fcntl(60, F_GETFD), 0);
	assert_int_equal(fcntl(62, F_GETFD), FD_CLOEXEC);
	assert_int_equal(lseek(62, 2, SEEK_SET), 2);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 2);
	ASSERT_OK(getrlimit(RLIMIT_NOFILE, &lim));
	ASSERT_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
	ASSERT_ERR(fcntl(fd, F_DUPFD_CLOEXEC, lim.rlim_cur), EINVAL);
	ASSERT_ERR(fcntl(-1, F_DUPFD, -1), EBADF);
	assert_int_equal(fcntl(fd, F_DUPFD, lim.rlim_cur - 1), lim.rlim_cur - 1);
	ASSERT_ERR(fcntl(fd, F_DUPFD, lim.rlim_cur - 1), EMFILE);
	close((int)lim.rlim_cur - 1);
}

static void cloexec_is_the_only_descriptor_flag(void **state)
{
	int fd = file_make("f", ""), copy = dup(fd);

	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(copy, F_GETFD), 0);      /* of the descriptor, not the description */
	assert_int_equal(fcntl(fd, F_SETFD, 0xfe), 0);  /* other bits are ignored */
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_SETFD, 0xff), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(fcntl(-1, F_GETFD), EBADF);
	ASSERT_ERR(fcntl(99999, F_SETFD, 0), EBADF);
}

static void setfl_changes_only_what_may_change(void **state)
{
	int base = O_WRONLY | RAW_O_LARGEFILE;
	int fd = (int)ASSERT_OK(open("f", O_WRONLY | O_CREAT, 0644));

	assert_int_equal(fcntl(fd, F_GETFL), base);
	ASSERT_OK(fcntl(fd, F_SETFL, O_APPEND));
	assert_int_equal(fcntl(fd, F_GETFL), base | O_APPEND);
	ASSERT_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	assert_int_equal(fcntl(fd, F_GETFL), base | O_NONBLOCK);        /* set, not added */
	ASSERT_OK(fcntl(fd, F_SETFL, O_RDWR | O_CREAT | O_TRUNC | O_EXCL | O_SYNC | O_CLOEXEC));
	assert_int_equal(fcntl(fd, F_GETFL), base);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	ASSERT_OK(fcntl(fd, F_SETFL, O_NOATIME));       /* root may */
	assert_int_equal(fcntl(fd, F_GETFL), base | O_NOATIME);
	ASSERT_OK(fcntl(fd, F_SETFL, 0));
	assert_int_equal(fcntl(fd, F_GETFL), base);
	ASSERT_ERR(fcntl(-1, F_SETFL, 0), EBADF);
	ASSERT_ERR(fcntl(-1, F_GETFL), EBADF);
}

static void setfl_append_and_nonblock_work_at_once(void **state)
{
	int fd = file_make("f", "hello"), p[2];
	char c;

	ASSERT_OK(fcntl(fd, F_SETFL, O_APPEND));
	assert_int_equal(write(fd, "!", 1), 1);
	assert_string_equal(file_text("f"), "hello!");
	ASSERT_OK(fcntl(fd, F_SETFL, 0));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(write(fd, "J", 1), 1);
	assert_string_equal(file_text("f"), "Jello!");
	ASSERT_OK(pipe(p));
	ASSERT_OK(fcntl(p[0], F_SETFL, O_NONBLOCK));
	ASSERT_ERR(read(p[0], &c, 1), EAGAIN);
	assert_int_equal(fcntl(p[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	assert_int_equal(fcntl(p[1], F_GETFL), O_WRONLY);       /* each end has its own flags */
}

static void pipe_sizes_are_powers_of_two_of_pages(void **state)
{
	int p[2], fd = file_make("f", "");
	char *text = file_letters(3 * FILE_PAGE);

	ASSERT_OK(pipe2(p, O_NONBLOCK));
	int size = (int)ASSERT_OK(fcntl(p[0], F_GETPIPE_SZ));
	assert_int_equal(size, 65536);
	assert_int_equal(fcntl(p[1], F_SETPIPE_SZ, 1), FILE_PAGE);
	assert_int_equal(fcntl(p[0], F_GETPIPE_SZ), FILE_PAGE);
	assert_int_equal(fcntl(p[1], F_SETPIPE_SZ, FILE_PAGE + 1), 2 * FILE_PAGE);
	assert_int_equal(fcntl(p[1], F_SETPIPE_SZ, 5 * FILE_PAGE), 8 * FILE_PAGE);
	assert_int_equal(fcntl(p[0], F_SETPIPE_SZ, 0), FILE_PAGE);
	assert_int_equal(fcntl(p[0], F_SETPIPE_SZ, 1 << 20), 1 << 20);
	assert_int_equal(write(p[1], text, 3 * FILE_PAGE), 3 * FILE_PAGE);
	ASSERT_ERR(fcntl(p[0], F_SETPIPE_SZ, 2 * FILE_PAGE), EBUSY);    /* would not hold it */
	assert_int_equal(fcntl(p[0], F_SETPIPE_SZ, 4 * FILE_PAGE), 4 * FILE_PAGE);
	ASSERT_ERR(fcntl(p[0], F_SETPIPE_SZ, (1U << 31) + 1), EINVAL);
	ASSERT_ERR(fcntl(fd, F_GETPIPE_SZ), EBADF);
	ASSERT_ERR(fcntl(fd, F_SETPIPE_SZ, 4096), EBADF);
	free(text);
}

static void owner_and_signal_are_remembered(void **state)
{
	struct f_owner_ex ex = { F_OWNER_TID, 0 };
	int p[2];

	ASSERT_OK(pipe(p));
	assert_int_equal(fcntl(p[0], F_GETOWN), 0);
	assert_int_equal(fcntl(p[0], F_GETSIG), 0);
	ASSERT_OK(fcntl(p[0], F_SETOWN, getpid()));
	assert_int_equal(fcntl(p[0], F_GETOWN), getpid());
	ASSERT_OK(fcntl(p[0], F_GETOWN_EX, &ex));
	assert_int_equal(ex.type, F_OWNER_PID);
	assert_int_equal(ex.pid, getpid());
	ex = (struct f_owner_ex){ F_OWNER_TID, (pid_t)syscall(SYS_gettid) };
	ASSERT_OK(fcntl(p[0], F_SETOWN_EX, &ex));
	ASSERT_OK(fcntl(p[0], F_SETSIG, SIGUSR2));
	assert_int_equal(fcntl(p[0], F_GETSIG), SIGUSR2);
	ASSERT_ERR(fcntl(p[0], F_SETSIG, 65), EINVAL);
	ASSERT_ERR(fcntl(p[0], F_SETSIG, -1), EINVAL);
	ASSERT_ERR(fcntl(p[0], F_SETOWN, INT_MAX), ESRCH);
	ex.type = 77;
	ASSERT_ERR(fcntl(p[0], F_SETOWN_EX, &ex), EINVAL);
	ASSERT_OK(fcntl(p[0], F_SETOWN, 0));
	assert_int_equal(fcntl(p[0], F_GETOWN), 0);
}

static volatile sig_atomic_t io_seen, io_fd, io_band;

static void on_io(int sig, siginfo_t *info, void *uc)
{
	io_seen = sig;
	io_fd = info->si_fd;
	io_band = info->si_band;
}

static void async_signals_when_data_comes(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_io, .sa_flags = SA_SIGINFO }, old;
	int sv[2];

	io_seen = 0;
	ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	ASSERT_OK(sigaction(SIGUSR2, &sa, &old));
	ASSERT_OK(fcntl(sv[0], F_SETOWN, getpid()));
	ASSERT_OK(fcntl(sv[0], F_SETSIG, SIGUSR2));
	ASSERT_OK(fcntl(sv[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	assert_int_equal(fcntl(sv[0], F_GETFL), O_RDWR | O_ASYNC | O_NONBLOCK);
	assert_int_equal(write(sv[1], "x", 1), 1);      /* to the only thread, so it is here now */
	assert_int_equal(io_seen, SIGUSR2);
	assert_int_equal(io_fd, sv[0]);
	ASSERT_OK(fcntl(sv[0], F_SETFL, 0));
	io_seen = 0;
	assert_int_equal(write(sv[1], "x", 1), 1);
	assert_int_equal(io_seen, 0);
	ASSERT_OK(sigaction(SIGUSR2, &old, NULL));
}

static void regular_files_have_no_async(void **state)
{
	int fd = file_make("f", "");

	ASSERT_OK(fcntl(fd, F_SETFL, O_ASYNC));         /* accepted, but does not stick */
	assert_int_equal(fcntl(fd, F_GETFL) & O_ASYNC, 0);
}

#ifndef F_CREATED_QUERY
#define F_CREATED_QUERY 1028
#endif

static void whether_opening_made_the_file_can_be_asked(void **state)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT, 0600)), p[2];

	if (fcntl(fd, F_CREATED_QUERY, 0) == -1) {
		assert_int_equal(errno, EINVAL);        /* before Linux 6.12 */
		skip();
	}
	assert_int_equal(fcntl(fd, F_CREATED_QUERY, 0), 1);
	assert_int_equal(fcntl((int)ASSERT_OK(dup(fd)), F_CREATED_QUERY, 0), 1);
	assert_int_equal(fcntl((int)ASSERT_OK(open("f", O_RDWR | O_CREAT, 0600)), F_CREATED_QUERY, 0), 0);
	assert_int_equal(fcntl((int)ASSERT_OK(open("f", O_PATH)), F_CREATED_QUERY, 0), 0);
	ASSERT_OK(pipe(p));
	assert_int_equal(fcntl(p[0], F_CREATED_QUERY, 0), 0);
}

static void unknown_commands_are_einval(void **state)
{
	int fd = file_make("f", ""), path = (int)ASSERT_OK(open("f", O_PATH));

	ASSERT_ERR(syscall(SYS_fcntl, fd, 9999, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_fcntl, fd, -1, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_fcntl, -1, 9999, 0), EBADF);
	/* A descriptor of O_PATH knows five commands. */
	ASSERT_OK(fcntl(path, F_DUPFD, 0));
	ASSERT_OK(fcntl(path, F_SETFD, FD_CLOEXEC));
	assert_int_equal(fcntl(path, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(path, F_GETFL), O_PATH);
	ASSERT_ERR(fcntl(path, F_SETFL, 0), EBADF);
	ASSERT_ERR(fcntl(path, F_GETOWN), EBADF);
	ASSERT_ERR(syscall(SYS_fcntl, path, 9999, 0), EBADF);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(dupfd_takes_the_lowest_from_a_minimum),
		cmocka_unit_test(cloexec_is_the_only_descriptor_flag),
		cmocka_unit_test(setfl_changes_only_what_may_change),
		cmocka_unit_test(setfl_append_and_nonblock_work_at_once),
		cmocka_unit_test(pipe_sizes_are_powers_of_two_of_pages),
		cmocka_unit_test(owner_and_signal_are_remembered),
		cmocka_unit_test(async_signals_when_data_comes),
		cmocka_unit_test(regular_files_have_no_async),
		cmocka_unit_test(whether_opening_made_the_file_can_be_asked),
		cmocka_unit_test(unknown_commands_are_einval),
	};

	return FILE_RUN_HERE(tests);
}
