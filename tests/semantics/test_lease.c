/* SPDX-License-Identifier: MIT */
/* Leases: who may have one, who has to wait for it, what its holder is told. fcntl(2), F_SETLEASE. */
#include "tests/lib/child.h"
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/sigwait.h"

#define SIG (SIGRTMIN + 3)

/* A lease of this kind on "f", whose breaks are told by SIG. Skips where the file system has none. */
static int take(int type)
{
	int fd;

	file_put("f", "hello");
	fd = (int)ASSERT_OK(open("f", type == F_WRLCK ? O_RDWR : O_RDONLY));
	sig_drain(SIG);
	if (fcntl(fd, F_SETLEASE, type) == -1) {
		assert_int_equal(errno, EINVAL);
		skip();
	}
	ASSERT_OK(fcntl(fd, F_SETSIG, SIG));
	assert_int_equal(fcntl(fd, F_GETLEASE), type);
	return fd;
}

static long open_it(void *arg)
{
	long fd = open("f", *(int *)arg);

	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? -1 : 0;
}

static long truncate_it(void *arg)
{
	return truncate("f", 1);
}

static void writers_wait_until_it_is_given_up(void **state)
{
	int fd = take(F_RDLCK), how = O_WRONLY;
	struct bg bg;

	bg_start(&bg, open_it, &how);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);       /* what it has to become */
	assert_true(bg_blocks(&bg));
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	assert_int_equal(bg_end(&bg), 0);
	assert_true(sig_none(SIG));
}

static void readers_wait_until_it_is_lowered(void **state)
{
	int fd = take(F_WRLCK), how = O_RDONLY;
	struct bg bg;

	bg_start(&bg, open_it, &how);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	assert_int_equal(fcntl(fd, F_GETLEASE), F_RDLCK);
	assert_true(bg_blocks(&bg));
	ASSERT_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EAGAIN);     /* it is open for writing: by ourselves */
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	assert_int_equal(bg_end(&bg), 0);
}

static void a_write_lease_on_a_reader_can_be_lowered(void **state)
{
	int fd, how = O_RDONLY;
	struct bg bg;

	file_put("f", "");
	fd = (int)ASSERT_OK(open("f", O_RDONLY));
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == -1)
		skip();
	ASSERT_OK(fcntl(fd, F_SETSIG, SIG));
	bg_start(&bg, open_it, &how);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_RDLCK));
	assert_int_equal(bg_end(&bg), 0);
	assert_int_equal(fcntl(fd, F_GETLEASE), F_RDLCK);
}

static void truncating_by_name_is_writing(void **state)
{
	int fd = take(F_RDLCK);
	struct bg bg;

	bg_start(&bg, truncate_it, NULL);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	assert_true(bg_blocks(&bg));
	assert_string_equal(file_text("f"), "hello");
	close(fd);                                      /* ends it, too */
	assert_int_equal(bg_end(&bg), 0);
	assert_string_equal(file_text("f"), "h");
}

static void nonblocking_openers_are_told(void **state)
{
	int fd = take(F_RDLCK);

	ASSERT_ERR(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	ASSERT_ERR(open("f", O_RDWR | O_NONBLOCK), EWOULDBLOCK);
	assert_true(sig_none(SIG));                     /* was told already */
	ASSERT_OK(open("f", O_RDONLY | O_NONBLOCK));
	ASSERT_OK(open("f", O_PATH));
	ASSERT_ERR(open("f", O_WRONLY | O_TRUNC | O_NONBLOCK), EWOULDBLOCK);
	assert_string_equal(file_text("f"), "hello");
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	close((int)ASSERT_OK(open("f", O_WRONLY | O_NONBLOCK)));
}

static void signals_end_the_wait(void **state)
{
	int how = O_WRONLY;
	struct bg bg;

	take(F_RDLCK);
	bg_handle(SIGUSR1, 0);
	bg_start(&bg, open_it, &how);
	assert_true(bg_blocks(&bg));
	assert_true(bg_interrupt(&bg, SIGUSR1));
	ASSERT_ERR(bg_end(&bg), EINTR);
}

static void without_setsig_it_is_sigio(void **state)
{
	siginfo_t info;
	int fd = take(F_RDLCK);

	sig_drain(SIGIO);
	ASSERT_OK(fcntl(fd, F_SETSIG, 0));
	ASSERT_ERR(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	assert_int_equal(sig_fetch(SIGIO, &info, SIGWAIT_LIMIT_MS), SIGIO);
	assert_int_equal(info.si_code, SI_KERNEL);
}

static void who_has_the_file_open_counts(void **state)
{
	int fd = take(F_RDLCK), fd2;

	fd2 = (int)ASSERT_OK(open("f", O_RDONLY));
	ASSERT_OK(fcntl(fd2, F_SETLEASE, F_RDLCK));             /* many may read */
	ASSERT_ERR(fcntl(fd2, F_SETLEASE, F_WRLCK), EAGAIN);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	ASSERT_ERR(fcntl(fd2, F_SETLEASE, F_WRLCK), EAGAIN);    /* it is still open */
	close(fd);
	ASSERT_OK(fcntl(fd2, F_SETLEASE, F_WRLCK));
	ASSERT_OK(fcntl(fd2, F_SETLEASE, F_UNLCK));
	fd = (int)ASSERT_OK(open("f", O_WRONLY));
	ASSERT_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EAGAIN);
	ASSERT_ERR(fcntl(fd2, F_SETLEASE, F_RDLCK), EAGAIN);
	close(fd2);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_WRLCK));
}

