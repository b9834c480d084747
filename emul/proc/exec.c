/* SPDX-License-Identifier: MIT */
/*
 * execve(2). The new program is built completely in an address space of its own; only when nothing
 * can fail any more do the other threads die and the task moves into it. So every error leaves the
 * caller as it was, where Linux would have had to kill it.
 *
 * Linux: fs/exec.c, fs/binfmt_elf.c, fs/binfmt_script.c; man 2 execve.
 */
#include <limits.h>
#include <linux/ptrace.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/aio.h"
#include "emul/proc/exec_internal.h"
#include "emul/proc/lifecycle.h"

#define SCRIPT_DEPTH 5
#define STACK_RANDOM ((uint64_t)16 << 30)
#define MMAP_RANDOM ((uint64_t)1 << 40)
#define BRK_RANDOM ((uint64_t)32 << 20)
#define DYN_BASE page_down(USER_END / 3 * 2)
#define STACK_GAP_MIN ((uint64_t)128 << 20)
#define STACK_GUARD ((uint64_t)1 << 20)
#define PERSONALITY_NO_RANDOM 0x0040000

/* Everything that the new program will be, until it replaces the old one. */
struct new_program {
	struct file *file;   /* of the ELF program, not of the script */
	bool denied;         /* nobody may write to it */
	bool hidden;         /* its name will not lead to it: the descriptor closes with exec */
	char *name;          /* as given: AT_EXECFN */
	char comm[TASK_COMM_LEN];
	struct mm *mm;
	gva_t entry, rsp;
	uint64_t *auxv;
	size_t auxv_len;
	struct cred *cred;
	bool secure;         /* AT_SECURE */
};

static struct path program_path(const struct new_program *n)
{
	return (struct path){ n->file->path.mnt, n->file->path.dentry };
}

static void new_program_free(struct new_program *n)
{
	if (n->denied) {
		struct path p = program_path(n);

		vfs_allow_write(&p);
	}
	file_put(n->file);
	mm_put(n->mm);
	free(n->name);
	free(n->auxv);
	cred_put(n->cred);
}

static uint64_t random_below(uint64_t range)
{
	uint64_t x = 0;

	if (getrandom(&x, sizeof(x), 0) != sizeof(x))
		return 0;
	return page_down(x % range);
}

/* --- "#!" ------------------------------------------------------------------------------------ */

static char *skip_blank(char *s)
{
	return s + strspn(s, " \t");
}

int exec_parse_script(char *head, ssize_t len, char **ret_interp, char **ret_arg)
{
	char *line, *end;

	head[len] = '\0';
	line = head + 2;
	end = strchr(line, '\n');
	if (!end && len == SCRIPT_HEAD && !strpbrk(skip_blank(line), " \t"))
		return -ENOEXEC; /* the interpreter's name is cut off */
	if (end)
		*end = '\0';
	line = skip_blank(line);
	for (size_t n = strlen(line); n && strchr(" \t", line[n - 1]); n--)
		line[n - 1] = '\0';
	if (!*line)
		return -ENOEXEC;
	*ret_interp = line;
	line += strcspn(line, " \t");
	if (*line)
		*line++ = '\0';
	line = skip_blank(line);
	*ret_arg = *line ? line : NULL;
	return 0;
}

static ssize_t read_head(struct file *f, char *buf, size_t size)
{
	struct uio u;
	off_t pos = 0;
	ssize_t n;

	uio_init_host(&u, buf, size);
	n = file_read(f, &u, &pos);
	uio_fini(&u);
	return n;
}

/* Follows scripts to the ELF program behind them; args get the interpreters in front. */
static int resolve_scripts(struct task *t, struct new_program *n, struct exec_args *args)
{
	char head[SCRIPT_HEAD + 1], *interp, *arg;
	const char *script = n->name;
	char *owned = NULL;
	int r = 0;

	for (int depth = 0;; depth++) {
		ssize_t len = read_head(n->file, head, SCRIPT_HEAD);

		if (len < 0)
			r = (int)len;
		if (len < 2 || head[0] != '#' || head[1] != '!')
			break;
		r = depth < SCRIPT_DEPTH ? exec_parse_script(head, len, &interp, &arg) : -ELOOP;
		if (r == 0 && n->hidden)
			r = -ENOENT;
		if (r == 0)
			r = exec_args_unshift_script(args, interp, arg, script);
		if (r < 0)
			break;
		free(owned);
		script = owned = strdup(interp);
		file_put(n->file);
		n->file = NULL;
		r = owned ? vfs_open_exec(&t->fsc, NULL, owned, WALK_FOLLOW, &n->file) : -ENOMEM;
		if (r < 0)
			break;
	}
	free(owned);
	return r;
}

/* --- the new address space -------------------------------------------------------------------- */

