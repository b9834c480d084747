/* SPDX-License-Identifier: MIT */
/*
 * Looking at memory by numbers: ioctl(PROCMAP_QUERY) of /proc/PID/maps (Linux 6.11), /proc/PID/pagemap; areas of a forked
 * process that do not join; the end of a file's last page.
 */
#include "tests/lib/child.h"
#include "tests/lib/file_dir.h"
#include "tests/lib/maps.h"

#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

struct query {
	uint64_t size, flags, addr;
	uint64_t start, end, vma_flags, page_size, offset, inode;
	uint32_t dev_major, dev_minor, name_size, build_id_size;
	uint64_t name_addr, build_id_addr;
};
#define QUERY _IOWR('f', 17, struct query)
enum { Q_READ = 1, Q_WRITE = 2, Q_EXEC = 4, Q_SHARED = 8, Q_OR_NEXT = 16, Q_FILE = 32 };

static int open_maps(void)
{
	struct query q = { .size = sizeof(q), .flags = Q_OR_NEXT };
	int fd = (int)ASSERT_OK(open("/proc/self/maps", O_RDONLY));

	if (ioctl(fd, QUERY, &q) == -1) {
		assert_int_equal(errno, ENOTTY);
		skip();
	}
	return fd;
}

static void an_area_is_found_by_address(void **state)
{
	int fd = open_maps(), file = file_make("f", "hello");
	char name[4096], *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	struct query q = { .size = sizeof(q), .addr = (uintptr_t)at + PAGE, .name_size = sizeof(name), .name_addr = (uintptr_t)name };
	struct map m;

	ASSERT_OK(mprotect(at + PAGE, PAGE, PROT_READ));
	ASSERT_OK(ioctl(fd, QUERY, &q));
	assert_true(map_find(at + PAGE, &m));
	assert_int_equal(q.start, m.start);
	assert_int_equal(q.end, m.end);
	assert_int_equal(q.vma_flags, Q_READ | Q_SHARED);
	assert_int_equal(q.page_size, PAGE);
	assert_int_equal(q.offset, PAGE);
	assert_int_equal(q.inode, m.inode);
	assert_int_equal(q.dev_major, m.major);
	assert_string_equal(name, m.path);
	assert_int_equal(q.name_size, strlen(name) + 1);
	munmap(at, 3 * PAGE);
}

