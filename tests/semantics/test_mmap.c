/* SPDX-License-Identifier: MIT */
/*
 * mmap(2), munmap(2): placement, every flag that does not depend on the host, private and shared,
 * file and anonymous; coherence of shared maps with read and write; SIGBUS beyond the file's end;
 * the errors in Linux's order. What private maps show of later changes of their file is in
 * test_mmap_private.c. Protection changes are in test_mprotect.c, advice in test_madvise.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/fault.h"
#include "tests/lib/maps.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* The system call itself: the library checks some arguments first. */
static long raw_mmap(unsigned long addr, size_t len, int prot, int flags, int fd, unsigned long off)
{
	return syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

static char *map_anon(size_t pages)
{
	return (char *)ASSERT_OK(mmap(NULL, pages * PAGE, RW, ANON, -1, 0));
}

/* Addresses which are free, with nothing near them. */
static char *free_place(size_t pages)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, (pages + 1024) * PAGE, PROT_NONE, ANON, -1, 0));

	munmap(p, (pages + 1024) * PAGE);
	return p + 512 * PAGE;
}

/* A file "f" of some pages, page i full of the letter 'a' + i. */
static int make_file(size_t size)
{
	int fd = (int)ASSERT_OK(open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
	char page[PAGE];

	for (size_t at = 0; at < size; at += PAGE) {
		memset(page, 'a' + (int)(at / PAGE), PAGE);
		size_t n = size - at < PAGE ? size - at : PAGE;
		assert_int_equal(pwrite(fd, page, n, (off_t)at), n);
	}
	return fd;
}

static char file_byte(int fd, off_t at)
{
	char c = 0;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	return c;
}

static void anonymous_memory_is_zero_aligned_and_writable(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 3 * PAGE + 1, RW, ANON, -1, 0));

	assert_int_equal((unsigned long)p % PAGE, 0);
	for (size_t i = 0; i < 4 * PAGE; i++)           /* the length is rounded up */
		assert_int_equal(p[i], 0);
	memset(p, 7, 4 * PAGE);
	assert_int_equal(p[4 * PAGE - 1], 7);
	ASSERT_OK(munmap(p, 3 * PAGE + 1));             /* here too */
	assert_string_equal(map_perms(p + 3 * PAGE), "none");
	assert_int_equal(fault_read(p, NULL), SIGSEGV);
}

static void a_hint_is_taken_if_free_and_only_then(void **state)
{
	char *place = free_place(4);
	char *p = (char *)ASSERT_OK(mmap(place + 123, 4 * PAGE, RW, ANON, -1, 0));

	assert_ptr_equal(p, place);
	*p = 1;
	char *q = (char *)ASSERT_OK(mmap(place, 4 * PAGE, RW, ANON, -1, 0));
	assert_ptr_not_equal(q, place);
	assert_int_equal(*p, 1);
	munmap(p, 4 * PAGE);
	munmap(q, 4 * PAGE);
}

static void fixed_replaces_what_was_there(void **state)
{
	char *p = map_anon(3);

	memset(p, 5, 3 * PAGE);
	assert_ptr_equal(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0), p + PAGE);
	assert_int_equal(p[PAGE - 1], 5);
	assert_int_equal(p[PAGE], 0);
	assert_int_equal(p[2 * PAGE - 1], 0);
	assert_int_equal(p[2 * PAGE], 5);
	munmap(p, 3 * PAGE);
}

static void a_failed_fixed_mapping_leaves_the_old_one(void **state)
{
	char *p = map_anon(1);
	int fd = make_file(PAGE);
	int wo = (int)ASSERT_OK(open("f", O_WRONLY));

	*p = 9;
	ASSERT_ERR(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, wo, 0), EACCES);
	assert_int_equal(*p, 9);
	close(wo);
	close(fd);
	munmap(p, PAGE);
}