static void place_regions(struct task *t, struct mm *mm, gva_t *ret_stack_top)
{
	bool fixed = t->proc->personality & PERSONALITY_NO_RANDOM;
	uint64_t stack = proc_rlimit(t->proc, RLIMIT_STACK);
	uint64_t gap = MIN(MAX(stack, STACK_GAP_MIN), USER_END / 6 * 5);

	*ret_stack_top = USER_END - (fixed ? 0 : random_below(STACK_RANDOM));
	gap += STACK_GUARD + (fixed ? 0 : STACK_RANDOM);
	mm_set_mmap_base(mm, page_down(USER_END - gap - (fixed ? 0 : random_below(MMAP_RANDOM))));
	atomic_store(&mm_limits(mm)->stack, stack);
	atomic_store(&mm_limits(mm)->as, proc_rlimit(t->proc, RLIMIT_AS));
	atomic_store(&mm_limits(mm)->data, proc_rlimit(t->proc, RLIMIT_DATA));
	atomic_store(&mm_limits(mm)->memlock, proc_rlimit(t->proc, RLIMIT_MEMLOCK));
}

/* The program interpreter (ld.so), mapped wherever there is room. */
static int map_interp(struct task *t, struct mm *mm, const char *name, struct elf_map *ret)
{
	AUTO(file) f = NULL;
	struct elf_file e;
	int r = vfs_open_exec(&t->fsc, NULL, name, WALK_FOLLOW, &f);

	if (r < 0)
		return r;
	r = elf_read(f, &e);
	if (r < 0)
		return r == -ENOEXEC ? -ELIBBAD : r;
	r = elf_map(mm, &e, 0, ret);
	elf_free(&e);
	return r;
}

static void fill_layout(struct mm *mm, const struct elf_map *m, bool fixed)
{
	struct mm_layout *l = mm_layout(mm);
	gva_t brk = page_up(m->end_bss) + (fixed ? 0 : random_below(BRK_RANDOM));

	l->start_code = m->start_code;
	l->end_code = m->end_code;
	l->start_data = m->start_data;
	l->end_data = m->end_data;
	l->start_brk = brk;
	mm_set_brk_start(mm, brk);
}

static int build_space(struct task *t, struct new_program *n, const struct elf_file *elf, const struct exec_args *args)
{
	bool fixed = t->proc->personality & PERSONALITY_NO_RANDOM;
	struct elf_map prog, interp = { 0 };
	struct stack_plan plan = { .exec_name = n->name, .elf = elf, .program = &prog, .cred = n->cred,
				   .platform = t->env->platform, .secure = n->secure };
	gva_t dyn = elf->interp ? DYN_BASE + (fixed ? 0 : random_below(MMAP_RANDOM)) : 0;
	int r;

	place_regions(t, n->mm, &plan.top);
	r = mm_setup_stack(n->mm, plan.top, (uint64_t)128 << 10, elf->exec_stack);
	if (r == 0)
		r = elf_map(n->mm, elf, dyn, &prog);
	if (r == 0 && elf->interp)
		r = map_interp(t, n->mm, elf->interp, &interp);
	if (r < 0)
		return r;
	fill_layout(n->mm, &prog, fixed);
	plan.interp_base = interp.bias;
	plan.vdso = mm_layout(n->mm)->vdso = mm_map_vdso(n->mm, plan.top);
	n->entry = elf->interp ? interp.entry : prog.entry;
	return stack_build(n->mm, &plan, args, &n->rsp, &n->auxv, &n->auxv_len);
}

static int build_program(struct task *t, struct new_program *n, const struct exec_args *args)
{
	struct elf_file elf;
	int r = elf_read(n->file, &elf);

	if (r < 0)
		return r;
	r = cred_for_exec(t, n->file, &n->cred, &n->secure);
	if (r == 0) {
		n->mm = mm_new(t->env->phys);
		r = n->mm ? build_space(t, n, &elf, args) : -ENOMEM;
	}
	elf_free(&elf);
	return r;
}

/* --- the point of no return --------------------------------------------------------------------- */

static void set_exe(struct task *t, struct new_program *n)
{
	struct proc *p = t->proc;
	struct path old, now = program_path(n);
	uint64_t *old_auxv;

	path_get(&now);
	n->denied = false; /* handed over */
	mutex_lock(&p->lock);
	old = p->exe;
	p->exe = now;
	old_auxv = p->auxv;
	p->auxv = steal(n->auxv);
	p->auxv_len = n->auxv_len;
	mutex_unlock(&p->lock);
	vfs_allow_write(&old);
	path_put(&old);
	free(old_auxv);
}