static void mistakes_are_reported_in_order(void **state)
{
	int fd = take(F_RDLCK), dir = (int)ASSERT_OK(open(".", O_RDONLY)), p[2];

	ASSERT_OK(pipe(p));
	ASSERT_ERR(fcntl(fd, F_SETLEASE, 77), EINVAL);
	ASSERT_ERR(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
	ASSERT_ERR(fcntl(-1, F_SETLEASE, 77), EBADF);
	ASSERT_ERR(fcntl(dir, F_SETLEASE, F_UNLCK), EINVAL);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	ASSERT_ERR(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
	ASSERT_ERR(fcntl((int)ASSERT_OK(open("f", O_PATH)), F_SETLEASE, F_RDLCK), EBADF);
}

static long lease_as_other(void *arg)
{
	return fcntl(*(int *)arg, F_SETLEASE, F_RDLCK);
}

static void only_the_owner_may(void **state)
{
	int fd = take(F_RDLCK);

	if (getuid())
		skip();
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	ASSERT_ERR(bg_as_user(1000, lease_as_other, &fd), EACCES);
	ASSERT_OK(fchown(fd, 1000, 1000));
	ASSERT_OK(bg_as_user(1000, lease_as_other, &fd));
}

/* lease_setup(), lease_modify(): the means are O_ASYNC's. */
static void the_owner_is_set_and_reset(void **state)
{
	int fd = take(F_RDLCK);

	assert_int_equal(fcntl(fd, F_GETOWN), getpid());
	assert_true(fcntl(fd, F_GETFL) & O_ASYNC);
	ASSERT_OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	assert_int_equal(fcntl(fd, F_GETOWN), 0);
	assert_int_equal(fcntl(fd, F_GETSIG), 0);
	assert_false(fcntl(fd, F_GETFL) & O_ASYNC);
}

static int open_in_child(void *arg)
{
	CHECK(open("f", O_WRONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	close(*(int *)arg);                             /* not the last one */
	CHECK(open("f", O_WRONLY | O_NONBLOCK) == -1 && errno == EWOULDBLOCK);
	return 0;
}

static void it_belongs_to_the_description(void **state)
{
	int fd = take(F_RDLCK), fd2 = (int)ASSERT_OK(dup(fd));

	IN_CHILD(open_in_child, &fd);
	SIG_EXPECT(SIG, fd, POLL_MSG, MSG_BAND);
	assert_true(sig_none(SIG));
	close(fd);
	ASSERT_ERR(open("f", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	ASSERT_OK(fcntl(fd2, F_SETLEASE, F_UNLCK));
	ASSERT_OK(open("f", O_WRONLY | O_NONBLOCK));
}

static void other_names_lead_to_it_as_well(void **state)
{
	take(F_RDLCK);
	ASSERT_OK(link("f", "g"));                      /* names are no business of leases */
	ASSERT_ERR(open("g", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	ASSERT_OK(rename("g", "h"));
	ASSERT_OK(chmod("h", 0600));
	ASSERT_OK(unlink("f"));
	ASSERT_ERR(open("h", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(writers_wait_until_it_is_given_up),
		cmocka_unit_test(readers_wait_until_it_is_lowered),
		cmocka_unit_test(a_write_lease_on_a_reader_can_be_lowered),
		cmocka_unit_test(truncating_by_name_is_writing),
		cmocka_unit_test(nonblocking_openers_are_told),
		cmocka_unit_test(signals_end_the_wait),
		cmocka_unit_test(without_setsig_it_is_sigio),
		cmocka_unit_test(who_has_the_file_open_counts),
		cmocka_unit_test(mistakes_are_reported_in_order),
		cmocka_unit_test(only_the_owner_may),
		cmocka_unit_test(the_owner_is_set_and_reset),
		cmocka_unit_test(it_belongs_to_the_description),
		cmocka_unit_test(other_names_lead_to_it_as_well),
	};

	sig_block(SIG);
	sig_block(SIGIO);
	return FILE_RUN_EVERYWHERE(tests);
}
