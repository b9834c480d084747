/* SPDX-License-Identifier: MIT */
/*
 * Life: the front makes it and holds a reference, the first process holds one until it has ended, the console until no program
 * has it open. So it may outlive the front (which was killed) as well as the process.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/ref.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/task.h"
#include "emul/vfs/tty/tty.h"
#include "vmm/console.h"
#include "vmm/instance_internal.h"
#include "vmm/mounts.h"
#include "vmm/program.h"

#define STATUS_NOT_FOUND 127
#define STATUS_NOT_EXECUTABLE 126

struct program {
	struct ref ref;
	/* constant once it is loaded */
	struct instance *in;
	struct task *first;       /* counted */
	int news_fd;
	bool has_shell;
	struct console *console;  /* the front's until it leaves; NULL: none */
	/* any thread */
	_Atomic bool wants_terminal, ended;
	_Atomic int stopped, status;
};

static void program_put(struct program *p)
{
	if (!ref_put(&p->ref))
		return;
	task_put(p->first);
	close(p->news_fd);
	free(p);
}

/* --- what happens to it ---------------------------------------------------------------------------------- */

static void tell_news(struct program *p)
{
	uint64_t one = 1;

	if (write(p->news_fd, &one, sizeof(one)) < 0)
		log_warn("cannot report what the program does");
}

void program_exited(struct proc *proc, int status)
{
	struct program *p = proc->program;

	atomic_store(&p->status, status);
	atomic_store(&p->ended, true);
	tell_news(p);
	program_put(p);
}

/* Only what its terminal did to it: who stops it from inside will continue it from inside. */
void program_stopped(struct proc *proc, int why, int sig)
{
	struct program *p = proc->program;

	if (why != CLD_STOPPED || !p->has_shell || (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU))
		return;
	atomic_store(&p->stopped, sig);
	tell_news(p);
}

static void wants_terminal(void *arg)
{
	struct program *p = arg;

	atomic_store(&p->wants_terminal, true);
	tell_news(p);
}

static void console_gone(void *arg)
{
	program_put(arg);
}

int program_news_fd(struct program *p)
{
	return p->news_fd;
}

struct program_news program_news(struct program *p)
{
	struct program_news news;
	uint64_t n;

	if (read(p->news_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("cannot hear what the program does");
	news.wants_terminal = atomic_exchange(&p->wants_terminal, false);
	news.stopped = atomic_exchange(&p->stopped, 0);
	news.ended = atomic_load(&p->ended);
	news.status = atomic_load(&p->status);
	return news;
}

/* --- what it is given -------------------------------------------------------------------------------------- */

static int give_descriptor(struct program *p, struct fdtab *tab, int fd, int number)
{
	AUTO(file) f = NULL;
	int r;

	if (p->console && console_is(p->console, fd))
		r = console_open(p->console, p->in->env.vfs, fd, &f);
	else
		r = hostfd_new(fd, &f);
	return r < 0 ? r : fdtab_replace(tab, number, f, false, INT_MAX);
}

/* What is open here without close-on-exec. It is the program's from now on. */
static int inherit_descriptors(struct program *p, struct fdtab *tab)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (e = readdir(d))) {
		int fd = atoi(e->d_name), flags;

		if (e->d_name[0] == '.' || fd == dirfd(d))
			continue;
		flags = fcntl(fd, F_GETFD);
		if (flags < 0 || (flags & FD_CLOEXEC))
			continue;
		r = give_descriptor(p, tab, fd, fd);
		if (fd > 2)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	closedir(d);
	return r < 0 ? r : 0;
}

static int give_descriptors(struct program *p, const struct program_config *cfg, struct fdtab *tab)
{
	int r = 0;

	if (!cfg->fds)
		return inherit_descriptors(p, tab);
	for (unsigned i = 0; i < cfg->nfds && r >= 0; i++)
		r = give_descriptor(p, tab, cfg->fds[i], cfg->numbers[i]);
	return r < 0 ? r : 0;
}

/* The caller's terminal becomes the program's. */
static int give_console(struct program *p, const struct program_config *cfg, const struct cred *cred, struct instance_error *err)
{
	struct fs_ctx c = { .vfs = p->in->env.vfs, .cred = cred, .limit_fsize = UINT64_MAX };
	struct console_user user = { .wanted = wants_terminal, .gone = console_gone, .arg = p };
	int r = cfg->console < 0 ? 0 : console_new(&c, cfg->console, &user, &p->console);

	if (p->console)
		ref_get(&p->ref);
	return r < 0 ? instance_fail(err, STATUS_VMRUN, "cannot use the terminal: %s", strerror(-r)) : 0;
}

/* --- which file it is ------------------------------------------------------------------------------------------ */

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

