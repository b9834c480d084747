/* SPDX-License-Identifier: MIT */
/*
 * Boot, in order: waiting and timers, the machine, memory, files, tasks, the first program.
 * There is no tear-down in steps: when the first program has ended the host process exits, and the
 * host takes VM, memory and descriptors back at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/mm/usercopy.h"
#include "emul/net/net.h"
#include "emul/proc/task.h"
#include "emul/syscalls/syscalls.h"
#include "emul/vfs/tty/tty.h"
#include "vmm/console.h"
#include "vmm/instance.h"
#include "vmm/mounts.h"
#include "vmm/platform_kvm.h"

#define STATUS_NOT_FOUND 127
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_VMRUN 125

struct instance {
	struct instance_env env;
	struct utsname uts;
	struct task *first;
	int done_fd, news_fd;
	_Atomic bool wants_terminal;
	_Atomic int stopped;
	struct console *console;
	_Atomic int status;
};

static int fail(struct instance_error *err, int status, const char *fmt, ...)
{
	va_list ap;

	err->status = status;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -1;
}

static void last_exit(struct instance_env *env, int status)
{
	struct instance *in = container_of(env, struct instance, env);
	uint64_t one = 1;

	atomic_store(&in->status, status);
	if (write(in->done_fd, &one, sizeof(one)) < 0)
		log_warn("cannot report the end of the program");
}

static void tell_news(struct instance *in)
{
	uint64_t one = 1;

	if (write(in->news_fd, &one, sizeof(one)) < 0)
		log_warn("cannot report what the program does");
}

/* Only what its terminal did to it: who stops it from inside will continue it from inside. */
static void first_stop(struct instance_env *env, int why, int sig)
{
	struct instance *in = container_of(env, struct instance, env);

	if (why != CLD_STOPPED || !env->has_shell || (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU))
		return;
	atomic_store(&in->stopped, sig);
	tell_news(in);
}

static void wants_terminal(void *arg)
{
	struct instance *in = arg;

	atomic_store(&in->wants_terminal, true);
	tell_news(in);
}

static uint64_t default_memory(void)
{
	struct sysinfo si;

	if (sysinfo(&si))
		return (uint64_t)1 << 30;
	return ((uint64_t)si.totalram * si.mem_unit / 4) & HUGE_MASK;
}

static int boot_machine(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	struct instance_env *env = &in->env;
	char why[384] = "";

	if (wait_boot() < 0 || usercopy_boot() < 0)
		return fail(err, STATUS_VMRUN, "cannot install signal handlers: %s", strerror(errno));
	env->memory_limit = cfg->memory ? cfg->memory : default_memory();
	env->platform = platform_kvm_new(&(struct platform_kvm_config){ .no_rewrite = cfg->no_rewrite, .err = why, .err_size = sizeof(why) });
	if (!env->platform)
		return fail(err, STATUS_VMRUN, "%s", why);
	env->phys = phys_new(env->platform, env->memory_limit);
	env->vfs = env->phys ? vfs_new(env->phys) : NULL;
	if (!env->vfs)
		return fail(err, STATUS_VMRUN, "out of memory");
	return 0;
}

static int boot_tasks(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	struct instance_env *env = &in->env;

	if (uname(&in->uts) < 0)
		return fail(err, STATUS_VMRUN, "uname: %s", strerror(errno));
	env->uts = &in->uts;
	env->task_run = task_run;
	env->on_last_exit = last_exit;
	env->on_first_stop = first_stop;
	env->has_shell = cfg->has_shell;
	env->max_tasks = 4096;
	if (sched_getaffinity(0, sizeof(env->cpus), &env->cpus) < 0)
		CPU_SET(0, &env->cpus);
	if (tasks_boot(env) < 0 || net_boot(env, &cfg->net) < 0)
		return fail(err, STATUS_VMRUN, "out of memory");
	return 0;
}