static void fixed_noreplace_refuses_an_overlap(void **state)
{
	char *p = free_place(3);

	assert_ptr_equal(mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0),
			 p + 2 * PAGE);
	ASSERT_ERR(mmap(p + 2 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	ASSERT_ERR(mmap(p, 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	ASSERT_ERR(mmap(p + 1, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EINVAL);
	assert_ptr_equal(mmap(p, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), p);
	munmap(p, 3 * PAGE);
}

static void errors_come_in_linux_order(void **state)
{
	int rw = make_file(PAGE);
	int ro = (int)ASSERT_OK(open("f", O_RDONLY));
	int wo = (int)ASSERT_OK(open("f", O_WRONLY));
	int opath = (int)ASSERT_OK(open("f", O_PATH));
	int dir = (int)ASSERT_OK(open(".", O_RDONLY | O_DIRECTORY));
	int pipes[2];

	ASSERT_OK(pipe(pipes));
	const struct {
		const char *what;
		unsigned long addr;
		size_t len;
		int prot, flags, fd;
		unsigned long off;
		int err;
	} c[] = {
		{ "length 0",              0, 0, RW, ANON, -1, 0, EINVAL },
		{ "length 0 of a file",    0, 0, RW, MAP_SHARED, rw, 0, EINVAL },
		{ "offset not aligned",    0, PAGE, RW, MAP_SHARED, rw, 1, EINVAL },
		{ "the same, anonymous",   0, PAGE, RW, ANON, -1, 1, EINVAL },
		{ "offset before fd",      0, PAGE, RW, MAP_SHARED, -1, 1, EINVAL },
		{ "fd before length",      0, 0, RW, MAP_SHARED, -1, 0, EBADF },
		{ "fd before type",        0, PAGE, RW, 0, -1, 0, EBADF },
		{ "no type",               0, PAGE, RW, 0, rw, 0, EINVAL },
		{ "no type, anonymous",    0, PAGE, RW, MAP_ANONYMOUS, -1, 0, EINVAL },
		{ "validate, anonymous",   0, PAGE, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0, EINVAL },
		{ "validate, unknown",     0, PAGE, RW, MAP_SHARED_VALIDATE | 0x800000, rw, 0, EOPNOTSUPP },
		{ "O_PATH",                0, PAGE, PROT_READ, MAP_PRIVATE, opath, 0, EBADF },
		{ "directory",             0, PAGE, PROT_READ, MAP_PRIVATE, dir, 0, ENODEV },
		{ "pipe",                  0, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0, ENODEV },
		{ "write-only, private",   0, PAGE, PROT_READ, MAP_PRIVATE, wo, 0, EACCES },
		{ "write-only, shared",    0, PAGE, PROT_WRITE, MAP_SHARED, wo, 0, EACCES },
		{ "write-only, no access", 0, PAGE, PROT_NONE, MAP_SHARED, wo, 0, EACCES },
		{ "read-only, shared",     0, PAGE, RW, MAP_SHARED, ro, 0, EACCES },
		{ "read-only, validate",   0, PAGE, RW, MAP_SHARED_VALIDATE, ro, 0, EACCES },
		{ "fixed not aligned",     1, PAGE, RW, ANON | MAP_FIXED, -1, 0, EINVAL },
		{ "fixed in the kernel",   1UL << 63, PAGE, RW, ANON | MAP_FIXED, -1, 0, ENOMEM },
		{ "fixed at user's end",   (1UL << 47) - PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0, ENOMEM },
		{ "huge",                  0, 1UL << 62, RW, ANON, -1, 0, ENOMEM },
		{ "rounds up to 0",        0, -1UL, RW, ANON, -1, 0, ENOMEM },
		{ "pages beyond any file", 0, PAGE, PROT_READ, MAP_PRIVATE, rw, -PAGE, EOVERFLOW },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		errno = 0;
		long r = raw_mmap(c[i].addr, c[i].len, c[i].prot, c[i].flags, c[i].fd, c[i].off);
		if (r != -1 || errno != c[i].err)
			fail_msg("%s: got %lx/%s, want %s", c[i].what, r, errno_name(errno),
				 errno_name(c[i].err));
	}
	for (int i = 0; i < 2; i++)
		close(pipes[i]);
	close(rw), close(ro), close(wo), close(dir), close(opath);
}

static void anonymous_ignores_the_descriptor_and_offset(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, ANON, 12345, 64 * PAGE));

	assert_int_equal(*p, 0);
	munmap(p, PAGE);
}

static void private_file_mapping_is_copied_on_write(void **state)
{
	int fd = make_file(2 * PAGE);
	int ro = (int)ASSERT_OK(open("f", O_RDONLY));
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, ro, 0));

	close(ro);                              /* the mapping keeps the file */
	p[10] = 'X';
	assert_int_equal(p[10], 'X');
	assert_int_equal(p[11], 'a');           /* the rest of the page came along */
	assert_int_equal(p[PAGE], 'b');
	assert_int_equal(file_byte(fd, 10), 'a');
	assert_int_equal(pwrite(fd, "Y", 1, 10), 1);
	assert_int_equal(p[10], 'X');           /* and is ours now */
	munmap(p, 2 * PAGE);
	close(fd);
}

