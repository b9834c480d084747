/* SPDX-License-Identifier: MIT */
/*
 * The devices every program relies on: null, zero, full, random, urandom, tty (without a terminal
 * ENXIO), the links fd, stdin, stdout, stderr, ptmx, shm; numbers, reading, writing, seeking,
 * mapping. Access modes are the host's affair. Terminals themselves: the tests of pty.
 */
#include "tests/lib/file_dir.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

static int dev(const char *name)
{
	return (int)ASSERT_OK(open(name, O_RDWR));
}

static void numbers_are_the_official_ones(void **state)
{
	const struct { const char *name; unsigned int major, minor; } c[] = {
		{ "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
		{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
	};
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		ASSERT_OK(stat(c[i].name, &st));
		assert_true(S_ISCHR(st.st_mode));
		if (st.st_rdev != makedev(c[i].major, c[i].minor))
			fail_msg("%s is %u:%u", c[i].name, major(st.st_rdev), minor(st.st_rdev));
		assert_int_equal(st.st_mode & 0666, 0666);
		assert_int_equal(st.st_size, 0);
	}
}

static void null_swallows_and_is_empty(void **state)
{
	char buf[8];
	int fd = dev("/dev/null");

	assert_int_equal(read(fd, buf, 8), 0);
	assert_int_equal(write(fd, buf, 8), 8);
	assert_int_equal(write(fd, file_bad(), 100), 100);      /* it does not look */
	assert_int_equal(read(fd, file_bad(), 100), 0);
	assert_int_equal(lseek(fd, 1000, SEEK_SET), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	ASSERT_ERR(ftruncate(fd, 0), EINVAL);
	close((int)ASSERT_OK(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644)));
	ASSERT_ERR(mmap(NULL, FILE_PAGE, PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
}

static void zero_is_endless(void **state)
{
	char buf[10000];
	int fd = dev("/dev/zero");

	memset(buf, 1, sizeof(buf));
	assert_int_equal(read(fd, buf, sizeof(buf)), sizeof(buf));
	for (size_t i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(write(fd, buf, 8), 8);
	assert_int_equal(pread(fd, buf, 8, 1L << 40), 8);
	assert_int_equal(lseek(fd, 1000, SEEK_SET), 0);
	char *edge = file_edge(100);
	assert_int_equal(read(fd, edge, 200), 100);
	ASSERT_ERR(read(fd, file_bad(), 1), EFAULT);
}

static void maps_of_zero_are_memory(void **state)
{
	int fd = dev("/dev/zero");
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * FILE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
					 fd, 0));
	char *s = (char *)ASSERT_OK(mmap(NULL, FILE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					 fd, 0));

	for (int i = 0; i < 2 * FILE_PAGE; i++)
		assert_int_equal(p[i], 0);
	memset(p, 7, 2 * FILE_PAGE);
	s[0] = 9;
	char *s2 = (char *)ASSERT_OK(mmap(NULL, FILE_PAGE, PROT_READ, MAP_SHARED, fd, 0));
	assert_int_equal(s2[0], 0);                     /* each map is its own object */
	assert_int_equal(p[FILE_PAGE], 7);
	munmap(p, 2 * FILE_PAGE);
	munmap(s, FILE_PAGE);
	munmap(s2, FILE_PAGE);
}

static void full_is_always_full(void **state)
{
	char buf[8] = "1234567";
	int fd = dev("/dev/full");

	assert_int_equal(read(fd, buf, 8), 8);
	assert_memory_equal(buf, "\0\0\0\0\0\0\0\0", 8);
	ASSERT_ERR(write(fd, buf, 1), ENOSPC);
	ASSERT_ERR(pwrite(fd, buf, 1, 5), ENOSPC);
	assert_int_equal(lseek(fd, 1000, SEEK_SET), 0);
}

static void random_bytes_differ(void **state)
{
	static const char *const names[] = { "/dev/random", "/dev/urandom" };
	char a[64], b[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int fd = dev(names[i]);

		assert_int_equal(read(fd, a, 64), 64);
		assert_int_equal(read(fd, b, 64), 64);
		assert_memory_not_equal(a, b, 64);
		assert_int_equal(write(fd, a, 16), 16); /* anybody may stir */
		char *edge = file_edge(100);
		assert_int_equal(read(fd, edge, 200), 100);
	}
	assert_int_equal(getrandom(a, 64, 0), 64);
	assert_memory_not_equal(a, b, 64);
	assert_int_equal(getrandom(a, 0, GRND_NONBLOCK), 0);
	ASSERT_ERR(getrandom(a, 64, 0x100), EINVAL);
	ASSERT_ERR(getrandom(a, 64, GRND_RANDOM | 4), EINVAL);
	ASSERT_ERR(getrandom(file_bad(), 64, 0), EFAULT);
}

static void tty_is_the_terminal_or_enxio(void **state)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY);

	if (fd < 0)
		assert_int_equal(errno, ENXIO);
	else
		assert_int_equal(isatty(fd), 1);
}

