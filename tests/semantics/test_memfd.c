/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2): flags and names, the file it gives (size, mode, /proc link, sharing between
 * mappings and descriptors, holes), and seals by fcntl(2). Whether a write-sealed file may be mapped
 * shared and read-only changed in Linux 6.7 and is not tested.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define RW (PROT_READ | PROT_WRITE)

static int new_memfd(unsigned int flags, off_t size)
{
	int fd = (int)ASSERT_OK(memfd_create("test", flags));

	ASSERT_OK(ftruncate(fd, size));
	return fd;
}

static void arguments_are_checked(void **state)
{
	char name[260];

	memset(name, 'n', sizeof(name));
	name[249] = '\0';
	int fd = (int)ASSERT_OK(memfd_create(name, 0));
	close(fd);
	name[249] = 'n';
	name[250] = '\0';
	ASSERT_ERR(memfd_create(name, 0), EINVAL);
	ASSERT_ERR(memfd_create("x", 0x40000), EINVAL);
	ASSERT_ERR(memfd_create("x", MFD_ALLOW_SEALING | 0x40000), EINVAL);
	ASSERT_ERR(memfd_create((char *)8, 0), EFAULT);
	ASSERT_ERR(memfd_create((char *)8, 0x40000), EINVAL);   /* flags first */
	fd = (int)ASSERT_OK(memfd_create("", 0));
	close(fd);
}

static void it_is_an_empty_regular_file_without_a_name(void **state)
{
	int fd = (int)ASSERT_OK(memfd_create("my name", 0));
	char path[64], target[64] = "";
	struct stat st;

	ASSERT_OK(fstat(fd, &st));
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0777);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ASSERT_OK(readlink(path, target, sizeof(target) - 1));
	assert_string_equal(target, "/memfd:my name (deleted)");
	int other = (int)ASSERT_OK(memfd_create("my name", MFD_CLOEXEC));       /* no clash */
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	ASSERT_OK(fstat(other, &st));
	close(fd);
	close(other);
}

static void read_write_and_lseek_work(void **state)
{
	int fd = (int)ASSERT_OK(memfd_create("rw", 0));
	char buf[16];

	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
	assert_int_equal(read(fd, buf, sizeof(buf)), 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), 1), 4);
	assert_memory_equal(buf, "ello", 4);
	assert_int_equal(pwrite(fd, "!", 1, 3 * PAGE), 1);
	assert_int_equal(lseek(fd, 0, SEEK_END), 3 * PAGE + 1);
	assert_int_equal(pread(fd, buf, 4, PAGE), 4);           /* a hole */
	assert_memory_equal(buf, "\0\0\0\0", 4);
	assert_int_equal(lseek(fd, PAGE, SEEK_DATA), 3 * PAGE);
	assert_int_equal(lseek(fd, 0, SEEK_HOLE), PAGE);
	close(fd);
}

static void mappings_and_descriptors_share_the_memory(void **state)
{
	int fd = new_memfd(0, 2 * PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	char *q = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, PAGE));
	char path[64], c = 0;
	struct map m;

	p[PAGE + 3] = 'x';
	assert_int_equal(q[3], 'x');
	q[4] = 'y';
	assert_int_equal(pread(fd, &c, 1, PAGE + 4), 1);
	assert_int_equal(c, 'y');
	assert_int_equal(pwrite(fd, "z", 1, PAGE + 5), 1);
	assert_int_equal(((volatile char *)q)[5], 'z');
	/* Opened again through /proc: another offset, the same file. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int again = (int)ASSERT_OK(open(path, O_RDONLY));
	assert_int_equal(pread(again, &c, 1, PAGE + 3), 1);
	assert_int_equal(c, 'x');
	ASSERT_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, again, 0), EACCES);
	close(again);
	close(fd);
	q[6] = 'w';                             /* lives on as long as it is mapped */
	assert_int_equal(p[PAGE + 6], 'w');
	assert_true(map_find(q, &m));
	assert_string_equal(m.path, "/memfd:test (deleted)");
	assert_int_equal(m.offset, PAGE);
	assert_string_equal(m.perms, "rw-s");
	munmap(p, 2 * PAGE);
	munmap(q, PAGE);
}