static void the_next_area_is_found_if_asked_for(void **state)
{
	int fd = open_maps();
	char *at = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct query q = { .size = sizeof(q), .addr = (uintptr_t)at };

	ASSERT_OK(munmap(at + PAGE, PAGE));
	ASSERT_OK(mprotect(at + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	q.addr = (uintptr_t)at + PAGE;
	ASSERT_ERR(ioctl(fd, QUERY, &q), ENOENT);
	q.flags = Q_OR_NEXT;
	ASSERT_OK(ioctl(fd, QUERY, &q));
	assert_int_equal(q.start, (uintptr_t)at + 2 * PAGE);
	assert_int_equal(q.inode, 0);
	q.flags = Q_OR_NEXT | Q_WRITE;
	ASSERT_OK(ioctl(fd, QUERY, &q));
	assert_int_equal(q.start, (uintptr_t)at + 3 * PAGE);
	q = (struct query){ .size = sizeof(q), .addr = (uintptr_t)at, .flags = Q_WRITE };
	ASSERT_ERR(ioctl(fd, QUERY, &q), ENOENT);               /* covers it, but may not be written */
	q.flags = Q_FILE;
	ASSERT_ERR(ioctl(fd, QUERY, &q), ENOENT);
	q.flags = Q_OR_NEXT;
	q.addr = 0x7ffffffff000;
	ASSERT_ERR(ioctl(fd, QUERY, &q), ENOENT);
	munmap(at, 4 * PAGE);
}

static void mistakes_of_a_query_are_reported(void **state)
{
	struct { struct query q; char more[4096]; } big = { .q = { .size = sizeof(big.q) + 8, .flags = Q_OR_NEXT } };
	struct query q = { .size = 16 };
	char c;
	int fd = open_maps();

	ASSERT_ERR(ioctl(fd, QUERY, &q), EINVAL);
	q.size = 8192;
	ASSERT_ERR(ioctl(fd, QUERY, &q), E2BIG);
	ASSERT_OK(ioctl(fd, QUERY, &big));
	big.more[0] = 1;
	ASSERT_ERR(ioctl(fd, QUERY, &big), E2BIG);
	q = (struct query){ .size = sizeof(q), .flags = 64 };
	ASSERT_ERR(ioctl(fd, QUERY, &q), EINVAL);
	q = (struct query){ .size = sizeof(q), .name_size = 1 };
	ASSERT_ERR(ioctl(fd, QUERY, &q), EINVAL);
	q = (struct query){ .size = sizeof(q), .addr = (uintptr_t)&q, .name_size = 1, .name_addr = (uintptr_t)&c };
	ASSERT_ERR(ioctl(fd, QUERY, &q), ENAMETOOLONG);         /* "[stack]" */
	ASSERT_ERR(ioctl(fd, QUERY, NULL), EFAULT);
	ASSERT_ERR(ioctl(fd, _IO('f', 99), &q), ENOTTY);
}

#define PM_PRESENT (1ull << 63)
#define PM_FILE (1ull << 61)
#define PM_GUARD (1ull << 58)
#define PM_EXCLUSIVE (1ull << 56)

static uint64_t word_of(int fd, const void *at)
{
	uint64_t w = 1;

	assert_int_equal(pread(fd, &w, 8, (off_t)((uintptr_t)at / PAGE * 8)), 8);
	return w;
}

static void pagemap_has_a_word_for_each_page(void **state)
{
	int fd = (int)ASSERT_OK(open("/proc/self/pagemap", O_RDONLY)), file = file_make("f", "hello");
	char *anon = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	uint64_t w[8], last = 0x7fffffffeul * 8;

	*anon = *map = 1;
	assert_int_equal(word_of(fd, anon) & (PM_PRESENT | PM_FILE | PM_EXCLUSIVE), PM_PRESENT | PM_EXCLUSIVE);
	assert_int_equal(word_of(fd, anon + (48 << 20)), 0);
	assert_int_equal(word_of(fd, map) & (PM_PRESENT | PM_FILE), PM_PRESENT | PM_FILE);
	if (madvise(anon, PAGE, 102 /* MADV_GUARD_INSTALL */) == 0) {
		assert_int_equal(word_of(fd, anon) & PM_PRESENT, 0);
		if (word_of(fd, anon) & PM_GUARD)       /* since Linux 6.15 */
			assert_int_equal(word_of(fd, anon + PAGE) & PM_GUARD, 0);
	}
	assert_int_equal(pread(fd, w, 64, (off_t)last - 8), 16);        /* to the end of user memory */
	assert_int_equal(pread(fd, w, 8, (off_t)last + 8), 0);
	assert_int_equal(pread(fd, w, 0, 0), 0);
	ASSERT_ERR(pread(fd, w, 7, 0), EINVAL);
	ASSERT_ERR(pread(fd, w, 8, 4), EINVAL);
	ASSERT_ERR(lseek(fd, 0, SEEK_END), EINVAL);
	assert_int_equal(lseek(fd, 1l << 50, SEEK_SET), 1l << 50);
	munmap(map, PAGE);
	munmap(anon, 64 << 20);
}

/* A hole of six pages above which nothing of the same kind lies. The parent has touched the upper half of what comes into it. */
static int map_below(void *arg)
{
	char *upper = arg, *lower = upper - 3 * PAGE;

	upper[0] = 2;
	CHECK(mmap(lower, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == lower);
	lower[0] = 2;
	CHECK(map_count(lower, 6 * PAGE) == 2);
	CHECK(mprotect(upper + PAGE, PAGE, PROT_READ) == 0);
	CHECK(map_count(lower, 6 * PAGE) == 4);
	CHECK(mprotect(upper + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
	CHECK(map_count(lower, 6 * PAGE) == 2);           /* its own parts come together again */
	return 0;
}

static void what_was_forked_does_not_join_with_what_is_new(void **state)
{
	char *hole = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *upper = hole + 4 * PAGE;

	assert_ptr_equal(mmap(upper, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), upper);
	memset(upper, 1, 3 * PAGE);
	IN_CHILD(map_below, upper);
	assert_ptr_equal(mmap(upper - 3 * PAGE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), upper - 3 * PAGE);
	assert_int_equal(map_count(upper - 3 * PAGE, 6 * PAGE), 1);      /* the parent's do */
	munmap(hole, 8 * PAGE);
}

/* mmap(2): what is written behind the end of the file in its last page does not become part of it. */
static void what_lies_behind_the_end_of_a_file_is_zero_again(void **state)
{
	int fd = file_make("f", "hello");
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), buf[16];
	struct statfs fs;

	ASSERT_OK(fstatfs(fd, &fs));
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		skip(); /* there the page is the file */
	assert_int_equal(p[5], 0);
	p[6] = 'x';
	ASSERT_OK(msync(p, PAGE, MS_SYNC));
	munmap(p, PAGE);
	ASSERT_OK(ftruncate(fd, 10));
	assert_int_equal(pread(fd, buf, 16, 0), 10);
	assert_memory_equal(buf, "hello\0\0\0\0\0", 10);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(an_area_is_found_by_address),
		cmocka_unit_test(the_next_area_is_found_if_asked_for),
		cmocka_unit_test(mistakes_of_a_query_are_reported),
		cmocka_unit_test(pagemap_has_a_word_for_each_page),
		cmocka_unit_test(what_was_forked_does_not_join_with_what_is_new),
		cmocka_unit_test(what_lies_behind_the_end_of_a_file_is_zero_again),
	};

	return FILE_RUN_HERE(tests);
}