static void links_lead_to_the_descriptors(void **state)
{
	static const char *const names[] = { "/dev/stdin", "/dev/stdout", "/dev/stderr" };
	char to[64], name[64];
	struct stat a, b;

	for (int i = 0; i < 3; i++) {
		ssize_t n = ASSERT_OK(readlink(names[i], to, sizeof(to) - 1));
		to[n] = '\0';
		snprintf(name, sizeof(name), "/proc/self/fd/%d", i);
		assert_string_equal(to, name);
	}
	assert_int_equal(readlink("/dev/fd", to, sizeof(to)), 13);
	assert_memory_equal(to, "/proc/self/fd", 13);
	int fd = file_make("f", "hello");
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	assert_string_equal(file_text(name), "hello");
	ASSERT_OK(stat(name, &a));
	ASSERT_OK(fstat(fd, &b));
	assert_int_equal(a.st_ino, b.st_ino);
	close(fd);
	ASSERT_ERR(open(name, O_RDONLY), ENOENT);
}

static void directories_are_there(void **state)
{
	struct stat st;

	ASSERT_OK(stat("/dev/shm", &st));
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 01777);
	ASSERT_ERR(open("/dev/no-such-device", O_RDONLY), ENOENT);
}

static void a_pipe_opens_by_its_link(void **state)
{
	char name[64], buf[8] = "";
	struct stat st;
	int p[2];

	ASSERT_OK(pipe(p));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	ASSERT_OK(stat(name, &st));
	assert_true(S_ISFIFO(st.st_mode));
	int fd = (int)ASSERT_OK(open(name, O_RDONLY | O_NONBLOCK));
	assert_int_equal(write(p[1], "abc", 3), 3);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(fcntl(p[0], F_GETFL) & O_NONBLOCK, 0);         /* a description of its own */
	int in = (int)ASSERT_OK(dup(0));
	ASSERT_OK(dup2(p[0], 0));
	fd = (int)ASSERT_OK(open("/dev/stdin", O_RDONLY));
	assert_int_equal(write(p[1], "de", 2), 2);
	assert_int_equal(read(fd, buf, sizeof(buf)), 2);
	ASSERT_OK(dup2(in, 0));
}

static void terminals_have_their_places(void **state)
{
	struct stat st;

	ASSERT_OK(stat("/dev/pts", &st));
	assert_true(S_ISDIR(st.st_mode));
	ASSERT_OK(stat("/dev/ptmx", &st));
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(st.st_rdev, makedev(5, 2));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_the_official_ones),
		cmocka_unit_test(null_swallows_and_is_empty),
		cmocka_unit_test(zero_is_endless),
		cmocka_unit_test(maps_of_zero_are_memory),
		cmocka_unit_test(full_is_always_full),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(tty_is_the_terminal_or_enxio),
		cmocka_unit_test(links_lead_to_the_descriptors),
		cmocka_unit_test(directories_are_there),
		cmocka_unit_test(a_pipe_opens_by_its_link),
		cmocka_unit_test(terminals_have_their_places),
	};

	return FILE_RUN_HERE(tests);
}
