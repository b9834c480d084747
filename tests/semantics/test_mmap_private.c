/* SPDX-License-Identifier: MIT */
/*
 * MAP_PRIVATE of a file: what write(2) and its kin put into the file later is seen in every page that the program has not
 * written itself, in no other; what is cut off is gone, own copies included. man 2 mmap leaves it open; Linux does so, and
 * programs have come to rely on it.
 */
#include "tests/lib/fault.h"
#include "tests/lib/file_dir.h"

#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define NR_PAGES 24 /* more than are copied or read around a touched one */
#define RW (PROT_READ | PROT_WRITE)

/* A file "f", page i full of the letter 'a' + i. */
static int make_pages(void)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	char page[FILE_PAGE];

	for (int i = 0; i < NR_PAGES; i++) {
		memset(page, 'a' + i, sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), i * FILE_PAGE), sizeof(page));
	}
	return fd;
}

static char *map(int fd, int prot)
{
	return (char *)ASSERT_OK(mmap(NULL, NR_PAGES * FILE_PAGE, prot, MAP_PRIVATE, fd, 0));
}

static void assert_page(const char *p, int i, char want)
{
	assert_int_equal(p[i * FILE_PAGE], want);
	assert_int_equal(p[i * FILE_PAGE + FILE_PAGE - 1], want);
}

static void assert_as_made(const char *p)
{
	for (int i = 0; i < NR_PAGES; i++)
		assert_page(p, i, (char)('a' + i));
}

/* Letters into some pages, across their borders. */
static void fill(int fd, int page, int n, char c)
{
	char *buf = malloc((size_t)n * FILE_PAGE);

	memset(buf, c, (size_t)n * FILE_PAGE);
	assert_int_equal(pwrite(fd, buf, (size_t)n * FILE_PAGE, page * FILE_PAGE), n * FILE_PAGE);
	free(buf);
}

static void later_writes_show_in_pages_read_before(void **state)
{
	for (int prot = PROT_READ; prot <= RW; prot += PROT_WRITE) {
		int fd = make_pages();
		char *p = map(fd, prot);

		assert_as_made(p);
		fill(fd, 3, 4, 'X');
		assert_page(p, 2, 'c');
		assert_page(p, 3, 'X');
		assert_page(p, 6, 'X');
		assert_page(p, 7, 'h');
		ASSERT_OK(lseek(fd, 5 * FILE_PAGE + 10, SEEK_SET));
		struct iovec iov[2] = { { (char[]){ "one" }, 3 }, { (char[]){ "two" }, 3 } };
		assert_int_equal(writev(fd, iov, 2), 6);
		assert_memory_equal(p + 5 * FILE_PAGE + 9, "XonetwoX", 8);
		munmap(p, NR_PAGES * FILE_PAGE);
		close(fd);
	}
}

static void pages_written_privately_stay_and_their_neighbours_do_not(void **state)
{
	int fd = make_pages();
	char *p = map(fd, RW);

	assert_as_made(p);
	p[8 * FILE_PAGE] = '8';
	p[12 * FILE_PAGE] = '*';
	fill(fd, 0, NR_PAGES, 'N');
	for (int i = 0; i < NR_PAGES; i++)
		if (i != 8 && i != 12)
			assert_page(p, i, 'N');
	assert_int_equal(p[8 * FILE_PAGE], '8');
	assert_int_equal(p[8 * FILE_PAGE + 1], 'a' + 8);
	assert_int_equal(p[12 * FILE_PAGE + 1], 'a' + 12);
	/* Given up, it is the file's again. */
	ASSERT_OK(madvise(p + 8 * FILE_PAGE, FILE_PAGE, MADV_DONTNEED));
	assert_page(p, 8, 'N');
}

static void a_page_first_written_shows_the_file_beside_it(void **state)
{
	int fd = make_pages();
	char *p = map(fd, RW);

	p[10 * FILE_PAGE] = '!'; /* the first touch of all */
	fill(fd, 9, 3, 'N');
	assert_page(p, 9, 'N');
	assert_int_equal(p[10 * FILE_PAGE + 1], 'a' + 10);
	assert_page(p, 11, 'N');
}

static void writes_of_other_descriptions_and_processes_show(void **state)
{
	int fd = make_pages(), status;
	char *p = map(fd, PROT_READ);

	close(fd);
	assert_as_made(p);
	pid_t child = (pid_t)ASSERT_OK(fork());
	if (child == 0) {
		int other = open("f", O_WRONLY);

		_exit(pwrite(other, "child", 5, 4 * FILE_PAGE) == 5 && memcmp(p + 4 * FILE_PAGE, "child", 5) == 0 ? 0 : 1);
	}
	ASSERT_OK(waitpid(child, &status, 0));
	assert_int_equal(status, 0);
	assert_memory_equal(p + 4 * FILE_PAGE, "childe", 6);
}

