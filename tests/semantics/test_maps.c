/* SPDX-License-Identifier: MIT */
/*
 * /proc/self/maps, smaps, statm and status as programs parse them: the exact form of the lines,
 * order, names, merging, reading in pieces, and totals that agree with each other.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/maps.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static int some_data = 1;
static char text[1 << 19];

static char *next_line(char *p)
{
	p = strchr(p, '\n');
	return p ? p + 1 : NULL;
}

/* Mappings with unmapped pages around them, so that they have no neighbours to merge with. */
static char *lonely(size_t pages, int prot)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, (pages + 2) * PAGE, prot, ANON, -1, 0));

	munmap(p, PAGE);
	munmap(p + (pages + 1) * PAGE, PAGE);
	return p + PAGE;
}

static void lines_have_linuxs_exact_form(void **state)
{
	long len = proc_read("/proc/self/maps", text, sizeof(text));
	int lines = 0;

	assert_true(len > 0);
	assert_int_equal(text[len - 1], '\n');
	for (char *p = text, *next; p && *p; p = next, lines++) {
		struct map m;
		char again[512];

		next = next_line(p);
		assert_true(map_parse(p, &m));
		/* Addresses of at least 8 digits; the name, if any, starts in column 73 or later. */
		int n = snprintf(again, sizeof(again), "%08lx-%08lx %s %08lx %02x:%02x %lu ", m.start,
				 m.end, m.perms, m.offset, m.major, m.minor, m.inode);
		if (m.path[0]) {
			while (n < 73)
				again[n++] = ' ';
			strcpy(again + n, m.path);
			n += (int)strlen(m.path);
		}
		assert_int_equal(next - p, n + 1);
		assert_memory_equal(p, again, n);
	}
	assert_true(lines >= 10);
}

static void mappings_are_sorted_aligned_and_do_not_overlap(void **state)
{
	unsigned long last = 0;

	assert_true(proc_read("/proc/self/maps", text, sizeof(text)) > 0);
	for (char *p = text; p && *p; p = next_line(p)) {
		struct map m;

		assert_true(map_parse(p, &m));
		assert_true(m.start >= last && m.end > m.start);
		assert_int_equal((m.start | m.end) % PAGE, 0);
		assert_int_equal(strlen(m.perms), 4);
		assert_non_null(strchr("r-", m.perms[0]));
		assert_non_null(strchr("w-", m.perms[1]));
		assert_non_null(strchr("x-", m.perms[2]));
		assert_non_null(strchr("ps", m.perms[3]));
		last = m.end;
	}
}

static void the_program_the_heap_and_the_stack_are_named(void **state)
{
	char exe[256] = "", local;
	void *heap = malloc(100);
	struct stat st;
	struct map m;

	ASSERT_OK(readlink("/proc/self/exe", exe, sizeof(exe) - 1));
	ASSERT_OK(stat(exe, &st));
	assert_true(map_find((void *)(uintptr_t)lonely, &m));
	assert_string_equal(m.path, exe);
	assert_string_equal(m.perms, "r-xp");
	assert_int_equal(m.inode, st.st_ino);
	assert_int_equal(m.offset % PAGE, 0);
	assert_true(map_find(&some_data, &m));
	assert_string_equal(m.path, exe);
	assert_string_equal(m.perms, "rw-p");
	assert_true(map_find(&local, &m));
	assert_string_equal(m.path, "[stack]");
	assert_string_equal(m.perms, "rw-p");
	assert_int_equal(m.inode, 0);
	assert_true(map_find(heap, &m));
	assert_string_equal(m.path, "[heap]");
	assert_true(map_find((char *)sbrk(0) - 1, &m));
	assert_string_equal(m.path, "[heap]");
	assert_true(map_find((void *)(uintptr_t)puts, &m));
	assert_non_null(strstr(m.path, "libc"));
	assert_string_equal(m.perms, "r-xp");
	free(heap);
}