static void private_mappings_do_not_write_through(void **state)
{
	int fd = new_memfd(0, PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	char c = 1;

	p[0] = 'x';
	assert_int_equal(pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, 0);
	munmap(p, PAGE);
	close(fd);
}

static void truncation_and_holes_reach_the_mappings(void **state)
{
	int fd = new_memfd(0, 3 * PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, 3 * PAGE, RW, MAP_SHARED, fd, 0));
	struct stat st;

	memset(p, 7, 3 * PAGE);
	ASSERT_OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	assert_int_equal(p[PAGE - 1], 7);
	assert_int_equal(p[PAGE], 0);
	assert_int_equal(p[2 * PAGE], 7);
	ASSERT_OK(ftruncate(fd, PAGE));
	assert_int_equal(fault_read(p + 2 * PAGE, NULL), SIGBUS);
	ASSERT_OK(fallocate(fd, 0, 0, 3 * PAGE));
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_size, 3 * PAGE);
	assert_int_equal(st.st_blocks, 3 * PAGE / 512);
	assert_int_equal(p[2 * PAGE], 0);
	munmap(p, 3 * PAGE);
	close(fd);
}

static void without_allow_sealing_nothing_more_can_be_sealed(void **state)
{
	int fd = new_memfd(0, PAGE), p[2];

	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	close(fd);
	/* Other files know no seals. */
	ASSERT_OK(pipe(p));
	ASSERT_ERR(fcntl(p[0], F_GET_SEALS), EINVAL);
	ASSERT_ERR(fcntl(p[1], F_ADD_SEALS, F_SEAL_GROW), EINVAL);
	close(p[0]);
	close(p[1]);
}

static void size_seals_hold(void **state)
{
	int fd = new_memfd(MFD_ALLOW_SEALING, 2 * PAGE);
	char buf[16] = "0123456789abcde";

	assert_int_equal(fcntl(fd, F_GET_SEALS), 0);
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL);
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK);
	ASSERT_ERR(ftruncate(fd, PAGE), EPERM);
	ASSERT_OK(ftruncate(fd, 2 * PAGE));
	ASSERT_OK(ftruncate(fd, 3 * PAGE));
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	ASSERT_ERR(ftruncate(fd, 4 * PAGE), EPERM);
	ASSERT_ERR(fallocate(fd, 0, 3 * PAGE, PAGE), EPERM);
	ASSERT_ERR(pwrite(fd, buf, 16, 3 * PAGE), EPERM);
	assert_int_equal(pwrite(fd, buf, 16, 0), 16);
	close(fd);
}

static void the_write_seal_wants_no_writable_mapping(void **state)
{
	int fd = new_memfd(MFD_ALLOW_SEALING, PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	char c;

	p[0] = 'a';
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(p, PAGE);
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	ASSERT_ERR(pwrite(fd, "x", 1, 0), EPERM);
	ASSERT_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
	ASSERT_ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	ASSERT_OK(ftruncate(fd, 2 * PAGE));             /* the size is another matter */
	p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0));
	p[0] = 'b';
	assert_int_equal(pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'a');
	munmap(p, PAGE);
	close(fd);
}

static void future_write_lets_the_present_mapping_write(void **state)
{
	int fd = new_memfd(MFD_ALLOW_SEALING, PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	char c;

	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	p[0] = 'a';
	assert_int_equal(pread(fd, &c, 1, 0), 1);
	assert_int_equal(c, 'a');
	ASSERT_ERR(pwrite(fd, "x", 1, 0), EPERM);
	ASSERT_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EPERM);
	char *q = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0));
	assert_int_equal(q[0], 'a');
	ASSERT_ERR(mprotect(q, PAGE, RW), EACCES);
	munmap(q, PAGE);
	munmap(p, PAGE);
	close(fd);
}

static void the_seal_of_seals_is_the_last_one(void **state)
{
	int fd = new_memfd(MFD_ALLOW_SEALING, PAGE);

	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_GROW));
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	ASSERT_ERR(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	close(fd);
}

static void sealing_wants_a_writable_descriptor(void **state)
{
	int fd = new_memfd(MFD_ALLOW_SEALING, PAGE);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int ro = (int)ASSERT_OK(open(path, O_RDONLY));
	ASSERT_ERR(fcntl(ro, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	assert_int_equal(fcntl(ro, F_GET_SEALS), 0);
	ASSERT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	assert_int_equal(fcntl(ro, F_GET_SEALS), F_SEAL_GROW);  /* they are the file's */
	close(ro);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(it_is_an_empty_regular_file_without_a_name),
		cmocka_unit_test(read_write_and_lseek_work),
		cmocka_unit_test(mappings_and_descriptors_share_the_memory),
		cmocka_unit_test(private_mappings_do_not_write_through),
		cmocka_unit_test(truncation_and_holes_reach_the_mappings),
		cmocka_unit_test(without_allow_sealing_nothing_more_can_be_sealed),
		cmocka_unit_test(size_seals_hold),
		cmocka_unit_test(the_write_seal_wants_no_writable_mapping),
		cmocka_unit_test(future_write_lets_the_present_mapping_write),
		cmocka_unit_test(the_seal_of_seals_is_the_last_one),
		cmocka_unit_test(sealing_wants_a_writable_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
