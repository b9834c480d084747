/* SPDX-License-Identifier: MIT */
/*
 * Shared memory as files: shm_open(3) and its names, maps coherent with one another and with read
 * and write, growing and shrinking below a map (SIGBUS), life after unlinking. The cases with plain
 * files run in every place, too: sharing must not depend on the kind of file system.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <sys/mman.h>

static char *map(int fd, size_t size, int prot, int flags)
{
	return (char *)ASSERT_OK(mmap(NULL, size, prot, flags, fd, 0));
}

static char *map_shared(int fd, size_t size)
{
	return map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static const char *shm_name(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "/vmrun-shm-%d", getpid());
	return name;
}

static void objects_have_names_and_lives(void **state)
{
	char path[128];
	struct stat st;
	int fd;

	shm_unlink(shm_name());
	ASSERT_ERR(shm_open(shm_name(), O_RDWR, 0600), ENOENT);
	fd = (int)ASSERT_OK(shm_open(shm_name(), O_RDWR | O_CREAT | O_EXCL, 0640));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ASSERT_ERR(shm_open(shm_name(), O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	snprintf(path, sizeof(path), "/dev/shm%s", shm_name());
	ASSERT_OK(stat(path, &st));
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_size, 0);
	ASSERT_OK(ftruncate(fd, 2 * FILE_PAGE));
	char *p = map_shared(fd, 2 * FILE_PAGE);
	memcpy(p, "hello", 6);
	int again = (int)ASSERT_OK(shm_open(shm_name(), O_RDONLY, 0));
	const char *q = map(again, FILE_PAGE, PROT_READ, MAP_SHARED);
	assert_string_equal(q, "hello");
	ASSERT_OK(shm_unlink(shm_name()));
	ASSERT_ERR(shm_unlink(shm_name()), ENOENT);
	memcpy(p, "still", 6);                          /* the maps live on */
	assert_string_equal(q, "still");
	close(fd);
	close(again);
	memcpy(p, "there", 6);
	assert_string_equal(q, "there");
	munmap(p, 2 * FILE_PAGE);
	assert_string_equal(q, "there");
	munmap((void *)(uintptr_t)q, FILE_PAGE);
}

static void maps_read_and_write_agree(void **state)
{
	char buf[8] = "";
	int fd = file_make("f", ""), other;

	ASSERT_OK(ftruncate(fd, FILE_PAGE));
	other = (int)ASSERT_OK(open("f", O_RDWR));
	char *a = map_shared(fd, FILE_PAGE), *b = map_shared(other, FILE_PAGE);
	assert_ptr_not_equal(a, b);
	memcpy(a + 10, "map", 3);
	assert_memory_equal(b + 10, "map", 3);
	assert_int_equal(pread(other, buf, 3, 10), 3);
	assert_string_equal(buf, "map");
	assert_int_equal(pwrite(other, "file", 4, 100), 4);
	assert_memory_equal(a + 100, "file", 4);
	assert_memory_equal(b + 100, "file", 4);
	munmap(a, FILE_PAGE);
	a = map_shared(fd, FILE_PAGE);
	assert_memory_equal(a + 10, "map", 3);
	munmap(a, FILE_PAGE);
	munmap(b, FILE_PAGE);
	assert_int_equal(pread(fd, buf, 3, 10), 3);
	assert_string_equal(buf, "map");
}

static void offsets_choose_the_page(void **state)
{
	int fd = file_make("f", "");

	ASSERT_OK(ftruncate(fd, 3 * FILE_PAGE));
	char *all = map_shared(fd, 3 * FILE_PAGE);
	char *third = (char *)ASSERT_OK(mmap(NULL, FILE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					     fd, 2 * FILE_PAGE));
	third[5] = 'x';
	assert_int_equal(all[2 * FILE_PAGE + 5], 'x');
	all[FILE_PAGE] = 'y';
	assert_int_equal(third[0], 0);
	munmap(all, 3 * FILE_PAGE);
	munmap(third, FILE_PAGE);
}