static void a_file_mapping_shows_offset_device_and_inode(void **state)
{
	int fd = (int)ASSERT_OK(open("name with space", O_RDWR | O_CREAT | O_TRUNC, 0600));
	char cwd[128], want[256];
	struct stat st;
	struct map m;

	ASSERT_OK(ftruncate(fd, 4 * PAGE));
	ASSERT_OK(fstat(fd, &st));
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
	assert_true(map_find(p, &m));
	snprintf(want, sizeof(want), "%s/name with space", cwd);
	assert_string_equal(m.path, want);
	assert_string_equal(m.perms, "r--s");
	assert_int_equal(m.offset, PAGE);
	assert_int_equal(m.end - m.start, 2 * PAGE);
	assert_int_equal(m.inode, st.st_ino);
	assert_int_equal(makedev(m.major, m.minor), st.st_dev);
	/* A newline in a name is escaped, and a file that is gone is marked. */
	ASSERT_OK(rename("name with space", "a\nb"));
	assert_true(map_find(p, &m));
	snprintf(want, sizeof(want), "%s/a\\012b", cwd);
	assert_string_equal(m.path, want);
	ASSERT_OK(unlink("a\nb"));
	assert_true(map_find(p, &m));
	strcat(want, " (deleted)");
	assert_string_equal(m.path, want);
	munmap(p, 2 * PAGE);
	close(fd);
}

static void equal_neighbours_merge(void **state)
{
	char *p = lonely(6, PROT_NONE);

	assert_ptr_equal(mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), p + 2 * PAGE);
	assert_int_equal(map_count(p, 6 * PAGE), 3);
	assert_ptr_equal(mmap(p + 3 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), p + 3 * PAGE);
	assert_int_equal(map_count(p, 6 * PAGE), 3);
	assert_ptr_equal(mmap(p + 1 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), p + 1 * PAGE);
	assert_int_equal(map_count(p, 6 * PAGE), 3);
	assert_ptr_equal(mmap(p + 4 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), p + 4 * PAGE);
	assert_int_equal(map_count(p, 6 * PAGE), 4);
	ASSERT_OK(munmap(p + 2 * PAGE, PAGE));
	assert_int_equal(map_count(p, 6 * PAGE), 5);
	munmap(p, 6 * PAGE);
	assert_int_equal(map_count(p, 6 * PAGE), 0);
}

static void neighbouring_file_ranges_merge_only_if_they_continue(void **state)
{
	int fd = (int)ASSERT_OK(memfd_create("m", 0));
	char *p = lonely(3, PROT_NONE);

	ASSERT_OK(ftruncate(fd, 4 * PAGE));
	ASSERT_OK(mmap(p, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0));
	ASSERT_OK(mmap(p + PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, PAGE));
	assert_int_equal(map_count(p, 2 * PAGE), 1);
	ASSERT_OK(mmap(p + 2 * PAGE, PAGE, RW, MAP_SHARED | MAP_FIXED, fd, PAGE));
	assert_int_equal(map_count(p, 3 * PAGE), 2);
	munmap(p, 3 * PAGE);
	close(fd);
}