static void shared_file_mapping_is_coherent_with_read_and_write(void **state)
{
	int fd = make_file(2 * PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	char *q = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE));

	for (int i = 0; i < 50; i++) {
		p[PAGE + 100] = (char)i;
		assert_int_equal(file_byte(fd, PAGE + 100), i);
		assert_int_equal(q[100], i);
		char c = (char)(i + 70);
		assert_int_equal(pwrite(fd, &c, 1, PAGE + 100), 1);
		assert_int_equal(((volatile char *)p)[PAGE + 100], i + 70);
		assert_int_equal(((volatile char *)q)[100], i + 70);
	}
	munmap(p, 2 * PAGE);
	assert_int_equal(file_byte(fd, PAGE + 100), 49 + 70);
	munmap(q, PAGE);
	close(fd);
}

static void a_mapping_survives_close_and_unlink(void **state)
{
	int fd = make_file(PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));

	close(fd);
	ASSERT_OK(unlink("f"));
	assert_int_equal(p[1], 'a');
	p[1] = 'Z';
	assert_int_equal(p[1], 'Z');
	munmap(p, PAGE);
}

static void the_tail_of_the_last_page_is_zero_and_not_written_back(void **state)
{
	int fd = make_file(100);
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	struct stat st;

	assert_int_equal(p[99], 'a');
	for (size_t i = 100; i < PAGE; i++)
		assert_int_equal(p[i], 0);
	p[200] = 'T';
	ASSERT_OK(msync(p, PAGE, MS_SYNC));
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_size, 100);
	munmap(p, PAGE);
	close(fd);
}

static void beyond_the_end_of_the_file_is_sigbus_until_it_grows(void **state)
{
	int fd = make_file(PAGE + 1);
	struct fault f;

	for (int shared = 0; shared < 2; shared++) {
		ASSERT_OK(ftruncate(fd, PAGE + 1));
		char *p = (char *)ASSERT_OK(mmap(NULL, 4 * PAGE, RW,
						 shared ? MAP_SHARED : MAP_PRIVATE, fd, 0));
		assert_int_equal(fault_read(p + 2 * PAGE - 1, NULL), 0);
		assert_int_equal(fault_read(p + 2 * PAGE + 5, &f), SIGBUS);
		assert_int_equal(f.info.si_code, BUS_ADRERR);
		assert_ptr_equal(f.info.si_addr, p + 2 * PAGE + 5);
		assert_int_equal(fault_write(p + 3 * PAGE, NULL), SIGBUS);
		ASSERT_OK(ftruncate(fd, 3 * PAGE));
		assert_int_equal(fault_read(p + 2 * PAGE + 5, NULL), 0);
		assert_int_equal(p[2 * PAGE + 5], 0);
		assert_int_equal(fault_read(p + 3 * PAGE, NULL), SIGBUS);
		/* A system call meets the same hole as EFAULT. */
		assert_int_equal(pread(fd, p, 1, 0), 1);
		ASSERT_ERR(pread(fd, p + 3 * PAGE, 1, 0), EFAULT);
		munmap(p, 4 * PAGE);
	}
	close(fd);
}

static void shrinking_the_file_takes_pages_away(void **state)
{
	int fd = make_file(2 * PAGE);
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));

	p[PAGE] = 'Q';
	p[10] = 'Q';
	ASSERT_OK(ftruncate(fd, 8));
	assert_int_equal(fault_read(p + PAGE, NULL), SIGBUS);
	assert_int_equal(p[7], 'a');
	assert_int_equal(p[10], 0);             /* the cut page is cleared beyond the end */
	ASSERT_OK(ftruncate(fd, 2 * PAGE));
	assert_int_equal(fault_read(p + PAGE, NULL), 0);
	assert_int_equal(p[PAGE], 0);           /* the old content is gone */
	munmap(p, 2 * PAGE);
	close(fd);
}

