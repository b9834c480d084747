/* SPDX-License-Identifier: MIT */
/*
 * Capabilities: capget(2) and capset(2) with their checks, what set*id(2), prctl(2) and execve(2) make of the sets, securebits,
 * ambient capabilities, capabilities of files. Cases that change them need root to begin with and are skipped without.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/needs.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int setxattr(const char *path, const char *name, const void *value, size_t size, int flags); /* <sys/xattr.h> quarrels with linux/xattr.h */

#define U 4242
#define BIT(c) ((uint64_t)1 << (c))
#define FAILS(call, e) (errno = 0, (call) == -1 && errno == (e))
#define CHECK(cond) do { if (!(cond)) return __LINE__ % 250 + 1; } while (0)

struct caps { uint64_t effective, permitted, inheritable; };

static int get(pid_t pid, struct caps *ret)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, pid };
	struct __user_cap_data_struct d[2];
	int r = (int)syscall(SYS_capget, &h, d);

	ret->effective = d[0].effective | (uint64_t)d[1].effective << 32;
	ret->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
	ret->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	return r;
}

static int set(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
	};

	return (int)syscall(SYS_capset, &h, d);
}

static struct caps now(void)
{
	struct caps c = { 0 };

	get(0, &c);
	return c;
}

static uint64_t all;

static void need_root(void)
{
	if (geteuid() != 0 || !(now().effective & BIT(CAP_SETPCAP)))
		skip();
	all = now().permitted;
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}
#define EXPECT(fn) assert_int_equal(in_child(fn), 0)

/* --- the calls --------------------------------------------------------------------------------------------------- */

static void versions(void **state)
{
	struct __user_cap_header_struct h = { 0, 0 };
	struct __user_cap_data_struct d[2];

	ASSERT_OK(syscall(SYS_capget, &h, NULL)); /* asks for the version */
	assert_int_equal(h.version, _LINUX_CAPABILITY_VERSION_3);
	h.version = 77;
	ASSERT_ERR(syscall(SYS_capget, &h, d), EINVAL);
	assert_int_equal(h.version, _LINUX_CAPABILITY_VERSION_3);
	h.version = 77;
	ASSERT_ERR(syscall(SYS_capset, &h, d), EINVAL);
	h.version = _LINUX_CAPABILITY_VERSION_1;
	ASSERT_OK(syscall(SYS_capget, &h, d));
	ASSERT_ERR(syscall(SYS_capget, (void *)8, d), EFAULT);
	h = (struct __user_cap_header_struct){ _LINUX_CAPABILITY_VERSION_3, -1 };
	ASSERT_ERR(syscall(SYS_capget, &h, d), EINVAL);
	h.pid = 1 << 21;
	ASSERT_ERR(syscall(SYS_capget, &h, d), ESRCH);
	h.pid = getppid();
	ASSERT_ERR(syscall(SYS_capset, &h, d), EPERM);
	h.pid = 0;
	ASSERT_ERR(syscall(SYS_capset, &h, (void *)8), EFAULT);
}

static int check_capset(void)
{
	CHECK(set(all & ~BIT(CAP_KILL), all & ~BIT(CAP_CHOWN), 0) == -1 && errno == EPERM); /* effective beyond permitted */
	CHECK(set(all & ~BIT(CAP_CHOWN), all & ~BIT(CAP_CHOWN), 0) == 0);
	CHECK(FAILS(set(all, all, 0), EPERM)); /* not to be had again */
	CHECK(FAILS(chown(".", 1, 1), EPERM));
	CHECK(set(0, all & ~BIT(CAP_CHOWN), 0) == 0 && FAILS(setuid(U), EPERM)); /* what is not effective does not help */
	return 0;
}

