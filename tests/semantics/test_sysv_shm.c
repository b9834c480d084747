/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory: ids and keys, addresses of shmat(2), what keeps a removed segment, counts over fork, exec and exit,
 * what shmctl(2) shows and changes, and what is refused. Every case removes its segments.
 */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

static int make(size_t size, int mode)
{
	return (int)ASSERT_OK(shmget(IPC_PRIVATE, size, IPC_CREAT | mode));
}

static char *attach(int id, int flags)
{
	return (char *)ASSERT_OK(shmat(id, NULL, flags));
}

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds ds;

	ASSERT_OK(shmctl(id, IPC_STAT, &ds));
	return ds;
}

static void remove_id(int id)
{
	ASSERT_OK(shmctl(id, IPC_RMID, NULL));
}

static int status_of(pid_t pid)
{
	int status = -1;

	ASSERT_OK(waitpid(pid, &status, 0));
	return status;
}

static key_t some_key(int n)
{
	return 0x564d0000 + (getpid() & 0xffff) * 16 + n;
}

static void keys_name_segments(void **state)
{
	key_t key = some_key(1);
	int id;

	ASSERT_ERR(shmget(key, PAGE, 0600), ENOENT);
	id = (int)ASSERT_OK(shmget(key, PAGE + 1, IPC_CREAT | 0600));
	assert_int_equal(shmget(key, 0, 0), id);
	assert_int_equal(shmget(key, PAGE + 1, IPC_CREAT | 0600), id);
	assert_int_equal(shmget(key, 10, IPC_CREAT | 0600), id);
	ASSERT_ERR(shmget(key, PAGE + 2, 0600), EINVAL);
	ASSERT_ERR(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	struct shmid_ds ds = stat_of(id);
	assert_int_equal(ds.shm_segsz, PAGE + 1);
	assert_int_equal(ds.shm_perm.__key, key);
	assert_int_equal(ds.shm_perm.mode, 0600);
	assert_int_equal(ds.shm_perm.uid, geteuid());
	assert_int_equal(ds.shm_perm.cgid, getegid());
	assert_int_equal(ds.shm_cpid, getpid());
	assert_int_equal(ds.shm_lpid, 0);
	assert_int_equal(ds.shm_nattch, 0);
	assert_int_equal(ds.shm_atime, 0);
	assert_int_equal(ds.shm_dtime, 0);
	assert_in_range(ds.shm_ctime, time(NULL) - 5, time(NULL));
	remove_id(id);
	ASSERT_ERR(shmget(key, PAGE, 0600), ENOENT);
	ASSERT_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
	ASSERT_ERR(shmat(id, NULL, 0), EINVAL);
	ASSERT_ERR(shmctl(id, IPC_RMID, NULL), EINVAL);
}

static void private_segments_are_many(void **state)
{
	int id[40];

	for (int i = 0; i < 40; i++) {
		id[i] = make(PAGE, 0600);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(id[i], id[j]);
	}
	for (int i = 0; i < 40; i++)
		remove_id(id[i]);
	int again = make(PAGE, 0600);
	for (int i = 0; i < 40; i++)
		assert_int_not_equal(again, id[i]);
	remove_id(again);
}

static void sizes_are_checked(void **state)
{
	ASSERT_ERR(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	ASSERT_ERR(shmget(IPC_PRIVATE, (size_t)-1, 0600), EINVAL);
	ASSERT_ERR(shmget(IPC_PRIVATE, (size_t)1 << 63, 0600), EINVAL);
}

static void memory_is_zero_and_shared(void **state)
{
	int id = make(3 * PAGE, 0600);
	char *a = attach(id, 0), *b = attach(id, 0);

	assert_ptr_not_equal(a, b);
	for (size_t i = 0; i < 3 * PAGE; i++)
		assert_int_equal(a[i], 0);
	a[PAGE] = 1;
	assert_int_equal(b[PAGE], 1);
	pid_t pid = fork();
	if (pid == 0) {
		b[2 * PAGE] = 42;
		_exit(0);
	}
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(a[2 * PAGE], 42);
	ASSERT_OK(shmdt(a));
	assert_int_equal(b[PAGE], 1);
	ASSERT_OK(shmdt(b));
	a = attach(id, 0);
	assert_int_equal(a[2 * PAGE], 42); /* lives without anybody */
	ASSERT_OK(shmdt(a));
	remove_id(id);
}

static void attachments_are_counted(void **state)
{
	int id = make(2 * PAGE, 0600), go[2], done[2];
	char *a = attach(id, 0);
	char c;

	ASSERT_OK(pipe(go));
	ASSERT_OK(pipe(done));
	assert_int_equal(stat_of(id).shm_nattch, 1);
	assert_int_equal(stat_of(id).shm_lpid, getpid());
	assert_in_range(stat_of(id).shm_atime, time(NULL) - 5, time(NULL));
	attach(id, 0);
	assert_int_equal(stat_of(id).shm_nattch, 2);
	pid_t pid = fork();
	if (pid == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(1);
		char *mine = shmat(id, NULL, 0);
		if (mine == (void *)-1 || write(done[1], "x", 1) != 1 || read(go[0], &c, 1) != 1)
			_exit(2);
		_exit(0);
	}
	assert_int_equal(stat_of(id).shm_nattch, 4);
	ASSERT_OK(write(go[1], "x", 1));
	ASSERT_OK(read(done[0], &c, 1));
	assert_int_equal(stat_of(id).shm_nattch, 5);
	assert_int_equal(stat_of(id).shm_lpid, pid);
	ASSERT_OK(write(go[1], "x", 1));
	assert_int_equal(status_of(pid), 0);
	assert_int_equal(stat_of(id).shm_nattch, 2);
	assert_int_equal(stat_of(id).shm_lpid, pid); /* its end detached */
	assert_in_range(stat_of(id).shm_dtime, time(NULL) - 5, time(NULL));
	/* parts count by themselves */
	ASSERT_OK(mprotect(a, PAGE, PROT_READ));
	assert_int_equal(stat_of(id).shm_nattch, 3);
	ASSERT_OK(mprotect(a, PAGE, PROT_READ | PROT_WRITE));
	assert_int_equal(stat_of(id).shm_nattch, 3);
	ASSERT_OK(munmap(a + PAGE, PAGE));
	assert_int_equal(stat_of(id).shm_nattch, 2);
	ASSERT_OK(shmdt(a));
	assert_int_equal(stat_of(id).shm_nattch, 1);
	ASSERT_ERR(shmdt(a), EINVAL);
	remove_id(id);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(done[i]);
	}
}

static void exec_detaches(void **state)
{
	int id = make(PAGE, 0600), in[2], out[2];
	char c;

	attach(id, 0);
	ASSERT_OK(pipe(in));
	ASSERT_OK(pipe(out));
	pid_t pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/bin/cat", "cat", NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	ASSERT_OK(write(in[1], "x", 1));
	ASSERT_OK(read(out[0], &c, 1)); /* cat runs */
	assert_int_equal(stat_of(id).shm_nattch, 1);
	close(in[1]);
	assert_int_equal(status_of(pid), 0);
	close(out[0]);
	remove_id(id);
}

static void removed_segments_go_with_the_last_map(void **state)
{
	key_t key = some_key(2);
	int id = (int)ASSERT_OK(shmget(key, PAGE, IPC_CREAT | 0600)), other;
	char *a = attach(id, 0);

	strcpy(a, "old");
	remove_id(id);
	struct shmid_ds ds = stat_of(id);
	assert_int_equal(ds.shm_perm.__key, IPC_PRIVATE);
	assert_int_equal(ds.shm_perm.mode, 0600 | SHM_DEST);
	ASSERT_ERR(shmget(key, PAGE, 0600), ENOENT);
	other = (int)ASSERT_OK(shmget(key, PAGE, IPC_CREAT | IPC_EXCL | 0600));
	assert_int_not_equal(id, other);
	char *b = attach(id, 0); /* still to be had by its id */
	assert_string_equal(b, "old");
	ASSERT_OK(shmdt(a));
	pid_t pid = fork();
	if (pid == 0)
		_exit(strcmp(b, "old") != 0 || shmdt(b) != 0);
	assert_int_equal(status_of(pid), 0);
	assert_string_equal(b, "old");
	ASSERT_OK(munmap(b, PAGE));
	ASSERT_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
	ASSERT_ERR(shmat(id, NULL, 0), EINVAL);
	remove_id(other);
}

static void addresses_are_taken_or_refused(void **state)
{
	int id = make(2 * PAGE + 100, 0600);
	char *area = (char *)ASSERT_OK(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	char *at = area + 4 * PAGE;

	ASSERT_ERR(shmat(id, at, 0), EINVAL);          /* something is there */
	ASSERT_ERR(shmat(id, at - PAGE * 2, 0), EINVAL);
	ASSERT_ERR(shmat(id, NULL, SHM_REMAP), EINVAL);
	ASSERT_ERR(shmat(id, (void *)10, SHM_RND | SHM_REMAP), EINVAL);
	area[0] = 'k';
	area[4 * PAGE] = 'g';
	assert_ptr_equal(shmat(id, at, SHM_REMAP), at);
	assert_int_equal(at[0], 0);
	assert_int_equal(area[0], 'k');
	ASSERT_ERR(shmdt(at + PAGE), EINVAL);
	ASSERT_ERR(shmdt(at + 1), EINVAL);
	ASSERT_OK(shmdt(at));
	ASSERT_ERR(shmat(id, at + 5, 0), EINVAL);
	assert_ptr_equal(shmat(id, at + 5, SHM_RND), at);
	ASSERT_OK(shmdt(at));
	assert_ptr_equal(shmat(id, at, 0), at);
	ASSERT_OK(munmap(at, PAGE)); /* shmdt finds the rest by where it began */
	ASSERT_OK(shmdt(at));
	assert_int_equal(stat_of(id).shm_nattch, 0);
	ASSERT_ERR(shmat(id, (void *)0x7ffffffff000, 0), ENOMEM);
	ASSERT_ERR(shmat(id, (void *)-PAGE, 0), EINVAL); /* wraps */
	ASSERT_ERR(shmat(-1, NULL, 0), EINVAL);
	munmap(area, 16 * PAGE);
	remove_id(id);
}

static void read_only_attachments_stay_so(void **state)
{
	int id = make(PAGE, 0600), fd;
	char *w = attach(id, 0), *r = attach(id, SHM_RDONLY);

	w[0] = 'a';
	assert_int_equal(r[0], 'a');
	fd = (int)ASSERT_OK(open("/dev/zero", O_RDONLY));
	ASSERT_ERR(read(fd, r, 1), EFAULT);
	assert_int_equal(read(fd, w, 1), 1);
	close(fd);
	ASSERT_ERR(mprotect(r, PAGE, PROT_READ | PROT_WRITE), EACCES);
	ASSERT_OK(mprotect(w, PAGE, PROT_READ));
	ASSERT_OK(mprotect(w, PAGE, PROT_READ | PROT_WRITE));
	ASSERT_OK(shmdt(w));
	ASSERT_OK(shmdt(r));
	remove_id(id);
}

static void code_runs_from_exec_attachments(void **state)
{
	static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 }; /* mov $42,%eax; ret */
	int id = make(PAGE, 0700);
	char *x = attach(id, SHM_EXEC);
	int (*fn)(void);

	memcpy(x, code, sizeof(code));
	memcpy(&fn, &x, sizeof(fn));
	assert_int_equal(fn(), 42);
	ASSERT_OK(shmdt(x));
	remove_id(id);
}

static void maps_show_the_key(void **state)
{
	key_t key = some_key(3);
	int id = (int)ASSERT_OK(shmget(key, PAGE, IPC_CREAT | 0600));
	char *a = attach(id, 0), line[512], want[64], name[64];
	FILE *f = fopen("/proc/self/maps", "r");
	bool found = false;

	snprintf(name, sizeof(name), "/SYSV%08x (deleted)\n", (unsigned)key);
	snprintf(want, sizeof(want), "%lx-%lx rw-s 00000000 ", (unsigned long)a, (unsigned long)a + PAGE);
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long ino;

		if (strncmp(line, want, strlen(want)) != 0)
			continue;
		assert_string_equal(line + strlen(line) - strlen(name), name);
		assert_int_equal(sscanf(line + strlen(want), "%*s %lu", &ino), 1);
		assert_int_equal(ino, id);
		found = true;
	}
	fclose(f);
	assert_true(found);
	ASSERT_OK(shmdt(a));
	remove_id(id);
}