static void shared_anonymous_memory_is_shown_as_dev_zero(void **state)
{
	char *p = (char *)ASSERT_OK(mmap(NULL, 2 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	struct map m;

	assert_int_equal(p[PAGE], 0);
	p[PAGE] = 1;
	assert_true(map_find(p, &m));
	assert_string_equal(m.perms, "rw-s");
	assert_string_equal(m.path, "/dev/zero (deleted)");
	munmap(p, 2 * PAGE);
}

static void noreserve_and_no_access_allow_large_ranges(void **state)
{
	const size_t size = 1UL << 36;
	char *p = (char *)ASSERT_OK(mmap(NULL, size, RW, ANON | MAP_NORESERVE, -1, 0));
	char *q = (char *)ASSERT_OK(mmap(NULL, size, PROT_NONE, ANON, -1, 0));

	for (size_t at = 0; at < size; at += size / 8)
		p[at] = 1;
	assert_int_equal(p[size / 2], 1);
	assert_int_equal(p[size - 1], 0);
	ASSERT_OK(mprotect(q + size / 2, PAGE, RW));
	q[size / 2] = 3;
	assert_int_equal(fault_read(q + size / 2 + PAGE, NULL), SIGSEGV);
	ASSERT_OK(munmap(p, size));
	ASSERT_OK(munmap(q, size));
}

static void populate_makes_pages_resident(void **state)
{
	unsigned char vec[16];
	char *p = (char *)ASSERT_OK(mmap(NULL, 16 * PAGE, RW, ANON | MAP_POPULATE, -1, 0));

	ASSERT_OK(mincore(p, 16 * PAGE, vec));
	for (size_t i = 0; i < ARRAY_SIZE(vec); i++)
		assert_int_equal(vec[i] & 1, 1);
	assert_int_equal(p[15 * PAGE], 0);
	munmap(p, 16 * PAGE);
	/* It does not fail where pages cannot be had. */
	p = (char *)ASSERT_OK(mmap(NULL, PAGE, PROT_NONE, ANON | MAP_POPULATE, -1, 0));
	munmap(p, PAGE);
}

static void growsdown_grows_at_a_touch_below(void **state)
{
	char *p = free_place(1024) + 1000 * PAGE;
	struct map m;

	p = (char *)ASSERT_OK(mmap(p, PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
	p[0] = 1;
	assert_int_equal(fault_write(p - 1, NULL), 0);
	assert_int_equal(fault_write(p - 20 * PAGE, NULL), 0);
	assert_true(map_find(p, &m));
	assert_int_equal(m.start, (unsigned long)p - 20 * PAGE);
	assert_int_equal(p[-1], 1);
	assert_int_equal(p[-2], 0);
	munmap(p - 20 * PAGE, 21 * PAGE);
	assert_int_equal(fault_write(p - PAGE, NULL), SIGSEGV);
}

static void harmless_flags_are_accepted(void **state)
{
	static const int flags[] = { MAP_STACK, MAP_DENYWRITE, MAP_EXECUTABLE, MAP_NONBLOCK,
				     MAP_LOCKED, 0x800000 };

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, ANON | flags[i], -1, 0));
		assert_int_equal(*p, 0);
		munmap(p, PAGE);
	}
	char *p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0));
	assert_true((unsigned long)p < 1UL << 31);
	munmap(p, PAGE);
}

/* SBCL asks for its heap like this. */
static void hints_for_the_low_part_are_taken(void **state)
{
	static const unsigned long good[] = { 0x50000000, 0x20000000, 0x7fff0000 };
	static const unsigned long bad[] = { 0x80000000, 0x7ffff000, 0x700000000000 };
	char *p;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		p = (char *)ASSERT_OK(mmap((void *)good[i], 16 * PAGE, RW, ANON | MAP_32BIT | MAP_NORESERVE, -1, 0));
		assert_int_equal((unsigned long)p, good[i]);
		/* taken: somewhere else */
		char *q = (char *)ASSERT_OK(mmap((void *)good[i], PAGE, RW, ANON | MAP_32BIT, -1, 0));
		assert_true(q != p && (unsigned long)q < 1UL << 31);
		munmap(q, PAGE);
		munmap(p, 16 * PAGE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		p = (char *)ASSERT_OK(mmap((void *)bad[i], 2 * PAGE, RW, ANON | MAP_32BIT, -1, 0));
		assert_true((unsigned long)p >= 0x40000000 && (unsigned long)p <= (1UL << 31) - 2 * PAGE);
		munmap(p, 2 * PAGE);
	}
	assert_true(mmap(NULL, 1UL << 31, RW, ANON | MAP_32BIT | MAP_NORESERVE, -1, 0) == MAP_FAILED);
	assert_int_equal(errno, ENOMEM);
}

