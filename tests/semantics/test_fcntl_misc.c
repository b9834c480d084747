/* SPDX-License-Identifier: MIT */
/*
 * The rarer commands of fcntl(2): F_NOTIFY (where configured), leases, write hints, seals refused
 * on ordinary files; also posix_fadvise(2) and readahead(2), which hint likewise.
 * Seals of memfd are in test_memfd.c, the common commands in test_fcntl.c.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/file.h>

static volatile sig_atomic_t notified, notified_fd;

static void on_notify(int sig, siginfo_t *info, void *uc)
{
	notified++;
	notified_fd = info->si_fd;
}

static void f_notify_signals_changes_of_a_directory(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_notify, .sa_flags = SA_SIGINFO }, old;
	int file = file_make("f", ""), dir = (int)ASSERT_OK(open(".", O_RDONLY));

	notified = 0;
	ASSERT_OK(sigaction(SIGUSR1, &sa, &old));
	if (fcntl(dir, F_NOTIFY, DN_CREATE) == -1) {
		assert_int_equal(errno, EINVAL);        /* a kernel without dnotify */
		skip();
	}
	ASSERT_OK(fcntl(dir, F_SETSIG, SIGUSR1));
	file_put("a", "");
	assert_true(EVENTUALLY(notified == 1));
	assert_int_equal(notified_fd, dir);
	file_put("b", "");
	assert_int_equal(notified, 1);                  /* once, without DN_MULTISHOT */
	ASSERT_OK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_DELETE | DN_MULTISHOT));
	ASSERT_OK(unlink("a"));
	ASSERT_OK(unlink("b"));
	assert_true(EVENTUALLY(notified == 3));
	ASSERT_OK(fcntl(dir, F_NOTIFY, 0));             /* off */
	file_put("c", "");
	assert_int_equal(notified, 3);
	ASSERT_ERR(fcntl(file, F_NOTIFY, DN_CREATE), ENOTDIR);
	ASSERT_OK(sigaction(SIGUSR1, &old, NULL));
}

static void seals_are_for_memory_files(void **state)
{
	int p[2];

	ASSERT_OK(pipe(p));
	ASSERT_ERR(fcntl(p[0], F_GET_SEALS), EINVAL);
	ASSERT_ERR(fcntl(p[0], F_ADD_SEALS, F_SEAL_GROW), EPERM);       /* not open for writing */
	ASSERT_ERR(fcntl(p[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
	int fd = file_make("f", "");
	int seals = fcntl(fd, F_GET_SEALS);             /* files of a tmpfs have them, closed */
	if (seals == -1)
		assert_int_equal(errno, EINVAL);
	else
		assert_int_equal(seals, F_SEAL_SEAL);
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), seals == -1 ? EINVAL : EPERM);
}

static void leases_may_be_taken_by_a_sole_opener(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_notify, .sa_flags = SA_SIGINFO }, old;
	int fd, p[2];

	notified = 0;
	ASSERT_OK(pipe(p));
	ASSERT_ERR(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
	file_put("f", "");
	fd = (int)ASSERT_OK(open("f", O_RDONLY));
	assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == -1) {     /* some file systems have none */
		assert_true(errno == EINVAL || errno == EAGAIN);
		skip();
	}
	assert_int_equal(fcntl(fd, F_GETLEASE), F_RDLCK);
	ASSERT_OK(sigaction(SIGUSR1, &sa, &old));
	ASSERT_OK(fcntl(fd, F_SETSIG, SIGUSR1));
	close((int)ASSERT_OK(open("f", O_RDONLY)));     /* readers do no harm */
	assert_int_equal(notified, 0);
	ASSERT_ERR(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	assert_true(EVENTUALLY(notified == 1));
	assert_int_equal(notified_fd, fd);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);
	close((int)ASSERT_OK(open("f", O_WRONLY | O_NONBLOCK)));
	ASSERT_ERR(fcntl(fd, F_SETLEASE, 77), EINVAL);
	ASSERT_OK(sigaction(SIGUSR1, &old, NULL));
}

