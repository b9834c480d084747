/* SPDX-License-Identifier: MIT */
/*
 * Core files, where /proc/sys/kernel/core_pattern says "core": when there is one, what wait4(2) and waitid(2) say of it, and
 * that it holds the registers of every thread and the memory.
 */
#include "tests/lib/child.h"
#include "tests/lib/file_dir.h"

#include <elf.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>

static volatile uint64_t answer = 1;
static char *heap;

static bool plain_pattern(void)
{
	const char *text = file_text("/proc/sys/kernel/core_pattern");
	struct rlimit r;

	return text && !strcmp(text, "core\n") && getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_max == RLIM_INFINITY;
}

static int die(void *sig)
{
	signal((int)(intptr_t)sig, SIG_DFL); /* cmocka has handlers for some */
	raise((int)(intptr_t)sig);
	return 0;
}

static int limit_to(rlim_t bytes)
{
	return setrlimit(RLIMIT_CORE, &(struct rlimit){ bytes, RLIM_INFINITY });
}

static int status_of(int sig)
{
	return child_status(child_start(die, (void *)(intptr_t)sig));
}

static void every_signal_that_should(void **state)
{
	static const int with[] = { SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS };
	static const int without[] = { SIGKILL, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE, 40 };

	if (!plain_pattern())
		skip();
	ASSERT_OK(limit_to(RLIM_INFINITY));
	for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
		assert_int_equal(status_of(with[i]), with[i] | WCOREFLAG);
		ASSERT_OK(unlink("core"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(without); i++)
		assert_int_equal(status_of(without[i]), without[i]);
	ASSERT_ERR(access("core", F_OK), ENOENT);
}

static int not_dumpable(void *arg)
{
	prctl(PR_SET_DUMPABLE, 0);
	return die(arg);
}

static void and_when_not(void **state)
{
	siginfo_t info;
	struct stat st;

	if (!plain_pattern())
		skip();
	ASSERT_OK(limit_to(0));
	assert_int_equal(status_of(SIGABRT), SIGABRT);
	ASSERT_OK(limit_to(RLIM_INFINITY));
	assert_int_equal(child_status(child_start(not_dumpable, (void *)SIGABRT)), SIGABRT);
	ASSERT_OK(mkdir("core", 0755));
	assert_int_equal(status_of(SIGABRT), SIGABRT);
	ASSERT_OK(rmdir("core"));
	file_put("other", "text");
	ASSERT_OK(symlink("other", "core"));
	assert_int_equal(status_of(SIGABRT) & ~WCOREFLAG, SIGABRT); /* Linux 6.18 sets the flag all the same */
	assert_string_equal(file_text("other"), "text");
	ASSERT_OK(unlink("core"));
	ASSERT_OK(waitid(P_PID, (id_t)child_start(die, (void *)SIGABRT), &info, WEXITED));
	assert_int_equal(info.si_code, CLD_DUMPED);
	assert_int_equal(info.si_status, SIGABRT);
	ASSERT_OK(limit_to(8192)); /* too little for a whole one: the part that fits */
	assert_int_equal(status_of(SIGABRT), SIGABRT | WCOREFLAG);
	ASSERT_OK(stat("core", &st));
	assert_in_range(st.st_size, 1, 8192);
}

/* --- what is in it ---------------------------------------------------------------------------------------------- */

static void *waits(void *arg)
{
	pthread_barrier_wait(arg);
	for (;;)
		pause();
	return NULL;
}

static int dies_with_threads(void *arg)
{
	pthread_barrier_t ready;
	pthread_t t;

	pthread_barrier_init(&ready, NULL, 4);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&t, NULL, waits, &ready) == 0);
	pthread_barrier_wait(&ready);
	answer = 0x1122334455667788;
	heap = mmap(NULL, 8 * FILE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(heap != MAP_FAILED);
	heap[5 * FILE_PAGE] = 'x';
	CHECK(write((int)(intptr_t)arg, &heap, sizeof(heap)) == sizeof(heap));
	abort();
}