	if (!*name)
		return -ENOENT;
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

static int load(struct program *p, const struct program_config *cfg, struct instance_error *err)
{
	struct exec_args args = { .argv = cfg->argv, .envp = cfg->envp };
	const char *name = cfg->argv[0];
	int r;

	args.argc = count(cfg->argv);
	args.envc = count(cfg->envp);
	r = exec_along_path(p->first, name, env_value(cfg->envp, "PATH"), &args);
	if (r == 0 || r == -EINTR) /* killed meanwhile (vmctl stop): it ends so as soon as it runs */
		return 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return instance_fail(err, STATUS_NOT_FOUND, "%s: not found%s", name,
			    strchr(name, '/') ? ": give a path that exists inside (see --rootfs and --volume)" :
						" along PATH: give its path, or set PATH");
	if (r == -ENOEXEC)
		return instance_fail(err, STATUS_NOT_EXECUTABLE, "%s: not an x86-64 Linux program or script", name);
	if (r == -EACCES)
		return instance_fail(err, STATUS_NOT_EXECUTABLE, "%s: permission denied: is it an executable file?", name);
	if (r == -ENOMEM || r == -EFAULT) /* the latter: its arguments had no place */
		return instance_fail(err, STATUS_VMRUN, "%s: no memory for it: raise --memory, or what the host permits (ulimit -v)", name);
	return instance_fail(err, STATUS_NOT_EXECUTABLE, "%s: cannot run: %s", name, strerror(-r));
}

/* --- its life ---------------------------------------------------------------------------------------------------- */

/* facts.cred is consumed. */
static int make_first(struct program *p, const struct program_config *cfg, struct first_facts *facts, struct instance_error *err)
{
	AUTO_PATH root = PATH_INIT, cwd = PATH_INIT, home = PATH_INIT;
	struct task *t;
	int r = mounts_cwd(p->in, cfg, &cwd, &home, err);

	if (r < 0) {
		cred_put(facts->cred);
		return r;
	}
	vfs_root(p->in->env.vfs, &root);
	facts->root = &root;
	facts->cwd = &cwd;
	facts->home = &home;
	r = task_first(&p->in->env, facts, &t);
	if (r < 0)
		return instance_fail(err, STATUS_VMRUN, "cannot create a process: %s", strerror(-r));
	ref_get(&p->ref); /* the process's */
	p->first = task_get(t);
	if (p->console && cfg->controlled)
		ctty_give(t->proc, console_tty(p->console));
	return 0;
}

/* There is a process without a program: it ends at once. */
static void abandon(struct program *p)
{
	task_exit(p->first, STATUS_VMRUN << 8);
	if (task_start(p->first) < 0)
		task_teardown(p->first);
}

static int build(struct program *p, const struct program_config *cfg, struct instance_error *err)
{
	AUTO(fdtab) fds = fdtab_new();
	struct cred *cred = cfg->has_user ? cred_of_user(cfg->uid, cfg->gid) : cred_from_host();
	struct first_facts facts = { .cred = cred, .fds = fds, .umask = cfg->umask, .like = cfg->like, .limits = cfg->limits, .has_shell = cfg->has_shell,
				     .leads_session = cfg->leads_session, .leads_group = cfg->leads_group,
				     .ignored = cfg->ignored, .blocked = cfg->blocked, .program = p };
	int r;

	if (!fds || !cred) {
		cred_put(cred);
		return instance_fail(err, STATUS_VMRUN, "out of memory");
	}
	r = give_console(p, cfg, cred, err);
	if (r == 0) {
		r = give_descriptors(p, cfg, fds);
		if (p->console)
			console_opened(p->console);
		if (r < 0)
			r = instance_fail(err, STATUS_VMRUN, "cannot take over open descriptors: %s%s", strerror(-r), r == -EMFILE ? ": permit more (ulimit -n)" : "");
	}
	if (r < 0) {
		cred_put(cred);
		return r;
	}
	if (make_first(p, cfg, &facts, err) < 0)
		return -1;
	if (load(p, cfg, err) == 0)
		return 0;
	abandon(p);
	return -1;
}

int program_new(struct instance *in, const struct program_config *cfg, struct program **ret, struct instance_error *err)
{
	struct program *p = calloc(1, sizeof(*p));

	if (!p)
		return instance_fail(err, STATUS_VMRUN, "out of memory");
	ref_init(&p->ref);
	p->in = in;
	p->has_shell = cfg->has_shell;
	p->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->news_fd < 0) {
		free(p);
		return instance_fail(err, STATUS_VMRUN, "eventfd: %s", strerror(errno));
	}
	if (build(p, cfg, err) < 0) {
		program_leave(p, false);
		return -1;
	}
	*ret = p;
	return 0;
}

int program_start(struct program *p, struct instance_error *err)
{
	int r = task_start(p->first);

	if (r == 0)
		return 0;
	abandon(p);
	return instance_fail(err, STATUS_VMRUN, "cannot start a virtual CPU: %s", strerror(-r));
}

static void hang_up(struct program *p)
{
	program_signal_front(p, SIGHUP);
	program_signal_front(p, SIGCONT);
}

void program_leave(struct program *p, bool hangup)
{
	if (!p)
		return;
	hangup = hangup && !atomic_load(&p->ended);
	if (p->console)
		console_detach(steal(p->console), hangup);
	else if (hangup)
		hang_up(p);
	program_put(p);
}

pid_t program_pid(struct program *p)
{
	return p->first->proc->pid;
}

struct console *program_console(struct program *p)
{
	return p->console;
}

void program_signal(struct program *p, int sig)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_USER };

	signal_send_proc(p->first->proc, sig, &info);
}

void program_signal_front(struct program *p, int sig)
{
	pid_t session, pgid = 0;

	if (p->console)
		tty_owner(console_tty(p->console), &session, &pgid);
	signal_send_group(pgid ? pgid : (pid_t)proc_getpgid(p->first, 0), sig, NULL);
}