static void small_reads_give_the_same_text(void **state)
{
	long len = proc_read("/proc/self/maps", text, sizeof(text));
	int fd = (int)ASSERT_OK(open("/proc/self/maps", O_RDONLY));
	char buf[37];
	ssize_t n;
	long at = 0;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		assert_true(at + n <= len);
		assert_memory_equal(text + at, buf, n);
		at += n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(read(fd, buf, 5), 5);
	assert_memory_equal(text, buf, 5);
	assert_int_equal(pread(fd, buf, 20, 100), 20);
	assert_memory_equal(text + 100, buf, 20);
	ASSERT_ERR(write(fd, "x", 1), EBADF);
	close(fd);
	struct stat st;
	ASSERT_OK(stat("/proc/self/maps", &st));
	assert_int_equal(st.st_size, 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
}

/* The block of smaps that belongs to an address. */
static char *smaps_block(const void *addr)
{
	struct map m;

	assert_true(proc_read("/proc/self/smaps", text, sizeof(text)) > 0);
	for (char *p = text; p && *p; p = next_line(p))
		if (map_parse(p, &m) && (unsigned long)addr >= m.start && (unsigned long)addr < m.end) {
			char *start = next_line(p);
			for (char *q = start; q && *q; q = next_line(q))
				if (map_parse(q, &m)) {
					*q = '\0';
					break;
				}
			return start;
		}
	fail_msg("no block for %p", addr);
	return NULL;
}

static void smaps_counts_the_pages_of_a_mapping(void **state)
{
	char *p = lonely(64, RW);

	ASSERT_OK(madvise(p, 64 * PAGE, MADV_NOHUGEPAGE));
	memset(p, 1, 10 * PAGE);
	char *block = smaps_block(p);
	assert_int_equal(proc_number(block, "Size"), 256);
	assert_int_equal(proc_number(block, "KernelPageSize"), 4);
	assert_int_equal(proc_number(block, "Rss"), 40);
	assert_int_equal(proc_number(block, "Pss"), 40);
	assert_int_equal(proc_number(block, "Private_Dirty"), 40);
	assert_int_equal(proc_number(block, "Shared_Dirty"), 0);
	assert_int_equal(proc_number(block, "Anonymous"), 40);
	assert_int_equal(proc_number(block, "Swap"), 0);
	char *flags = strstr(block, "VmFlags:");
	assert_non_null(flags);
	assert_non_null(strstr(flags, " rd wr "));
	munmap(p, 64 * PAGE);
}

static void status_counts_what_maps_lists(void **state)
{
	unsigned long sum = 0;
	long size = 0;

	/* Everything but the vsyscall page, which is not part of the address space. */
	assert_true(proc_read("/proc/self/maps", text, sizeof(text)) > 0);
	for (char *p = text; p && *p; p = next_line(p)) {
		struct map m;

		assert_true(map_parse(p, &m));
		if (strcmp(m.path, "[vsyscall]") != 0)
			sum += m.end - m.start;
	}
	size = status_number("VmSize");
	assert_int_equal(size, sum / 1024);
	assert_true(proc_read("/proc/self/statm", text, sizeof(text)) > 0);
	assert_int_equal(strtol(text, NULL, 10), sum / PAGE);

	char *p = (char *)ASSERT_OK(mmap(NULL, 1024 * PAGE, RW, ANON, -1, 0));
	assert_int_equal(status_number("VmSize"), size + 4096);
	long data = status_number("VmData"), rss = status_number("VmRSS");
	assert_true(status_number("VmPeak") >= size + 4096);
	memset(p, 1, 1024 * PAGE);
	assert_int_equal(status_number("VmData"), data);
	/* The kernel counts resident pages per CPU and adds them up in batches: allow for that. */
	assert_true(status_number("VmRSS") >= rss + 4096 - 1024);
	assert_true(status_number("RssAnon") >= 4096 - 1024);
	assert_true(status_number("VmHWM") >= status_number("VmRSS") - 1024);
	munmap(p, 1024 * PAGE);
	assert_int_equal(status_number("VmSize"), size);
}

static void status_has_the_fields_programs_look_for(void **state)
{
	static const char *const keys[] = {
		"Name:\t", "Umask:\t", "State:\tR (running)\n", "Tgid:\t", "Pid:\t", "PPid:\t",
		"TracerPid:\t0\n", "Uid:\t", "Gid:\t", "FDSize:\t", "Groups:\t", "VmPeak:\t", "VmSize:\t",
		"VmLck:\t", "VmHWM:\t", "VmRSS:\t", "RssAnon:\t", "RssFile:\t", "RssShmem:\t", "VmData:\t",
		"VmStk:\t", "VmExe:\t", "VmLib:\t", "VmPTE:\t", "VmSwap:\t", "Threads:\t1\n", "SigQ:\t",
		"SigPnd:\t", "ShdPnd:\t", "SigBlk:\t", "SigIgn:\t", "SigCgt:\t", "CapInh:\t", "CapPrm:\t",
		"CapEff:\t", "CapBnd:\t", "NoNewPrivs:\t", "Seccomp:\t", "Cpus_allowed:\t",
		"Cpus_allowed_list:\t", "voluntary_ctxt_switches:\t", "nonvoluntary_ctxt_switches:\t",
	};
	char *at = text;

	assert_true(proc_read("/proc/self/status", text, sizeof(text)) > 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {         /* all there, in this order */
		char *found = strstr(at, keys[i]);
		if (!found || (found != text && found[-1] != '\n'))
			fail_msg("no line \"%s\" after the one before it", keys[i]);
		at = found;
	}
	assert_int_equal(proc_number(text, "Pid"), getpid());
	assert_int_equal(proc_number(text, "Tgid"), getpid());
	assert_int_equal(proc_number(text, "PPid"), getppid());
	assert_int_equal(proc_number(text, "Uid"), getuid());
	assert_non_null(strstr(text, " kB\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_linuxs_exact_form),
		cmocka_unit_test(mappings_are_sorted_aligned_and_do_not_overlap),
		cmocka_unit_test(the_program_the_heap_and_the_stack_are_named),
		cmocka_unit_test(a_file_mapping_shows_offset_device_and_inode),
		cmocka_unit_test(equal_neighbours_merge),
		cmocka_unit_test(neighbouring_file_ranges_merge_only_if_they_continue),
		cmocka_unit_test(small_reads_give_the_same_text),
		cmocka_unit_test(smaps_counts_the_pages_of_a_mapping),
		cmocka_unit_test(status_counts_what_maps_lists),
		cmocka_unit_test(status_has_the_fields_programs_look_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
