/* SPDX-License-Identifier: MIT */
/*
 * File locks inside one process: POSIX record locks (owned by the process: they never conflict with
 * themselves, but do with OFD locks), OFD locks (owned by the description) and flock(2). Ranges and
 * how they split and merge, F_GETLK, waiting in a second thread, signals, release on close.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/file.h>

static struct flock range(int type, off_t start, off_t len)
{
	return (struct flock){ .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start,
			       .l_len = len };
}

static int set(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	return fcntl(fd, cmd, &l);
}

/* What stands in the way of a write lock on this range; type F_UNLCK if nothing. */
static struct flock ask(int fd, int cmd, off_t start, off_t len)
{
	struct flock l = range(F_WRLCK, start, len);

	ASSERT_OK(fcntl(fd, cmd, &l));
	return l;
}

static void assert_lock(struct flock l, int type, off_t start, off_t len, pid_t pid)
{
	if (l.l_type != type || l.l_whence != SEEK_SET || l.l_start != start || l.l_len != len ||
	    l.l_pid != pid)
		fail_msg("type %d whence %d start %ld len %ld pid %d, want type %d start %ld "
			 "len %ld pid %d", l.l_type, l.l_whence, (long)l.l_start, (long)l.l_len,
			 l.l_pid, type, (long)start, (long)len, pid);
}

static int open_again(void)
{
	return (int)ASSERT_OK(open("f", O_RDWR));
}

static void posix_locks_never_conflict_within_a_process(void **state)
{
	int a = file_make("f", "0123456789"), b = open_again();

	ASSERT_OK(set(a, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_OK(set(b, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_OK(set(b, F_SETLKW, F_RDLCK, 2, 3));
	assert_int_equal(ask(b, F_GETLK, 0, 0).l_type, F_UNLCK);
}

static void getlk_without_conflict_changes_only_the_type(void **state)
{
	int fd = file_make("f", "0123456789");
	struct flock l = { F_RDLCK, SEEK_END, -3, 2, 4711 };

	ASSERT_OK(fcntl(fd, F_GETLK, &l));
	assert_int_equal(l.l_type, F_UNLCK);
	assert_int_equal(l.l_whence, SEEK_END);
	assert_int_equal(l.l_start, -3);
	assert_int_equal(l.l_len, 2);
	assert_int_equal(l.l_pid, 4711);
}

static void ofd_locks_conflict_between_descriptions(void **state)
{
	int a = file_make("f", "0123456789"), b = open_again(), copy = dup(a);

	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 2, 4));
	ASSERT_ERR(set(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
	ASSERT_ERR(set(b, F_OFD_SETLK, F_RDLCK, 5, 1), EAGAIN);
	ASSERT_OK(set(b, F_OFD_SETLK, F_WRLCK, 0, 2));
	ASSERT_OK(set(b, F_OFD_SETLK, F_WRLCK, 6, 2));
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_WRLCK, 2, 4, -1);
	assert_lock(ask(copy, F_OFD_GETLK, 2, 4), F_UNLCK, 2, 4, 0);    /* a copy owns it too */
	ASSERT_OK(set(copy, F_OFD_SETLK, F_UNLCK, 2, 4));
	ASSERT_OK(set(b, F_OFD_SETLK, F_WRLCK, 2, 4));
}

static void read_locks_share(void **state)
{
	int a = file_make("f", ""), b = open_again(), c = open_again();

	ASSERT_OK(set(a, F_OFD_SETLK, F_RDLCK, 0, 10));
	ASSERT_OK(set(b, F_OFD_SETLK, F_RDLCK, 5, 10));
	ASSERT_ERR(set(c, F_OFD_SETLK, F_WRLCK, 5, 1), EAGAIN);
	ASSERT_ERR(set(a, F_OFD_SETLK, F_WRLCK, 0, 10), EAGAIN);        /* no upgrade past b */
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 5));
	ASSERT_ERR(set(c, F_OFD_SETLK, F_RDLCK, 4, 1), EAGAIN);
	ASSERT_OK(set(c, F_OFD_SETLK, F_RDLCK, 5, 1));
	ASSERT_OK(set(a, F_OFD_SETLK, F_RDLCK, 0, 5));                  /* downgrade */
	ASSERT_OK(set(c, F_OFD_SETLK, F_RDLCK, 4, 1));
}

static void posix_and_ofd_locks_conflict(void **state)
{
	int a = file_make("f", ""), b = open_again();

	ASSERT_OK(set(a, F_SETLK, F_WRLCK, 0, 10));
	ASSERT_ERR(set(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	ASSERT_ERR(set(a, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN); /* even on the same description */
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_WRLCK, 0, 10, getpid());
	ASSERT_OK(set(b, F_OFD_SETLK, F_RDLCK, 10, 10));
	ASSERT_ERR(set(a, F_SETLK, F_WRLCK, 15, 1), EAGAIN);
	assert_lock(ask(a, F_GETLK, 0, 0), F_RDLCK, 10, 10, -1);
}

static void ranges_split_and_merge(void **state)
{
	int a = file_make("f", ""), b = open_again();

	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 100));
	ASSERT_OK(set(a, F_OFD_SETLK, F_UNLCK, 40, 20));
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_WRLCK, 0, 40, -1);
	assert_lock(ask(b, F_OFD_GETLK, 40, 0), F_WRLCK, 60, 40, -1);
	assert_int_equal(ask(b, F_OFD_GETLK, 40, 20).l_type, F_UNLCK);
	ASSERT_OK(set(a, F_OFD_SETLK, F_RDLCK, 10, 10));        /* another type in the middle */
	assert_lock(ask(b, F_OFD_GETLK, 0, 5), F_WRLCK, 0, 10, -1);
	assert_lock(ask(b, F_OFD_GETLK, 12, 1), F_RDLCK, 10, 10, -1);
	assert_lock(ask(b, F_OFD_GETLK, 20, 5), F_WRLCK, 20, 20, -1);
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 10, 60));        /* all one again */
	assert_lock(ask(b, F_OFD_GETLK, 50, 1), F_WRLCK, 0, 100, -1);
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 100, 0));        /* neighbours merge; to the end */
	assert_lock(ask(b, F_OFD_GETLK, 1000000, 1), F_WRLCK, 0, 0, -1);
	ASSERT_OK(set(a, F_OFD_SETLK, F_UNLCK, 0, 0));
	assert_int_equal(ask(b, F_OFD_GETLK, 0, 0).l_type, F_UNLCK);
}