static int check_inheritable(void)
{
	CHECK(prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
	CHECK(set(all, all, BIT(CAP_CHOWN)) == 0);
	CHECK(FAILS(set(all, all, BIT(CAP_CHOWN) | BIT(CAP_KILL)), EPERM)); /* neither in the bounding set nor inherited */
	CHECK(set(all & ~BIT(CAP_SETPCAP) & ~BIT(CAP_FOWNER), all & ~BIT(CAP_FOWNER), BIT(CAP_CHOWN)) == 0);
	CHECK(FAILS(set(0, all & ~BIT(CAP_FOWNER), BIT(CAP_CHOWN) | BIT(CAP_FOWNER)), EPERM)); /* more than permitted */
	CHECK(set(0, 0, BIT(CAP_CHOWN)) == 0 && now().inheritable == BIT(CAP_CHOWN));
	return 0;
}

static void sets_shrink(void **state)
{
	need_root();
	EXPECT(check_capset);
	EXPECT(check_inheritable);
}

static int check_bounding(void)
{
	CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1 && prctl(PR_CAPBSET_READ, 0) == 1);
	CHECK(FAILS(prctl(PR_CAPBSET_READ, 63), EINVAL) && FAILS(prctl(PR_CAPBSET_READ, 1000), EINVAL));
	CHECK(FAILS(prctl(PR_CAPBSET_DROP, 63), EINVAL));
	CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_NICE) == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_NICE) == 0);
	CHECK(now().permitted & BIT(CAP_SYS_NICE)); /* what it has it keeps */
	CHECK(set(all & ~BIT(CAP_SETPCAP), all & ~BIT(CAP_SETPCAP), 0) == 0);
	CHECK(FAILS(prctl(PR_CAPBSET_DROP, CAP_CHOWN), EPERM));
	return 0;
}

static void the_bounding_set(void **state)
{
	need_root();
	EXPECT(check_bounding);
}

/* --- with user ids --------------------------------------------------------------------------------------------------- */

static int check_setuid(void)
{
	CHECK(setresuid(-1, U, -1) == 0 && now().effective == 0 && now().permitted == all);
	CHECK(setresuid(-1, 0, -1) == 0 && now().effective == all);
	CHECK(setresuid(U, U, U) == 0 && now().effective == 0 && now().permitted == 0);
	return 0;
}

static int check_keepcaps(void)
{
	CHECK(prctl(PR_GET_KEEPCAPS) == 0 && FAILS(prctl(PR_SET_KEEPCAPS, 2), EINVAL));
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
	CHECK(prctl(PR_GET_SECUREBITS) == SECBIT_KEEP_CAPS);
	CHECK(setresuid(U, U, U) == 0 && now().permitted == all && now().effective == 0);
	CHECK(set(BIT(CAP_CHOWN), all, 0) == 0 && now().effective == BIT(CAP_CHOWN));
	return 0;
}

static int check_securebits(void)
{
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED) == 0);
	CHECK(FAILS(prctl(PR_SET_SECUREBITS, 0), EPERM) && FAILS(prctl(PR_SET_SECUREBITS, 1 << 20), EPERM));
	CHECK(FAILS(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP_LOCKED), EPERM));
	CHECK(setresuid(U, U, U) == 0 && now().effective == all && now().permitted == all);
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED) == 0);
	CHECK(FAILS(prctl(PR_SET_KEEPCAPS, 1), EPERM));
	CHECK(set(0, 0, 0) == 0 && FAILS(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED), EPERM));
	return 0;
}

/* Those of the interpreters take no capability, if they are all that changes. */
static int check_free_securebits(void)
{
	const int file = 1 << 8, interactive = 1 << 10;

	CHECK(set(0, 0, 0) == 0 && FAILS(prctl(PR_SET_SECUREBITS, 0), EPERM));
	CHECK(prctl(PR_SET_SECUREBITS, file | file << 1) == 0 && prctl(PR_GET_SECUREBITS) == (file | file << 1));
	CHECK(FAILS(prctl(PR_SET_SECUREBITS, file << 1), EPERM));
	CHECK(FAILS(prctl(PR_SET_SECUREBITS, file | file << 1 | SECBIT_NOROOT), EPERM));
	CHECK(prctl(PR_SET_SECUREBITS, file | file << 1 | interactive) == 0 && prctl(PR_SET_SECUREBITS, file | file << 1) == 0);
	return 0;
}

static void changes_of_user_ids(void **state)
{
	need_root();
	EXPECT(check_setuid);
	EXPECT(check_keepcaps);
	EXPECT(check_securebits);
	if (kernel_at_least(6, 14))
		EXPECT(check_free_securebits);
}