static void owners_change_modes(void **state)
{
	int id = make(PAGE, 0600);
	struct shmid_ds ds = stat_of(id);

	ds.shm_perm.mode = 07440;
	ds.shm_segsz = 1; /* not looked at */
	ASSERT_OK(shmctl(id, IPC_SET, &ds));
	assert_int_equal(stat_of(id).shm_perm.mode, 0440);
	assert_int_equal(stat_of(id).shm_segsz, PAGE);
	ds.shm_perm.uid = (uid_t)-1;
	ASSERT_ERR(shmctl(id, IPC_SET, &ds), EINVAL);
	ASSERT_ERR(shmctl(id, IPC_SET, (void *)1), EFAULT);
	ASSERT_ERR(shmctl(id, IPC_STAT, (void *)1), EFAULT);
	ASSERT_ERR(shmctl(id, 99, &ds), EINVAL);
	ASSERT_ERR(shmctl(id, -1, &ds), EINVAL);
	ASSERT_ERR(shmctl(-1, IPC_STAT, &ds), EINVAL);
	ASSERT_OK(shmctl(id, SHM_LOCK, NULL));
	assert_int_equal(stat_of(id).shm_perm.mode, 0440 | SHM_LOCKED);
	ASSERT_OK(shmctl(id, SHM_UNLOCK, NULL));
	assert_int_equal(stat_of(id).shm_perm.mode, 0440);
	remove_id(id);
}