/* Whoever else has the table keeps it as it is. */
static void own_descriptors(struct task *t)
{
	struct fdtab *copy = fdtab_is_shared(t->fds) ? fdtab_copy(t->fds, ~0u) : NULL;

	if (copy) { /* without memory the shared one is better than none */
		struct fdtab *old;

		mutex_lock(&t->lock);
		old = t->fds;
		t->fds = copy;
		t->fsc.fowner = copy;
		mutex_unlock(&t->lock);
		fdtab_put(old);
	}
	fdtab_close_on_exec(t->fds);
}

static int enter_program(struct task *t, struct new_program *n)
{
	struct mm *old;

	if (t->vcpu) {
		int r = t->env->platform->ops->vcpu_attach(t->vcpu, mm_aspace(n->mm));

		if (r < 0)
			return r;
		t->env->platform->ops->vcpu_reset_xstate(t->vcpu);
	}
	usage_mm_gone(t);
	mutex_lock(&t->lock);
	old = t->mm;
	t->mm = steal(n->mm);
	t->exec_id++;
	mutex_unlock(&t->lock);
	mm_put(old);
	t->regs = (struct uregs){ .rip = n->entry, .rsp = n->rsp, .rflags = 0x202, .orig_rax = t->regs.orig_rax };
	t->clear_child_tid = t->robust_list = 0;
	return 0;
}

/* begin_new_exec(): whether others may look into it is decided anew. */
static void set_cred(struct task *t, struct new_program *n)
{
	const struct cred *c = t->fsc.cred;

	t->proc->dumpable = c->euid == c->uid && c->egid == c->gid;
	if (n->secure)
		t->pdeath_signal = 0;
	task_set_cred(t, steal(n->cred));
}

static int commit(struct task *t, struct new_program *n)
{
	int r;

	r = task_kill_other_threads(t);
	if (r < 0)
		return r;
	robust_list_exit(t);
	futex_exit_pi(t);
	if (t->clear_child_tid && mm_is_shared(t->mm)) {
		put_guest_u32(t->mm, t->clear_child_tid, 0);
		futex_wake_simple(t->mm, t->clear_child_tid, 1, true);
	}
	r = enter_program(t, n);
	if (r < 0)
		return r;
	proc_exec_done(t);
	set_exe(t, n);
	own_descriptors(t);
	signal_exec(t);
	set_cred(t, n);
	proc_timers_exit(t->proc);
	aio_exit(t->proc);
	task_set_comm(t, n->comm);
	return 0;
}

/* Of a program that is only a descriptor, the name of its file. */
static void set_names(struct task *t, struct new_program *n, const struct exec_target *x)
{
	struct path p = program_path(n);
	const char *name = n->name, *slash;
	char text[PATH_MAX];

	if (x->fd >= 0 && !*x->name && path_is_set(&p) && vfs_path_text(&p, NULL, text, sizeof(text), true) > 0)
		name = text;
	slash = strrchr(name, '/');
	snprintf(n->comm, TASK_COMM_LEN, "%.15s", slash ? slash + 1 : name);
	n->hidden = x->fd >= 0 && x->name[0] != '/' && fdtab_get_cloexec(t->fds, x->fd) > 0;
}

int task_exec_open(struct task *t, const struct exec_target *x, struct file **ret)
{
	return vfs_open_exec(&t->fsc, x->at, x->name, x->walk, ret);
}

/* The scripts' own files are as they are; the program must not change while it runs. */
static int find_program(struct task *t, struct new_program *n, struct exec_args *args)
{
	int r = resolve_scripts(t, n, args);
	struct path p;

	if (r < 0)
		return r;
	p = program_path(n);
	r = vfs_deny_write(&p);
	n->denied = r == 0;
	return r;
}

int task_exec_file(struct task *t, const struct exec_target *x, struct file *f, const struct exec_args *a)
{
	struct new_program n = { .file = file_get(f), .name = exec_display_name(x) };
	struct exec_args args = { 0 };
	pid_t old_tid = t->tid;
	int r = n.name ? exec_args_copy(a, &args) : -ENOMEM;

	if (r == 0) {
		set_names(t, &n, x);
		r = find_program(t, &n, &args);
	}
	if (r == 0)
		r = build_program(t, &n, &args);
	if (r == 0)
		r = commit(t, &n);
	log_dbg(PROC, "exec %s: %d", x->name, r);
	exec_args_free(&args);
	new_program_free(&n);
	if (r == 0)
		trace_event(t, PTRACE_EVENT_EXEC, (unsigned long)old_tid);
	return r;
}

int task_exec(struct task *t, const char *name, const struct exec_args *a)
{
	const struct exec_target x = { .fd = -1, .name = name, .walk = WALK_FOLLOW };
	AUTO(file) f = NULL;
	int r = task_exec_open(t, &x, &f);

	return r < 0 ? r : task_exec_file(t, &x, f, a);
}
