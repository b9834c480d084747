/* SPDX-License-Identifier: MIT */
/* Record locks: conflicts, splitting and melting, waiting, deadlocks, close; OFD; flock; and what host programs see. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "tests/unit/vfs/file_io.h"

/* Two descriptions of one inode, over a host file. */
struct host_backed { struct file file; int fd; };
static int path_fd;
static struct host_backed a, b;
static char name[] = "/tmp/vmrun-test-lock-XXXXXX";
static int proc1, proc2, proc3; /* owners */

static int get_host_fd(struct file *f)
{
	return container_of(f, struct host_backed, file)->fd;
}

static void release(struct file *f)
{
	file_fini(f);
	close(container_of(f, struct host_backed, file)->fd);
}

static const struct file_ops ops = { .name = "host", .host_fd = get_host_fd, .release = release };

static void open_one(struct host_backed *h)
{
	file_init(&h->file, &ops, O_RDWR);
	h->file.seekable = true;
	h->file.inode = (struct inode *)&proc3; /* any identity: lock.c compares it only */
	h->fd = open(name, O_RDWR | O_CLOEXEC);
}

static int setup(void **state)
{
	strcpy(name + strlen(name) - 6, "XXXXXX");
	path_fd = mkstemp(name);
	open_one(&a);
	open_one(&b);
	return path_fd < 0 || a.fd < 0 || b.fd < 0;
}

static int teardown(void **state)
{
	file_release_posix_locks(&a.file, &proc1);
	file_release_posix_locks(&a.file, &proc2);
	file_put(&a.file);
	file_put(&b.file);
	close(path_fd);
	unlink(name);
	return 0;
}

static struct flock_req req(short type, uint64_t start, uint64_t end, void *owner)
{
	return (struct flock_req){ .type = type, .start = start, .end = end, .owner = owner, .pid = owner == &proc1 ? 1 : 2 };
}

static int set(void *owner, short type, uint64_t start, uint64_t end)
{
	struct flock_req r = req(type, start, end, owner);

	return file_setlk(&a.file, &r, false);
}

/* What stands in proc2's way at this byte: the lock's range and holder, or nothing. */
static struct flock_req seen(uint64_t at)
{
	struct flock_req r = req(F_WRLCK, at, at, &proc2);

	assert_int_equal(file_getlk(&a.file, &r), 0);
	return r;
}

/* --- records ------------------------------------------------------------------------------------------------ */