/* The descriptors that the caller left open for the program: all without close-on-exec, as execve would. */
static int inherit_descriptors(struct instance *in, struct fdtab *tab)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		int fd = atoi(e->d_name), flags;
		AUTO(file) f = NULL;

		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		flags = fcntl(fd, F_GETFD);
		if (flags < 0 || (flags & FD_CLOEXEC))
			continue;
		if (in->console && console_is(in->console, fd))
			r = console_open(in->console, in->env.vfs, fd, &f);
		else
			r = hostfd_new(fd, &f);
		if (r == 0)
			r = fdtab_replace(tab, fd, f, false, INT_MAX);
		if (fd > 2)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

static const char *env_value(char **envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return *envp + n + 1;
	return NULL;
}

static int count(char **v)
{
	int n = 0;

	while (v[n])
		n++;
	return n;
}

static bool is_elf(struct task *t, const char *name)
{
	const struct open_how how = { .flags = O_RDONLY };
	AUTO(file) f = NULL;
	char magic[4] = "";
	struct uio u;
	ssize_t n = -1;

	if (vfs_open(&t->fsc, NULL, name, &how, &f) < 0)
		return false;
	uio_init_host(&u, magic, sizeof(magic));
	n = file_read(f, &u, NULL);
	uio_fini(&u);
	return n == sizeof(magic) && !memcmp(magic, "\177ELF", sizeof(magic));
}

/* What execvp(3) does with a file that is no program: it is a script for the shell. */
static int exec_by_shell(struct task *t, const char *name, const struct exec_args *a)
{
	AUTO_FREE char **argv = calloc((size_t)a->argc + 2, sizeof(*argv));
	struct exec_args sh = { .argv = argv, .envp = a->envp, .argc = a->argc + 1, .envc = a->envc };

	if (!argv)
		return -ENOMEM;
	argv[0] = (char *)"/bin/sh";
	argv[1] = (char *)name;
	for (int i = 1; i < a->argc; i++)
		argv[i + 1] = a->argv[i];
	return task_exec(t, "/bin/sh", &sh);
}

static int exec_one(struct task *t, const char *name, const struct exec_args *a)
{
	int r = task_exec(t, name, a);

	return r == -ENOEXEC && !is_elf(t, name) ? exec_by_shell(t, name, a) : r;
}

/* execvp(3) in the instance's own files: the first along PATH that can be run; -EACCES outlives -ENOENT. */
static int exec_along_path(struct task *t, const char *name, const char *path, const struct exec_args *a)
{
	char buf[4096];
	int r = -ENOENT, denied = 0;

	if (strchr(name, '/'))
		return exec_one(t, name, a);
	for (const char *p = path && *path ? path : "/usr/local/bin:/bin:/usr/bin"; p;) {
		const char *end = strchrnul(p, ':');

		if ((size_t)snprintf(buf, sizeof(buf), "%.*s%s%s", (int)(end - p), p, end > p ? "/" : "", name) <
		    sizeof(buf)) {
			r = exec_one(t, buf, a);
			if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
				return r;
			denied |= r == -EACCES;
		}
		p = *end ? end + 1 : NULL;
	}
	return denied ? -EACCES : r;
}

static int load_program(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	struct exec_args args = { .argv = cfg->argv, .envp = cfg->envp };
	const char *name = cfg->argv[0];
	int r;

	args.argc = count(cfg->argv);
	args.envc = count(cfg->envp);
	r = exec_along_path(in->first, name, env_value(cfg->envp, "PATH"), &args);
	if (r == 0)
		return 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return fail(err, STATUS_NOT_FOUND, "%s: not found%s", name,
			    strchr(name, '/') ? ": give a path that exists inside (see --rootfs and --volume)" :
						" along PATH: give its path, or set PATH");
	if (r == -ENOEXEC)
		return fail(err, STATUS_NOT_EXECUTABLE, "%s: not an x86-64 Linux program or script", name);
	if (r == -EACCES)
		return fail(err, STATUS_NOT_EXECUTABLE, "%s: permission denied: is it an executable file?", name);
	return fail(err, STATUS_NOT_EXECUTABLE, "%s: cannot run: %s", name, strerror(-r));
}

/* The caller's terminal becomes the program's. */
static int boot_console(struct instance *in, const struct instance_config *cfg, const struct cred *cred, struct instance_error *err)
{
	struct fs_ctx c = { .vfs = in->env.vfs, .cred = cred, .limit_fsize = UINT64_MAX };
	int r = cfg->console < 0 ? 0 : console_new(&c, cfg->console, wants_terminal, in, &in->console);

	return r < 0 ? fail(err, STATUS_VMRUN, "cannot use the terminal: %s", strerror(-r)) : 0;
}