static void execution_wants_prot_exec(void **state)
{
	static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };       /* mov $42,%eax; ret */
	unsigned char *p = (unsigned char *)ASSERT_OK(
		mmap(NULL, PAGE, RW | PROT_EXEC, ANON, -1, 0));

	memcpy(p, code, sizeof(code));
	int (*fn)(void) = (int (*)(void))(uintptr_t)p;
	assert_int_equal(fn(), 42);
	p[1] = 43;                              /* x86 keeps code and data coherent */
	assert_int_equal(fn(), 43);
	munmap(p, PAGE);

	/* There is no write without read on x86. */
	p = (unsigned char *)ASSERT_OK(mmap(NULL, PAGE, PROT_WRITE, ANON, -1, 0));
	*p = 1;
	assert_int_equal(fault_read(p, NULL), 0);
	assert_string_equal(map_perms(p), "-w-p");
	munmap(p, PAGE);
}

static void munmap_in_the_middle_splits(void **state)
{
	char *p = map_anon(5);

	memset(p, 3, 5 * PAGE);
	ASSERT_OK(munmap(p + 2 * PAGE, PAGE));
	assert_int_equal(p[2 * PAGE - 1], 3);
	assert_int_equal(p[3 * PAGE], 3);
	struct fault f;
	assert_int_equal(fault_read(p + 2 * PAGE, &f), SIGSEGV);
	assert_int_equal(f.info.si_code, SEGV_MAPERR);
	ASSERT_OK(munmap(p, 5 * PAGE));         /* holes are no error */
	ASSERT_OK(munmap(p, 5 * PAGE));
}

static void munmap_reports_errors(void **state)
{
	char *p = map_anon(1);

	ASSERT_ERR(munmap(p + 1, PAGE), EINVAL);
	ASSERT_ERR(munmap(p, 0), EINVAL);
	ASSERT_ERR(munmap((void *)-PAGE, PAGE), EINVAL);
	ASSERT_ERR(munmap(p, -1UL), EINVAL);
	assert_int_equal(*p, 0);
	munmap(p, PAGE);
}

static void system_calls_see_protection_as_efault(void **state)
{
	int fd = make_file(2 * PAGE);
	char *p = map_anon(3);

	ASSERT_OK(munmap(p + PAGE, PAGE));
	ASSERT_OK(mprotect(p + 2 * PAGE, PAGE, PROT_READ));
	ASSERT_ERR(pread(fd, p + PAGE, 8, 0), EFAULT);
	ASSERT_ERR(pread(fd, p + 2 * PAGE, 8, 0), EFAULT);
	ASSERT_ERR(pwrite(fd, p + PAGE, 8, 0), EFAULT);
	assert_int_equal(pwrite(fd, p + 2 * PAGE, 8, 0), 8);    /* readable is enough */
	assert_int_equal(pread(fd, p, 2 * PAGE, 0), PAGE);      /* as much as fits */
	ASSERT_OK(mprotect(p, PAGE, PROT_NONE));
	ASSERT_ERR(pread(fd, p, 8, 0), EFAULT);
	ASSERT_ERR(pwrite(fd, p, 8, 0), EFAULT);
	munmap(p, 3 * PAGE);
	close(fd);
}