static void what_is_appended_shows_in_the_last_page(void **state)
{
	int fd = file_make("f", "begin"), more = (int)ASSERT_OK(open("f", O_WRONLY | O_APPEND));
	char *p = (char *)ASSERT_OK(mmap(NULL, FILE_PAGE, PROT_READ, MAP_PRIVATE, fd, 0));

	assert_string_equal(p, "begin");
	assert_int_equal(write(more, " middle", 7), 7);
	assert_string_equal(p, "begin middle");
	assert_int_equal(pwrite(more, " end", 4, 0), 4); /* appends on Linux */
	assert_string_equal(p, "begin middle end");
}

static void a_map_goes_on_in_what_the_file_grew_by(void **state)
{
	int fd = file_make("f", "small");
	char *p = map(fd, PROT_READ);

	assert_string_equal(p, "small");
	assert_int_equal(fault_read(p + FILE_PAGE, NULL), SIGBUS);
	fill(fd, 1, 2, 'g');
	assert_int_equal(fault_read(p + FILE_PAGE, NULL), 0);
	assert_page(p, 1, 'g');
	fill(fd, 1, 1, 'h'); /* both the page known before and the new one follow */
	assert_page(p, 1, 'h');
	assert_int_equal(pwrite(fd, "S", 1, 0), 1);
	assert_string_equal(p, "Small");
}

static void copies_made_by_the_kernel_show(void **state)
{
	int fd = make_pages(), from = file_make("from", "copied text");
	char *p = map(fd, PROT_READ);
	loff_t at = 0, to = 2 * FILE_PAGE;

	assert_as_made(p);
	assert_int_equal(copy_file_range(from, &at, fd, &to, 6, 0), 6);
	assert_memory_equal(p + 2 * FILE_PAGE, "copiedc", 7);
	ASSERT_OK(lseek(fd, 3 * FILE_PAGE, SEEK_SET));
	ASSERT_OK(lseek(from, 0, SEEK_SET));
	assert_int_equal(sendfile(fd, from, NULL, 11), 11);
	assert_memory_equal(p + 3 * FILE_PAGE, "copied textd", 12);
}

static void holes_show_as_zeroes(void **state)
{
	int fd = make_pages();
	char *p = map(fd, RW);

	assert_as_made(p);
	p[4 * FILE_PAGE] = 'P';
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * FILE_PAGE, 4 * FILE_PAGE) < 0)
		skip(); /* not every file system can */
	assert_page(p, 1, 'b');
	assert_page(p, 2, 0);
	assert_int_equal(p[4 * FILE_PAGE], 'P');
	assert_int_equal(p[4 * FILE_PAGE + 1], 'e');
	assert_page(p, 5, 0);
	assert_page(p, 6, 'g');
}

static void what_is_cut_off_is_gone_own_copies_too(void **state)
{
	int fd = make_pages();
	char *p = map(fd, RW);
	struct fault f;

	assert_as_made(p);
	p[1 * FILE_PAGE] = 'P';
	p[5 * FILE_PAGE] = 'P';
	ASSERT_OK(ftruncate(fd, FILE_PAGE + 100));
	assert_int_equal(p[FILE_PAGE], 'P');
	assert_int_equal(fault_read(p + 5 * FILE_PAGE, &f), SIGBUS);
	assert_int_equal(f.info.si_code, BUS_ADRERR);
	assert_int_equal(fault_write(p + 2 * FILE_PAGE, NULL), SIGBUS);
	ASSERT_OK(truncate("f", NR_PAGES * FILE_PAGE));
	assert_page(p, 5, 0);
	fill(fd, 5, 1, 'n');
	assert_page(p, 5, 'n');
	close((int)ASSERT_OK(open("f", O_WRONLY | O_TRUNC)));
	assert_int_equal(fault_read(p, NULL), SIGBUS);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(later_writes_show_in_pages_read_before),
		cmocka_unit_test(pages_written_privately_stay_and_their_neighbours_do_not),
		cmocka_unit_test(a_page_first_written_shows_the_file_beside_it),
		cmocka_unit_test(writes_of_other_descriptions_and_processes_show),
		cmocka_unit_test(what_is_appended_shows_in_the_last_page),
		cmocka_unit_test(a_map_goes_on_in_what_the_file_grew_by),
		cmocka_unit_test(copies_made_by_the_kernel_show),
		cmocka_unit_test(holes_show_as_zeroes),
		cmocka_unit_test(what_is_cut_off_is_gone_own_copies_too),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