#ifndef F_GET_RW_HINT
#define F_GET_RW_HINT 1035
#define F_SET_RW_HINT 1036
#endif

static void write_hints_are_remembered(void **state)
{
	uint64_t hint = 99;
	int fd = file_make("f", "");

	if (fcntl(fd, F_GET_RW_HINT, &hint) == -1) {
		assert_int_equal(errno, EINVAL);
		skip();
	}
	assert_int_equal(hint, 0);
	hint = 3;                                       /* RWH_WRITE_LIFE_MEDIUM */
	ASSERT_OK(fcntl(fd, F_SET_RW_HINT, &hint));
	hint = 0;
	ASSERT_OK(fcntl((int)ASSERT_OK(open("f", O_RDONLY)), F_GET_RW_HINT, &hint));
	assert_int_equal(hint, 3);                      /* it is the file's */
	hint = 77;
	ASSERT_ERR(fcntl(fd, F_SET_RW_HINT, &hint), EINVAL);
	ASSERT_ERR(fcntl(fd, F_SET_RW_HINT, file_bad()), EFAULT);
}

static void advice_is_checked_but_changes_nothing(void **state)
{
	int fd = file_make("f", "hello"), p[2];

	ASSERT_OK(pipe(p));
	for (int advice = POSIX_FADV_NORMAL; advice <= POSIX_FADV_NOREUSE; advice++)
		ASSERT_RET(posix_fadvise(fd, 0, 0, advice), 0);
	ASSERT_RET(posix_fadvise(fd, 100, 1000, POSIX_FADV_DONTNEED), 0);
	assert_string_equal(file_text("f"), "hello");
	ASSERT_RET(posix_fadvise(fd, 0, 0, 99), EINVAL);
	ASSERT_RET(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL);
	ASSERT_RET(posix_fadvise(-1, 0, -1, 99), EBADF);
	ASSERT_RET(posix_fadvise(p[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
	ASSERT_OK(readahead(fd, 0, 100));
	ASSERT_ERR(readahead(-1, 0, 100), EBADF);
	ASSERT_ERR(readahead(p[0], 0, 100), EINVAL);
	ASSERT_ERR(readahead((int)ASSERT_OK(open("f", O_WRONLY)), 0, 100), EBADF);
}

/* On disks; in memory anything goes. */
static void direct_io_wants_whole_blocks(void **state)
{
	int fd = open("f", O_RDWR | O_CREAT | O_DIRECT, 0600);
	char *buf = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd == -1) {
		assert_int_equal(errno, EINVAL);        /* tmpfs before Linux 6.6 */
		skip();
	}
	assert_int_equal(write(fd, buf, 4096), 4096);
	if (pwrite(fd, buf, 100, 0) == 100)
		skip();
	assert_int_equal(errno, EINVAL);
	ASSERT_ERR(pwrite(fd, buf + 1, 4096, 0), EINVAL);
	ASSERT_ERR(pwrite(fd, buf, 4096, 1), EINVAL);
	ASSERT_ERR(pread(fd, buf, 4095, 0), EINVAL);
	ASSERT_ERR(pread(fd, buf, 4096, 100), EINVAL);
	assert_int_equal(pread(fd, buf, 100, 1 << 20), 0);      /* nothing is to be read there */
	assert_int_equal(pread(fd, buf, 4096, 0), 4096);
	assert_int_equal(pread(fd, buf, 0, 1), 0);
	ASSERT_OK(fcntl(fd, F_SETFL, 0));
	assert_int_equal(pwrite(fd, buf, 100, 1), 100);
	ASSERT_OK(fcntl(fd, F_SETFL, O_DIRECT));
	ASSERT_ERR(pwrite(fd, buf, 100, 1), EINVAL);
	munmap(buf, 8192);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(f_notify_signals_changes_of_a_directory),
		cmocka_unit_test(seals_are_for_memory_files),
		cmocka_unit_test(leases_may_be_taken_by_a_sole_opener),
		cmocka_unit_test(write_hints_are_remembered),
		cmocka_unit_test(direct_io_wants_whole_blocks),
		cmocka_unit_test(advice_is_checked_but_changes_nothing),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