static int amb(int op, unsigned long cap) { return prctl(PR_CAP_AMBIENT, op, cap, 0, 0); }

static int check_ambient(void)
{
	CHECK(amb(PR_CAP_AMBIENT_IS_SET, CAP_KILL) == 0);
	CHECK(FAILS(amb(PR_CAP_AMBIENT_RAISE, CAP_KILL), EPERM)); /* not inheritable */
	CHECK(set(all, all, BIT(CAP_KILL) | BIT(CAP_CHOWN)) == 0);
	CHECK(amb(PR_CAP_AMBIENT_RAISE, CAP_KILL) == 0 && amb(PR_CAP_AMBIENT_RAISE, CAP_CHOWN) == 0);
	CHECK(amb(PR_CAP_AMBIENT_IS_SET, CAP_KILL) == 1);
	CHECK(amb(PR_CAP_AMBIENT_LOWER, CAP_KILL) == 0 && amb(PR_CAP_AMBIENT_IS_SET, CAP_KILL) == 0);
	CHECK(FAILS(amb(PR_CAP_AMBIENT_RAISE, 63), EINVAL) && FAILS(amb(99, CAP_KILL), EINVAL));
	CHECK(FAILS(amb(PR_CAP_AMBIENT_CLEAR_ALL, 1), EINVAL));
	CHECK(set(all, all, BIT(CAP_KILL)) == 0 && amb(PR_CAP_AMBIENT_IS_SET, CAP_CHOWN) == 0); /* goes with the others */
	CHECK(amb(PR_CAP_AMBIENT_RAISE, CAP_KILL) == 0 && amb(PR_CAP_AMBIENT_CLEAR_ALL, 0) == 0);
	CHECK(amb(PR_CAP_AMBIENT_IS_SET, CAP_KILL) == 0);
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_CAP_AMBIENT_RAISE) == 0 && FAILS(amb(PR_CAP_AMBIENT_RAISE, CAP_KILL), EPERM));
	return 0;
}

static void ambient_capabilities(void **state)
{
	need_root();
	EXPECT(check_ambient);
}

/* --- over exec ---------------------------------------------------------------------------------------------------------- */

static char self[4096];

static uint64_t status_caps(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long long v = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			v = strtoull(line + strlen(name), NULL, 16);
	if (f)
		fclose(f);
	return v;
}

/* As the program run below: its sets as four words. */
static int tell(void)
{
	struct caps c = now();

	printf("%llx %llx %llx %llx %lu\n", (unsigned long long)c.effective, (unsigned long long)c.permitted,
	       (unsigned long long)c.inheritable, (unsigned long long)status_caps("CapAmb:"), getauxval(AT_SECURE));
	return 0;
}