static int as_nobody(int id, int own)
{
	struct shmid_ds ds;
	char *p;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (shmat(id, NULL, 0) != (void *)-1 || errno != EACCES)
		return 2;
	p = shmat(id, NULL, SHM_RDONLY);
	if (p == (void *)-1)
		return 3;
	if (shmctl(id, IPC_STAT, &ds) || ds.shm_perm.mode != 0644)
		return 4;
	if (shmctl(id, IPC_SET, &ds) != -1 || errno != EPERM)
		return 5;
	if (shmctl(id, IPC_RMID, NULL) != -1 || errno != EPERM)
		return 6;
	if (shmctl(own, IPC_STAT, &ds) != -1 || errno != EACCES)
		return 7;
	if (shmctl(id, SHM_LOCK, NULL) != -1 || errno != EPERM)
		return 8;
	return 0;
}

static void others_have_their_rights(void **state)
{
	int id, own;

	if (geteuid() != 0)
		skip();
	id = make(PAGE, 0644);
	own = make(PAGE, 0600);
	pid_t pid = fork();
	if (pid == 0)
		_exit(as_nobody(id, own));
	assert_int_equal(status_of(pid), 0);
	remove_id(id);
	remove_id(own);
}

static void tables_are_told(void **state)
{
	int id = make(5 * PAGE, 0600), last;
	struct shminfo limits;
	struct shm_info info;
	struct shmid_ds ds;
	bool found = false;
	char line[512];

	char *a = attach(id, 0);
	a[0] = a[PAGE] = 1;
	last = shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
	assert_true(last >= 0);
	assert_int_equal(limits.shmmin, 1);
	assert_int_equal(limits.shmmni, 4096);
	assert_true(limits.shmmax == ~0ul - (1ul << 24));
	assert_int_equal(shmctl(0, SHM_INFO, (struct shmid_ds *)&info), last);
	assert_true(info.used_ids >= 1);
	assert_true(info.shm_tot >= 5);
	assert_true(info.shm_rss >= 2);
	for (int i = 0; i <= last; i++) {
		int got = shmctl(i, SHM_STAT, &ds);

		if (got == id) {
			found = true;
			assert_int_equal(ds.shm_segsz, 5 * PAGE);
			assert_int_equal(shmctl(i, SHM_STAT_ANY, &ds), id);
		}
	}
	assert_true(found);
	found = false;
	FILE *f = fopen("/proc/sysvipc/shm", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
				  "      atime      dtime      ctime                   rss                  swap\n");
	while (fgets(line, sizeof(line), f)) {
		int key, shmid, mode, cpid, lpid;
		unsigned long size, n;

		assert_int_equal(sscanf(line, "%d %d %o %lu %d %d %lu", &key, &shmid, (unsigned *)&mode, &size, &cpid, &lpid, &n), 7);
		if (shmid != id)
			continue;
		found = true;
		assert_int_equal(mode, 0600);
		assert_int_equal(size, 5 * PAGE);
		assert_int_equal(cpid, getpid());
		assert_int_equal(n, 1);
	}
	fclose(f);
	assert_true(found);
	ASSERT_OK(shmdt(a));
	remove_id(id);
}

static void locks_in_segments_work_between_processes(void **state)
{
	int id = make(PAGE, 0600);
	int *n = (int *)(void *)attach(id, 0);
	pid_t pid[4];

	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			for (int j = 0; j < 2000; j++)
				__atomic_fetch_add(n, 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(status_of(pid[i]), 0);
	assert_int_equal(*n, 8000);
	ASSERT_OK(shmdt(n));
	remove_id(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_name_segments),
		cmocka_unit_test(private_segments_are_many),
		cmocka_unit_test(sizes_are_checked),
		cmocka_unit_test(memory_is_zero_and_shared),
		cmocka_unit_test(attachments_are_counted),
		cmocka_unit_test(exec_detaches),
		cmocka_unit_test(removed_segments_go_with_the_last_map),
		cmocka_unit_test(addresses_are_taken_or_refused),
		cmocka_unit_test(read_only_attachments_stay_so),
		cmocka_unit_test(code_runs_from_exec_attachments),
		cmocka_unit_test(maps_show_the_key),
		cmocka_unit_test(owners_change_modes),
		cmocka_unit_test(others_have_their_rights),
		cmocka_unit_test(tables_are_told),
		cmocka_unit_test(locks_in_segments_work_between_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