static void private_maps_keep_their_writes(void **state)
{
	int fd = file_make("f", "hello");
	char *shared = map_shared(fd, FILE_PAGE);
	char *private = map(fd, FILE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	assert_memory_equal(private, "hello", 5);
	private[0] = 'J';
	assert_memory_equal(shared, "hello", 5);
	shared[1] = 'E';
	assert_memory_equal(private, "Jello", 5);       /* that page is a copy now */
	assert_string_equal(file_text("f"), "hEllo");
	munmap(shared, FILE_PAGE);
	munmap(private, FILE_PAGE);
}

static void shrinking_takes_pages_away(void **state)
{
	struct fault f;
	int fd = file_make("f", "");

	ASSERT_OK(ftruncate(fd, 3 * FILE_PAGE));
	char *p = map_shared(fd, 3 * FILE_PAGE);
	memset(p, 'x', 3 * FILE_PAGE);
	ASSERT_OK(ftruncate(fd, FILE_PAGE + 10));
	assert_int_equal(fault_read(p + FILE_PAGE - 1, NULL), 0);
	assert_int_equal(p[FILE_PAGE + 9], 'x');
	assert_int_equal(p[FILE_PAGE + 10], 0);         /* the rest of the last page is zero */
	assert_int_equal(fault_read(p + 2 * FILE_PAGE, &f), SIGBUS);
	assert_int_equal(f.info.si_code, BUS_ADRERR);
	assert_ptr_equal(f.info.si_addr, p + 2 * FILE_PAGE);
	assert_int_equal(fault_write(p + 2 * FILE_PAGE + 5, &f), SIGBUS);
	/* In system calls it is EFAULT instead. */
	int null = (int)ASSERT_OK(open("/dev/zero", O_RDONLY));
	ASSERT_ERR(read(null, p + 2 * FILE_PAGE, 1), EFAULT);
	ASSERT_OK(ftruncate(fd, 3 * FILE_PAGE));        /* and they come back, empty */
	assert_int_equal(p[2 * FILE_PAGE], 0);
	assert_int_equal(p[FILE_PAGE + 10], 0);
	p[2 * FILE_PAGE] = 'y';
	assert_int_equal(pread(fd, (char[1]){ 0 }, 1, 2 * FILE_PAGE), 1);
	munmap(p, 3 * FILE_PAGE);
}

static void growing_makes_pages_usable(void **state)
{
	int fd = file_make("f", "hello");
	char *p = map_shared(fd, 3 * FILE_PAGE);

	assert_int_equal(fault_read(p + FILE_PAGE - 1, NULL), 0);       /* to the page's end */
	assert_int_equal(fault_read(p + FILE_PAGE, NULL), SIGBUS);
	ASSERT_OK(ftruncate(fd, FILE_PAGE + 1));
	assert_int_equal(fault_write(p + FILE_PAGE, NULL), 0);
	assert_int_equal(fault_read(p + 2 * FILE_PAGE, NULL), SIGBUS);
	assert_int_equal(pwrite(fd, "z", 1, 3 * FILE_PAGE - 1), 1);
	assert_int_equal(p[3 * FILE_PAGE - 1], 'z');
	munmap(p, 3 * FILE_PAGE);
}

static void writes_behind_the_end_do_not_count(void **state)
{
	int fd = file_make("f", "hello");
	char *p = map_shared(fd, FILE_PAGE), buf[8] = "";

	p[5] = '!';
	assert_int_equal(file_fd_size(fd), 5);
	assert_int_equal(pread(fd, buf, 8, 0), 5);
	p[5] = 0;
	ASSERT_OK(ftruncate(fd, 8));
	assert_int_equal(pread(fd, buf, 8, 0), 8);
	assert_memory_equal(buf, "hello\0\0\0", 8);
	munmap(p, FILE_PAGE);
}

static void access_modes_limit_maps(void **state)
{
	file_put("f", "hello");
	int r = (int)ASSERT_OK(open("f", O_RDONLY)), w = (int)ASSERT_OK(open("f", O_WRONLY));

	ASSERT_ERR(mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, r, 0), EACCES);
	ASSERT_ERR(mmap(NULL, 5, PROT_READ, MAP_SHARED, w, 0), EACCES);
	ASSERT_ERR(mmap(NULL, 5, PROT_WRITE, MAP_SHARED, w, 0), EACCES);
	char *p = map(r, 5, PROT_READ, MAP_SHARED);
	ASSERT_ERR(mprotect(p, 5, PROT_READ | PROT_WRITE), EACCES);
	munmap(p, 5);
	p = map(r, 5, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	p[0] = 'J';
	assert_string_equal(file_text("f"), "hello");
	munmap(p, 5);
}

static long wait_for_flag(void *arg)
{
	_Atomic int *flag = arg;

	for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;)
		if (atomic_load(flag) == 1) {
			atomic_store(flag, 2);
			return 0;
		}
	return -1;
}

static void threads_meet_in_two_maps(void **state)
{
	int fd = file_make("f", "");
	struct bg bg;

	ASSERT_OK(ftruncate(fd, FILE_PAGE));
	_Atomic int *a = (_Atomic int *)(void *)map_shared(fd, FILE_PAGE);
	_Atomic int *b = (_Atomic int *)(void *)map_shared(fd, FILE_PAGE);
	bg_start(&bg, wait_for_flag, (void *)b);
	atomic_store(a, 1);
	assert_int_equal(bg_end(&bg), 0);
	assert_int_equal(atomic_load(a), 2);
	assert_int_equal(pread(fd, (char[4]){ 0 }, 4, 0), 4);
	munmap((void *)a, FILE_PAGE);
	munmap((void *)b, FILE_PAGE);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_have_names_and_lives),
		cmocka_unit_test(maps_read_and_write_agree),
		cmocka_unit_test(offsets_choose_the_page),
		cmocka_unit_test(private_maps_keep_their_writes),
		cmocka_unit_test(shrinking_takes_pages_away),
		cmocka_unit_test(growing_makes_pages_usable),
		cmocka_unit_test(writes_behind_the_end_do_not_count),
		cmocka_unit_test(access_modes_limit_maps),
		cmocka_unit_test(threads_meet_in_two_maps),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