static void getlk_names_the_first_in_the_file(void **state)
{
	int a = file_make("f", "0123456789"), b = open_again(), c = open_again();

	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 10, 5));
	ASSERT_OK(set(a, F_OFD_SETLK, F_RDLCK, 5, 5));
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_RDLCK, 5, 5, -1);
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 7, 1)); /* in the middle */
	assert_lock(ask(b, F_OFD_GETLK, 7, 0), F_WRLCK, 7, 1, -1);
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_RDLCK, 5, 2, -1);
	ASSERT_OK(set(c, F_OFD_SETLK, F_WRLCK, 1, 1)); /* who came later is named later */
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_RDLCK, 5, 2, -1);
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 3, 1));
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_WRLCK, 3, 1, -1);
}

static void starts_count_from_three_places(void **state)
{
	int a = file_make("f", "0123456789"), b = open_again();
	struct flock cur = { F_WRLCK, SEEK_CUR, -1, 2, 0 }, end = { F_WRLCK, SEEK_END, 0, 5, 0 },
		     back = { F_WRLCK, SEEK_SET, 30, -10, 0 };

	assert_int_equal(lseek(a, 4, SEEK_SET), 4);
	ASSERT_OK(fcntl(a, F_OFD_SETLK, &cur));
	assert_lock(ask(b, F_OFD_GETLK, 0, 0), F_WRLCK, 3, 2, -1);
	ASSERT_OK(fcntl(a, F_OFD_SETLK, &end));
	assert_lock(ask(b, F_OFD_GETLK, 5, 0), F_WRLCK, 10, 5, -1);
	ASSERT_OK(fcntl(a, F_OFD_SETLK, &back));        /* a negative length: what comes before */
	assert_lock(ask(b, F_OFD_GETLK, 15, 0), F_WRLCK, 20, 10, -1);
}