static void readers_share_and_writers_do_not(void **state)
{
	assert_int_equal(set(&proc1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(&proc2, F_RDLCK, 5, 20), 0);
	assert_int_equal(set(&proc2, F_WRLCK, 9, 9), -EAGAIN);
	assert_int_equal(set(&proc2, F_WRLCK, 10, 20), 0);
	assert_int_equal(set(&proc1, F_RDLCK, 20, 30), -EAGAIN);
	assert_int_equal(set(&proc2, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(set(&proc1, F_WRLCK, 0, INT64_MAX), 0);
	assert_int_equal(set(&proc2, F_RDLCK, 1000000, 1000000), -EAGAIN);
}

static void ranges_split_and_melt(void **state)
{
	struct flock_req r;

	assert_int_equal(set(&proc1, F_WRLCK, 0, 99), 0);
	assert_int_equal(set(&proc1, F_UNLCK, 40, 59), 0);
	assert_int_equal(seen(50).type, F_UNLCK);
	r = seen(0);
	assert_true(r.type == F_WRLCK && r.start == 0 && r.end == 39 && r.pid == 1);
	r = seen(60);
	assert_true(r.start == 60 && r.end == 99);
	assert_int_equal(set(&proc1, F_WRLCK, 40, 59), 0); /* adjacent on both sides */
	r = seen(50);
	assert_true(r.start == 0 && r.end == 99);
	assert_int_equal(set(&proc1, F_RDLCK, 10, 19), 0);
	r = seen(10);
	assert_true(r.type == F_RDLCK && r.start == 10 && r.end == 19);
	r = seen(20);
	assert_true(r.type == F_WRLCK && r.start == 20 && r.end == 99);
}

static void closing_any_descriptor_drops_the_process_locks(void **state)
{
	assert_int_equal(set(&proc1, F_WRLCK, 0, 9), 0);
	file_release_posix_locks(&b.file, &proc2);
	assert_int_equal(seen(0).type, F_WRLCK);
	file_release_posix_locks(&b.file, &proc1);
	assert_int_equal(seen(0).type, F_UNLCK);
}

static void ofd_locks_belong_to_the_description(void **state)
{
	struct flock_req r = { .type = F_WRLCK, .start = 0, .end = 9, .ofd = true, .owner = &a.file };

	assert_int_equal(file_setlk(&a.file, &r, false), 0);
	r.owner = &b.file;
	assert_int_equal(file_setlk(&b.file, &r, false), -EAGAIN);
	assert_int_equal(set(&proc1, F_RDLCK, 9, 9), -EAGAIN);
	assert_int_equal(seen(5).pid, -1);
	file_release_own_locks(&a.file);
	assert_int_equal(file_setlk(&b.file, &r, false), 0);
	file_release_own_locks(&b.file);
}

static void the_mode_of_the_file_counts(void **state)
{
	struct flock_req r = req(F_WRLCK, 0, 0, &proc1);

	atomic_store(&a.file.flags, O_RDONLY);
	assert_int_equal(file_setlk(&a.file, &r, false), -EBADF);
	atomic_store(&a.file.flags, O_WRONLY);
	r.type = F_RDLCK;
	assert_int_equal(file_setlk(&a.file, &r, false), -EBADF);
	atomic_store(&a.file.flags, O_RDWR);
	r.type = 7;
	assert_int_equal(file_setlk(&a.file, &r, false), -EINVAL);
}

/* --- waiting ------------------------------------------------------------------------------------------------- */

static long wait_lock(void *arg)
{
	struct flock_req *r = arg;

	return file_setlk(&a.file, r, true);
}

static void a_waiter_gets_the_lock_or_the_signal(void **state)
{
	struct flock_req r = req(F_WRLCK, 0, 9, &proc2);
	struct bg t;

	assert_int_equal(set(&proc1, F_WRLCK, 5, 5), 0);
	bg_start(&t, wait_lock, &r);
	assert_true(bg_sleeps(&t));
	assert_int_equal(bg_interrupt(&t), -ERESTARTSYS);
	bg_start(&t, wait_lock, &r);
	assert_true(bg_sleeps(&t));
	assert_int_equal(set(&proc1, F_UNLCK, 0, INT64_MAX), 0);
	assert_int_equal(bg_join(&t), 0);
	assert_int_equal(set(&proc1, F_RDLCK, 0, 0), -EAGAIN);
}

static void a_circle_of_waiters_is_refused(void **state)
{
	struct flock_req r2 = req(F_WRLCK, 0, 0, &proc2), r3 = req(F_WRLCK, 1, 1, &proc3), r1 = req(F_WRLCK, 2, 2, &proc1);
	struct bg t2, t3;

	assert_int_equal(set(&proc1, F_WRLCK, 0, 0), 0);
	assert_int_equal(set(&proc2, F_WRLCK, 1, 1), 0);
	assert_int_equal(set(&proc3, F_WRLCK, 2, 2), 0);
	bg_start(&t2, wait_lock, &r2);
	bg_start(&t3, wait_lock, &r3);
	assert_true(bg_sleeps(&t2) && bg_sleeps(&t3));
	assert_int_equal(file_setlk(&a.file, &r1, true), -EDEADLK);
	file_release_posix_locks(&a.file, &proc1);
	assert_int_equal(bg_join(&t2), 0);
	file_release_posix_locks(&a.file, &proc2);
	assert_int_equal(bg_join(&t3), 0);
	file_release_posix_locks(&a.file, &proc3);
}

/* --- host programs ---------------------------------------------------------------------------------------------- */

/* Could another program lock this byte? */
static bool host_could(short type, off_t at)
{
	struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	int fd = open(name, O_RDWR), r = fcntl(fd, F_OFD_GETLK, &fl);

	close(fd);
	return r == 0 && fl.l_type == F_UNLCK;
}

static void host_programs_see_our_locks(void **state)
{
	assert_int_equal(set(&proc1, F_RDLCK, 0, 9), 0);
	assert_int_equal(set(&proc2, F_RDLCK, 5, 20), 0);
	assert_true(host_could(F_RDLCK, 5) && !host_could(F_WRLCK, 5) && !host_could(F_WRLCK, 20));
	assert_int_equal(set(&proc1, F_UNLCK, 0, 9), 0); /* what proc2 has stays */
	assert_true(host_could(F_WRLCK, 4) && !host_could(F_WRLCK, 5) && host_could(F_WRLCK, 21));
	assert_int_equal(set(&proc2, F_WRLCK, 8, 8), 0);
	assert_true(!host_could(F_RDLCK, 8) && host_could(F_RDLCK, 9));
	file_release_posix_locks(&a.file, &proc2);
	assert_true(host_could(F_WRLCK, 8));
}

static long wait_flock(void *arg)
{
	return file_flock(&a.file, (int)(intptr_t)arg);
}

static void we_respect_and_await_host_programs(void **state)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 1 };
	struct flock_req r = req(F_WRLCK, 0, 9, &proc1);
	struct bg t;

	ASSERT_OK(fcntl(path_fd, F_OFD_SETLK, &fl));
	assert_int_equal(set(&proc1, F_RDLCK, 0, 9), -EAGAIN);
	assert_int_equal(seen(3).type, F_WRLCK);
	bg_start(&t, wait_lock, &r);
	assert_true(bg_sleeps(&t));
	fl.l_type = F_UNLCK;
	ASSERT_OK(fcntl(path_fd, F_OFD_SETLK, &fl));
	assert_int_equal(bg_join(&t), 0);
	ASSERT_OK(flock(path_fd, LOCK_EX));
	assert_int_equal(file_flock(&a.file, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
	bg_start(&t, wait_flock, (void *)LOCK_SH);
	assert_true(bg_sleeps(&t));
	ASSERT_OK(flock(path_fd, LOCK_UN));
	assert_int_equal(bg_join(&t), 0);
	ASSERT_ERR(flock(path_fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

/* --- flock -------------------------------------------------------------------------------------------------------- */

static void flock_excludes_by_description(void **state)
{
	struct bg t;

	assert_int_equal(file_flock(&a.file, LOCK_SH), 0);
	assert_int_equal(file_flock(&b.file, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(file_flock(&b.file, LOCK_EX | LOCK_NB), -EWOULDBLOCK); /* and its shared one is gone */
	assert_int_equal(file_flock(&a.file, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(file_flock(&b.file, LOCK_SH | LOCK_NB), -EWOULDBLOCK);
	assert_int_equal(file_flock(&a.file, LOCK_UN), 0);
	assert_int_equal(file_flock(&a.file, LOCK_UN), 0);
	assert_int_equal(file_flock(&b.file, LOCK_EX), 0);
	bg_start(&t, wait_flock, (void *)LOCK_EX);
	assert_true(bg_sleeps(&t));
	file_release_own_locks(&b.file);
	assert_int_equal(bg_join(&t), 0);
	assert_int_equal(file_flock(&a.file, 0), -EINVAL);
	assert_int_equal(set(&proc1, F_WRLCK, 0, INT64_MAX), 0); /* another kind altogether */
}

/* --- many at once: a lock is a lock --------------------------------------------------------------------------------- */

static _Atomic int inside;
static int owners[4];

static void *enter(void *arg)
{
	for (int i = 0; i < 500; i++) {
		struct flock_req r = req(F_WRLCK, i % 3, 5, arg);

		if (file_setlk(&a.file, &r, true) || atomic_fetch_add(&inside, 1) != 0)
			abort();
		atomic_fetch_sub(&inside, 1);
		r.type = F_UNLCK;
		if (file_setlk(&a.file, &r, false))
			abort();
	}
	return NULL;
}

static void a_write_lock_has_one_holder(void **state)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, enter, &owners[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(readers_share_and_writers_do_not),
		CASE(ranges_split_and_melt),
		CASE(closing_any_descriptor_drops_the_process_locks),
		CASE(ofd_locks_belong_to_the_description),
		CASE(the_mode_of_the_file_counts),
		CASE(a_waiter_gets_the_lock_or_the_signal),
		CASE(a_circle_of_waiters_is_refused),
		CASE(host_programs_see_our_locks),
		CASE(we_respect_and_await_host_programs),
		CASE(flock_excludes_by_description),
		CASE(a_write_lock_has_one_holder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