static void address_space_limit_is_enomem(void **state)
{
	struct rlimit old, lim;

	ASSERT_OK(getrlimit(RLIMIT_AS, &old));
	lim = old;
	lim.rlim_cur = 256 << 20;
	ASSERT_OK(setrlimit(RLIMIT_AS, &lim));
	errno = 0;
	void *p = mmap(NULL, 512 << 20, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	int err = errno;
	void *q = mmap(NULL, PAGE, RW, ANON, -1, 0);
	ASSERT_OK(setrlimit(RLIMIT_AS, &old));
	assert_ptr_equal(p, MAP_FAILED);
	assert_int_equal(err, ENOMEM);
	assert_ptr_not_equal(q, MAP_FAILED);
	munmap(q, PAGE);
}

static void no_room_comes_before_what_the_file_allows(void **state)
{
	int fd = make_file(PAGE), rd = (int)ASSERT_OK(open("f", O_RDONLY));

	ASSERT_ERR(raw_mmap(0, -PAGE, RW, MAP_SHARED, fd, 0), ENOMEM);
	ASSERT_ERR(raw_mmap(0, 1ul << 60, RW, MAP_SHARED, rd, PAGE), ENOMEM);
	ASSERT_ERR(raw_mmap((unsigned long)free_place(1), -PAGE, RW, MAP_SHARED | MAP_FIXED, fd, 0), ENOMEM);
	close(rd);
	close(fd);
}

/* mlockall(MCL_FUTURE): what cannot be locked cannot be mapped. */
static void future_locks_count_against_the_limit(void **state)
{
	int status;
	pid_t pid = (pid_t)ASSERT_OK(fork());

	if (!pid) {
		struct rlimit lim;

		getrlimit(RLIMIT_MEMLOCK, &lim);
		lim.rlim_cur = 64 * PAGE;
		if (mlockall(MCL_FUTURE) < 0 || setrlimit(RLIMIT_MEMLOCK, &lim) < 0 || (!geteuid() && seteuid(1) < 0))
			_exit(1);
		if (mmap(NULL, 128 * PAGE, RW, ANON, -1, 0) != MAP_FAILED || errno != EAGAIN)
			_exit(2);
		if (mmap(NULL, 8 * PAGE, RW, ANON, -1, 0) == MAP_FAILED)
			_exit(3);
		_exit(munlockall() < 0 || mmap(NULL, 128 * PAGE, RW, ANON, -1, 0) == MAP_FAILED ? 4 : 0);
	}
	ASSERT_OK(waitpid(pid, &status, 0));
	assert_int_equal(status, 0);
}

static void set_old_times(int fd)
{
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };

	ASSERT_OK(futimens(fd, old));
}

/* A file in memory: the first write to a page changes the modification time, making a map the access time. */
static void maps_change_the_times_of_their_file(void **state)
{
	char name[] = "/dev/shm/test_mmap.XXXXXX";
	int fd = (int)ASSERT_OK(mkstemp(name));
	struct stat st;
	char *p;

	ASSERT_OK(unlink(name));
	ASSERT_OK(ftruncate(fd, PAGE));
	set_old_times(fd);
	p = (char *)ASSERT_OK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	ASSERT_OK(fstat(fd, &st));
	assert_true(st.st_atime > 2000);
	assert_int_equal(st.st_mtime, 2000);
	*p = 'x';
	ASSERT_OK(fstat(fd, &st));
	assert_true(st.st_mtime > 2000);
	assert_true(st.st_ctime >= st.st_mtime);
	set_old_times(fd);
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_mtime, 2000);
	munmap(p, PAGE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_memory_is_zero_aligned_and_writable),
		cmocka_unit_test(a_hint_is_taken_if_free_and_only_then),
		cmocka_unit_test(fixed_replaces_what_was_there),
		cmocka_unit_test(a_failed_fixed_mapping_leaves_the_old_one),
		cmocka_unit_test(fixed_noreplace_refuses_an_overlap),
		cmocka_unit_test(errors_come_in_linux_order),
		cmocka_unit_test(anonymous_ignores_the_descriptor_and_offset),
		cmocka_unit_test(private_file_mapping_is_copied_on_write),
		cmocka_unit_test(shared_file_mapping_is_coherent_with_read_and_write),
		cmocka_unit_test(a_mapping_survives_close_and_unlink),
		cmocka_unit_test(the_tail_of_the_last_page_is_zero_and_not_written_back),
		cmocka_unit_test(beyond_the_end_of_the_file_is_sigbus_until_it_grows),
		cmocka_unit_test(shrinking_the_file_takes_pages_away),
		cmocka_unit_test(shared_anonymous_memory_is_shown_as_dev_zero),
		cmocka_unit_test(noreserve_and_no_access_allow_large_ranges),
		cmocka_unit_test(populate_makes_pages_resident),
		cmocka_unit_test(growsdown_grows_at_a_touch_below),
		cmocka_unit_test(harmless_flags_are_accepted),
		cmocka_unit_test(hints_for_the_low_part_are_taken),
		cmocka_unit_test(execution_wants_prot_exec),
		cmocka_unit_test(munmap_in_the_middle_splits),
		cmocka_unit_test(munmap_reports_errors),
		cmocka_unit_test(system_calls_see_protection_as_efault),
		cmocka_unit_test(address_space_limit_is_enomem),
		cmocka_unit_test(no_room_comes_before_what_the_file_allows),
		cmocka_unit_test(future_locks_count_against_the_limit),
		cmocka_unit_test(maps_change_the_times_of_their_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