static void expect_after(int (*prepare)(void), const char *program, const char *want)
{
	char got[256] = "";
	int out[2];
	pid_t pid;
	size_t n = 0;
	ssize_t r;

	ASSERT_OK(pipe(out));
	pid = fork();
	if (pid == 0) {
		int bad = prepare();

		dup2(out[1], 1);
		if (!bad)
			execl(program, program, "tell", NULL);
		dprintf(out[1], bad ? "not prepared: %d\n" : "exec: %d\n", bad ? bad : errno);
		_exit(0);
	}
	close(out[1]);
	while ((r = read(out[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	close(out[0]);
	waitpid(pid, NULL, 0);
	assert_string_equal(got, want);
}

static int as_user(void)
{
	return setresgid(U, U, U) || setresuid(U, U, U);
}

static int as_user_keeping(void)
{
	return prctl(PR_SET_KEEPCAPS, 1) || as_user() || set(0, all, 0);
}

static int as_user_with_ambient(void)
{
	return prctl(PR_SET_KEEPCAPS, 1) || as_user() || set(0, all, BIT(CAP_KILL)) || amb(PR_CAP_AMBIENT_RAISE, CAP_KILL);
}

static int as_root(void) { return 0; }
static int as_lesser_root(void) { return set(0, 0, 0); }
static int as_bounded_root(void) { return prctl(PR_CAPBSET_DROP, CAP_KILL); }
static int as_no_root(void) { return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT); }
static int as_lesser_root_for_good(void) { return set(0, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static int as_effective_root_for_good(void) { return setresuid(U, 0, 0) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static int as_root_in_name(void) { return setresgid(0, 0, 0) || setresuid(0, U, U); }

static void exec_of_plain_files(void **state)
{
	char want[128];

	need_root();
	for (int c = 0; c <= 40; c++)
		if (prctl(PR_CAPBSET_READ, c) == 1 && !(all & BIT(c)))
			skip(); /* an unusual root */
	expect_after(as_user, self, "0 0 0 0 0\n");
	expect_after(as_user_keeping, self, "0 0 0 0 0\n");
	expect_after(as_user_with_ambient, self, "20 20 20 20 0\n");
	snprintf(want, sizeof(want), "%llx %llx 0 0 0\n", (unsigned long long)all, (unsigned long long)all);
	expect_after(as_root, self, want);
	expect_after(as_lesser_root, self, want); /* a new program of root has everything */
	expect_after(as_lesser_root_for_good, self, "0 0 0 0 0\n");
	snprintf(want, sizeof(want), "%llx %llx 0 0 0\n", (unsigned long long)(all & ~BIT(CAP_KILL)), (unsigned long long)(all & ~BIT(CAP_KILL)));
	expect_after(as_bounded_root, self, want);
	expect_after(as_no_root, self, "0 0 0 0 0\n");
	snprintf(want, sizeof(want), "0 %llx 0 0 1\n", (unsigned long long)all);
	expect_after(as_root_in_name, self, want);
	snprintf(want, sizeof(want), "%llx %llx 0 0 1\n", (unsigned long long)all, (unsigned long long)all);
	if (kernel_at_least(6, 18))
		expect_after(as_effective_root_for_good, self, want);
}

static int user_with_inheritable(void)
{
	return prctl(PR_SET_KEEPCAPS, 1) || as_user() || set(0, all, BIT(CAP_CHOWN)) || set(0, 0, BIT(CAP_CHOWN));
}

static int user_without_new_privs(void) { return as_user() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }
static int user_bounded(void) { return prctl(PR_CAPBSET_DROP, CAP_KILL) || as_user(); }

/* ./program with these capabilities of its own. */
static void give(uint64_t permitted, uint64_t inheritable, bool effective)
{
	struct vfs_cap_data d = { .magic_etc = VFS_CAP_REVISION_2 | (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0),
				  .data = { { (uint32_t)permitted, (uint32_t)inheritable },
					    { (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) } } };

	if (setxattr("program", XATTR_NAME_CAPS, &d, sizeof(d), 0) < 0) {
		unlink("program");
		skip(); /* where the file system has none */
	}
}

static void capabilities_of_files(void **state)
{
	char cmd[5000];

	need_root();
	ASSERT_OK(chmod(".", 0755));
	snprintf(cmd, sizeof(cmd), "cp '%s' program && chmod 755 program", self);
	assert_int_equal(system(cmd), 0);
	give(BIT(CAP_KILL), 0, true);
	expect_after(as_user, "./program", "20 20 0 0 1\n");
	expect_after(user_without_new_privs, "./program", "0 0 0 0 1\n");
	expect_after(user_bounded, "./program", "exec: 1\n");
	expect_after(as_user_with_ambient, "./program", "20 20 20 0 1\n");
	give(BIT(CAP_KILL), 0, false);
	expect_after(as_user, "./program", "0 20 0 0 1\n");
	expect_after(user_bounded, "./program", "0 0 0 0 0\n");
	give(0, BIT(CAP_CHOWN), true);
	expect_after(as_user, "./program", "0 0 0 0 1\n");
	expect_after(user_with_inheritable, "./program", "1 1 1 0 1\n");
	ASSERT_OK(unlink("program"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),
		cmocka_unit_test(sets_shrink),
		cmocka_unit_test(the_bounding_set),
		cmocka_unit_test(changes_of_user_ids),
		cmocka_unit_test(ambient_capabilities),
		cmocka_unit_test(exec_of_plain_files),
		cmocka_unit_test(capabilities_of_files),
	};

	if (argc > 1 && !strcmp(argv[1], "tell"))
		return tell();
	if (!realpath("/proc/self/exe", self))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