static void errors_of_record_locks(void **state)
{
	int fd = file_make("f", ""), r = (int)ASSERT_OK(open("f", O_RDONLY));
	int w = (int)ASSERT_OK(open("f", O_WRONLY));
	struct flock l = range(F_WRLCK, 0, 1);

	ASSERT_ERR(set(-1, F_SETLK, F_WRLCK, 0, 1), EBADF);
	ASSERT_ERR(set(r, F_SETLK, F_WRLCK, 0, 1), EBADF);
	ASSERT_ERR(set(w, F_SETLK, F_RDLCK, 0, 1), EBADF);
	ASSERT_ERR(set(r, F_OFD_SETLK, F_WRLCK, 0, 1), EBADF);
	ASSERT_OK(set(r, F_SETLK, F_RDLCK, 0, 1));
	ASSERT_OK(set(r, F_SETLK, F_UNLCK, 0, 1));
	ASSERT_ERR(set(fd, F_SETLK, 77, 0, 1), EINVAL);
	ASSERT_ERR(set(fd, F_SETLK, F_WRLCK, -1, 1), EINVAL);
	ASSERT_ERR(set(fd, F_SETLK, F_WRLCK, 5, -6), EINVAL);
	ASSERT_ERR(set(fd, F_SETLK, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
	ASSERT_OK(set(fd, F_SETLK, F_WRLCK, INT64_MAX, 1));
	ASSERT_ERR(fcntl(fd, F_SETLK, file_bad()), EFAULT);
	ASSERT_ERR(fcntl(fd, F_GETLK, file_bad()), EFAULT);
	l.l_whence = 3;
	ASSERT_ERR(fcntl(fd, F_SETLK, &l), EINVAL);
	l = range(F_UNLCK, 0, 1);
	ASSERT_ERR(fcntl(fd, F_GETLK, &l), EINVAL);
	l = range(F_WRLCK, 0, 1);
	l.l_pid = 1;
	ASSERT_ERR(fcntl(fd, F_OFD_SETLK, &l), EINVAL);         /* reserved there */
	ASSERT_ERR(fcntl(fd, F_OFD_GETLK, &l), EINVAL);
	ASSERT_OK(fcntl(fd, F_SETLK, &l));
	ASSERT_OK(set(r, F_GETLK, F_WRLCK, 0, 1));              /* asking needs no access mode */
}

static void closing_any_descriptor_drops_posix_locks(void **state)
{
	int a = file_make("f", ""), b = open_again(), c = open_again();

	ASSERT_OK(set(a, F_SETLK, F_WRLCK, 0, 10));
	ASSERT_ERR(set(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(c);                                               /* had nothing to do with it */
	ASSERT_OK(set(b, F_OFD_SETLK, F_WRLCK, 0, 1));
}

static void ofd_locks_live_until_the_last_copy_closes(void **state)
{
	int a = file_make("f", ""), copy = dup(a), b = open_again();

	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	close(open_again());
	ASSERT_ERR(set(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(a);
	ASSERT_ERR(set(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	close(copy);
	ASSERT_OK(set(b, F_OFD_SETLK, F_WRLCK, 0, 1));
}

struct wait {
	int fd, cmd, type;
	off_t start;
};

static long lock_and_wait(void *arg)
{
	struct wait *w = arg;

	return set(w->fd, w->cmd, w->type, w->start, 1);
}

static void waiters_get_the_lock_when_it_is_free(void **state)
{
	int a = file_make("f", ""), b = open_again();
	struct wait w = { b, F_OFD_SETLKW, F_WRLCK, 0 };
	struct bg bg;

	ASSERT_OK(set(a, F_OFD_SETLK, F_RDLCK, 0, 10));
	bg_start(&bg, lock_and_wait, &w);
	assert_true(bg_blocks(&bg));
	ASSERT_OK(set(a, F_OFD_SETLK, F_UNLCK, 5, 5));          /* another part: not for him */
	assert_true(bg_blocks(&bg));
	ASSERT_OK(set(a, F_OFD_SETLK, F_UNLCK, 0, 5));
	assert_int_equal(bg_end(&bg), 0);
	ASSERT_ERR(set(a, F_OFD_SETLK, F_RDLCK, 0, 1), EAGAIN); /* he has it */

	ASSERT_OK(set(b, F_OFD_SETLK, F_UNLCK, 0, 0));
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	w.cmd = F_SETLKW;                                       /* the process waits for a */
	bg_start(&bg, lock_and_wait, &w);
	assert_true(bg_blocks(&bg));
	close(a);
	assert_int_equal(bg_end(&bg), 0);
}

static void waiting_for_a_record_can_be_interrupted(void **state)
{
	int a = file_make("f", ""), b = open_again();
	struct wait w = { b, F_OFD_SETLKW, F_WRLCK, 0 };
	struct bg bg;

	bg_handle(SIGUSR1, 0);
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	bg_start(&bg, lock_and_wait, &w);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	ASSERT_OK(set(a, F_OFD_SETLK, F_UNLCK, 0, 0));
	ASSERT_OK(set(a, F_OFD_SETLK, F_WRLCK, 0, 10));         /* he has gone from the queue */
	signal(SIGUSR1, SIG_DFL);
}

static void flock_belongs_to_the_description(void **state)
{
	int a = file_make("f", ""), b = open_again(), copy = dup(a);

	ASSERT_OK(flock(a, LOCK_EX | LOCK_NB));
	ASSERT_ERR(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	ASSERT_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_OK(flock(copy, LOCK_EX | LOCK_NB));
	close(a);
	ASSERT_ERR(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_OK(flock(copy, LOCK_UN));
	ASSERT_OK(flock(b, LOCK_SH | LOCK_NB));
	ASSERT_OK(flock(copy, LOCK_SH | LOCK_NB));
	ASSERT_ERR(flock(copy, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(b);
	ASSERT_OK(flock(copy, LOCK_EX | LOCK_NB));
	close(copy);
	ASSERT_OK(flock(open_again(), LOCK_EX | LOCK_NB));
}

static void a_failed_conversion_loses_the_flock(void **state)
{
	int a = file_make("f", ""), b = open_again(), c = open_again();

	ASSERT_OK(flock(a, LOCK_SH));
	ASSERT_OK(flock(b, LOCK_SH));
	ASSERT_ERR(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);   /* flock(2): not atomic */
	ASSERT_OK(flock(b, LOCK_EX | LOCK_NB));                 /* so a's share is gone */
	ASSERT_ERR(flock(c, LOCK_SH | LOCK_NB), EWOULDBLOCK);
}

static void flock_knows_nothing_of_record_locks(void **state)
{
	int a = file_make("f", ""), b = open_again();

	ASSERT_OK(flock(a, LOCK_EX));
	ASSERT_OK(set(b, F_SETLK, F_WRLCK, 0, 0));
	ASSERT_ERR(set(a, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
	assert_int_equal(ask(b, F_GETLK, 0, 0).l_type, F_UNLCK);
}

static void flock_errors_and_kinds_of_files(void **state)
{
	int p[2], fd = file_make("f", "");
	int r = (int)ASSERT_OK(open("f", O_RDONLY)), dir = (int)ASSERT_OK(open(".", O_RDONLY));

	ASSERT_ERR(flock(-1, LOCK_EX), EBADF);
	ASSERT_ERR(flock(fd, 0), EINVAL);
	ASSERT_ERR(flock(fd, LOCK_NB), EINVAL);
	ASSERT_ERR(flock(fd, LOCK_SH | LOCK_EX), EINVAL);
	ASSERT_ERR(flock(fd, LOCK_EX | 1024), EINVAL);
	ASSERT_OK(flock(fd, LOCK_UN));                  /* nothing held is fine */
	ASSERT_OK(flock(r, LOCK_EX));                   /* whatever the access mode */
	ASSERT_OK(flock(dir, LOCK_EX));
	int dir2 = (int)ASSERT_OK(open(".", O_RDONLY));
	ASSERT_ERR(flock(dir2, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	ASSERT_OK(pipe(p));
	ASSERT_OK(flock(p[0], LOCK_EX));
	ASSERT_ERR(flock(p[1], LOCK_SH | LOCK_NB), EWOULDBLOCK);
}

static long flock_and_wait(void *arg)
{
	return flock(*(int *)arg, LOCK_EX);
}

static void flock_waits_and_can_be_interrupted(void **state)
{
	int a = file_make("f", ""), b = open_again();
	struct bg bg;

	ASSERT_OK(flock(a, LOCK_SH));
	bg_start(&bg, flock_and_wait, &b);
	assert_true(bg_blocks(&bg));
	close(a);
	assert_int_equal(bg_end(&bg), 0);

	bg_handle(SIGUSR1, 0);
	a = open_again();
	bg_start(&bg, flock_and_wait, &a);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(posix_locks_never_conflict_within_a_process),
		cmocka_unit_test(getlk_without_conflict_changes_only_the_type),
		cmocka_unit_test(ofd_locks_conflict_between_descriptions),
		cmocka_unit_test(read_locks_share),
		cmocka_unit_test(posix_and_ofd_locks_conflict),
		cmocka_unit_test(ranges_split_and_merge),
		cmocka_unit_test(getlk_names_the_first_in_the_file),
		cmocka_unit_test(starts_count_from_three_places),
		cmocka_unit_test(errors_of_record_locks),
		cmocka_unit_test(closing_any_descriptor_drops_posix_locks),
		cmocka_unit_test(ofd_locks_live_until_the_last_copy_closes),
		cmocka_unit_test(waiters_get_the_lock_when_it_is_free),
		cmocka_unit_test(waiting_for_a_record_can_be_interrupted),
		cmocka_unit_test(flock_belongs_to_the_description),
		cmocka_unit_test(a_failed_conversion_loses_the_flock),
		cmocka_unit_test(flock_knows_nothing_of_record_locks),
		cmocka_unit_test(flock_errors_and_kinds_of_files),
		cmocka_unit_test(flock_waits_and_can_be_interrupted),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