/* Where the core file has what was at addr; -1: nowhere. */
static off_t place_of(const char *core, uint64_t addr)
{
	const Elf64_Ehdr *e = (const void *)core;
	const Elf64_Phdr *h = (const void *)(core + e->e_phoff);

	for (int i = 0; i < e->e_phnum; i++)
		if (h[i].p_type == PT_LOAD && h[i].p_vaddr <= addr && addr < h[i].p_vaddr + h[i].p_filesz)
			return (off_t)(h[i].p_offset + addr - h[i].p_vaddr);
	return -1;
}

/* The n-th note of this type; NULL: there is none. */
static const void *note_of(const char *core, unsigned type, unsigned n)
{
	const Elf64_Ehdr *e = (const void *)core;
	const Elf64_Phdr *h = (const void *)(core + e->e_phoff);
	const char *at = core + h->p_offset, *end = at + h->p_filesz;

	assert_int_equal(h->p_type, PT_NOTE);
	while (at < end) {
		const Elf64_Nhdr *note = (const void *)at;
		const char *desc = at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);

		if (note->n_type == type && !n--)
			return desc;
		at = desc + ((note->n_descsz + 3) & ~3u);
	}
	return NULL;
}

static void it_holds_threads_and_memory(void **state)
{
	const struct elf_prstatus *status;
	const struct elf_prpsinfo *info;
	struct stat st;
	char *core, *where;
	pid_t pid;
	int p[2], fd;

	if (!plain_pattern())
		skip();
	ASSERT_OK(limit_to(RLIM_INFINITY));
	ASSERT_OK(pipe(p));
	pid = child_start(dies_with_threads, (void *)(intptr_t)p[1]);
	assert_int_equal(child_status(pid), SIGABRT | WCOREFLAG);
	assert_int_equal(read(p[0], &where, sizeof(where)), sizeof(where));
	fd = (int)ASSERT_OK(open("core", O_RDONLY));
	ASSERT_OK(fstat(fd, &st));
	assert_int_equal(st.st_mode, S_IFREG | 0600);
	core = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(core, MAP_FAILED);
	assert_memory_equal(core, ELFMAG, SELFMAG);
	assert_int_equal(((Elf64_Ehdr *)core)->e_type, ET_CORE);
	status = note_of(core, NT_PRSTATUS, 0);
	assert_non_null(status);
	assert_int_equal(status->pr_pid, pid);
	assert_int_equal(status->pr_cursig, SIGABRT);
	assert_int_equal(status->pr_ppid, getpid());
	for (unsigned i = 1; i < 4; i++) {
		assert_non_null(note_of(core, NT_PRSTATUS, i));
		assert_non_null(note_of(core, NT_FPREGSET, i));
	}
	assert_null(note_of(core, NT_PRSTATUS, 4));
	info = note_of(core, NT_PRPSINFO, 0);
	assert_non_null(info);
	assert_non_null(strstr(info->pr_psargs, "test_coredump"));
	assert_int_equal(((const siginfo_t *)note_of(core, NT_SIGINFO, 0))->si_signo, SIGABRT);
	assert_non_null(note_of(core, NT_AUXV, 0));
	assert_non_null(note_of(core, NT_FILE, 0));
	assert_int_equal(*(uint64_t *)(core + place_of(core, (uintptr_t)&answer)), 0x1122334455667788);
	assert_int_equal(core[place_of(core, (uintptr_t)where + 5 * FILE_PAGE)], 'x');
	assert_int_equal(core[place_of(core, (uintptr_t)where)], 0);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(every_signal_that_should),
		cmocka_unit_test(and_when_not),
		cmocka_unit_test(it_holds_threads_and_memory),
	};

	return FILE_RUN_EVERYWHERE(tests);
}