static int first_task(struct instance *in, const struct instance_config *cfg, struct instance_error *err)
{
	AUTO_PATH root = PATH_INIT, cwd = PATH_INIT;
	AUTO(fdtab) fds = fdtab_new();
	struct cred *cred = cfg->has_user ? cred_of_user(cfg->uid, cfg->gid) : cred_from_host();
	int r;

	if (!fds || !cred)
		return fail(err, STATUS_VMRUN, "out of memory");
	if (boot_console(in, cfg, cred, err) < 0)
		return -1;
	r = inherit_descriptors(in, fds);
	if (r < 0)
		return fail(err, STATUS_VMRUN, "cannot take over open descriptors: %s", strerror(-r));
	vfs_root(in->env.vfs, &root);
	if (mounts_cwd(&in->env, cfg, &cwd) < 0)
		return fail(err, STATUS_VMRUN, "%s: no such directory inside: choose one with --cwd", cfg->cwd);
	r = task_first(&in->env, cred, &root, &cwd, fds, &in->first);
	if (r < 0)
		return fail(err, STATUS_VMRUN, "cannot create the first process: %s", strerror(-r));
	if (in->console && tcgetsid(cfg->console) == getsid(0)) /* the caller's controlling terminal, not just any */
		ctty_give(in->first->proc, console_tty(in->console));
	return 0;
}

/* The program has its own limits by now: this one is the VMM's, which holds a host descriptor for each file in use. */
static void raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		log_warn("the limit of open files stays low: %s", strerror(errno));
}

/* Threads come and go with the program's: heaps of their own would be made, and trimmed page by page, with each. */
static void set_heap_policy(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

int instance_new(const struct instance_config *cfg, struct instance **ret, struct instance_error *err)
{
	struct instance *in = calloc(1, sizeof(*in));

	if (!in)
		return fail(err, STATUS_VMRUN, "out of memory");
	set_heap_policy();
	in->done_fd = eventfd(0, EFD_CLOEXEC);
	in->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->done_fd < 0 || in->news_fd < 0)
		return fail(err, STATUS_VMRUN, "eventfd: %s", strerror(errno));
	if (boot_machine(in, cfg, err) < 0 || mounts_setup(&in->env, cfg, err) < 0 || boot_tasks(in, cfg, err) < 0 ||
	    first_task(in, cfg, err) < 0 || load_program(in, cfg, err) < 0)
		return -1;
	raise_descriptor_limit();
	*ret = in;
	return 0;
}

int instance_start(struct instance *in, struct instance_error *err)
{
	int r = task_start(in->first);

	return r < 0 ? fail(err, STATUS_VMRUN, "cannot start a virtual CPU: %s", strerror(-r)) : 0;
}

int instance_done_fd(struct instance *in)
{
	return in->done_fd;
}

int instance_status(struct instance *in)
{
	return atomic_load(&in->status);
}

void instance_signal(struct instance *in, int sig)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_USER };

	signal_send_proc(in->first->proc, sig, &info);
}

void instance_signal_front(struct instance *in, int sig)
{
	pid_t session, pgid = 0;

	if (in->console)
		tty_owner(console_tty(in->console), &session, &pgid);
	signal_send_group(pgid ? pgid : (pid_t)proc_getpgid(in->first, 0), sig, NULL);
}

struct console *instance_console(struct instance *in)
{
	return in->console;
}

int instance_news_fd(struct instance *in)
{
	return in->news_fd;
}

struct instance_news instance_news(struct instance *in)
{
	uint64_t n;

	if (read(in->news_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("cannot hear what the program does");
	return (struct instance_news){ .wants_terminal = atomic_exchange(&in->wants_terminal, false),
				       .stopped = atomic_exchange(&in->stopped, 0) };
}

void instance_print_stats(struct instance *in, int fd)
{
	stats_print(fd, in->env.platform);
}

const char *instance_platform_name(struct instance *in)
{
	return in->env.platform->ops->name;
}
