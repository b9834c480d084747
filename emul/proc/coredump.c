/* SPDX-License-Identifier: MIT */
/*
 * See coredump.h. The file is written from front to back: ELF header, program headers, notes, and the areas that
 * /proc/PID/coredump_filter takes, by default: private memory that was written to, shared anonymous memory, the first page of
 * ELF files; and the vDSO. Memory that never was touched stays a hole.
 */
#include "emul/proc/coredump.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/procfs.h>
#undef PAGE_SHIFT
#undef PAGE_SIZE
#undef PAGE_MASK

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/sysctl.h"
#include "emul/mm/memobj.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/ptrace.h"
#include "emul/vfs/mapname.h"

#define CHUNK ((size_t)64 << 10)
#define THREADS_MAX 4096

struct dump {
	struct task *t;
	struct mm *mm;
	struct file *file;
	off_t pos;
	uint64_t limit;       /* RLIMIT_CORE: nothing is written beyond */
	bool failed;
	struct vma_list areas;
	uint64_t *filesz;     /* of each area, how much of it is in the file */
	/* the notes, built before anything is written */
	char *notes;
	size_t notes_len;
	FILE *note_file;
};

bool coredump_wanted_locked(struct proc *p)
{
	return p->dumpable && !p->group_exit && !p->exec_task && p->limits[RLIMIT_CORE].rlim_cur >= PAGE_SIZE;
}

/* --- what is dumped ---------------------------------------------------------------------------------------------- */

static bool is_file(const struct vma_info *v)
{
	char name[2] = "";

	if (v->obj)
		memobj_name(v->obj, name, sizeof(name));
	return name[0] == '/';
}

static bool begins_as_elf(struct dump *d, const struct vma_info *v)
{
	char magic[SELFMAG];

	return v->off == 0 && (v->prot & PROT_READ) && mm_access_remote(d->mm, v->start, magic, sizeof(magic), false) == sizeof(magic) &&
	       !memcmp(magic, ELFMAG, SELFMAG);
}

static uint64_t dumped_size(struct dump *d, const struct vma_info *v)
{
	uint64_t size = v->end - v->start;
	unsigned filter = d->t->proc->dump_filter;

	if (v->flags & VMA_VDSO)
		return size;
	if (v->flags & (VMA_VVAR | VMA_DONTDUMP))
		return 0;
	if (v->shared)
		return filter & (is_file(v) ? DUMP_MAPPED_SHARED : DUMP_ANON_SHARED) ? size : 0;
	if ((v->obj ? v->anon : v->rss) && (filter & DUMP_ANON_PRIVATE))
		return size;
	if (!v->obj)
		return 0;
	if (filter & DUMP_MAPPED_PRIVATE)
		return size;
	return (filter & DUMP_ELF_HEADERS) && begins_as_elf(d, v) ? PAGE_SIZE : 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

static void put(struct dump *d, const void *buf, size_t len)
{
	struct uio u;

	if (d->failed || (uint64_t)d->pos + len > d->limit) {
		d->failed = true;
		return;
	}
	uio_init_host(&u, (void *)buf, len);
	while (uio_left(&u) && !d->failed)
		d->failed = file_write(d->file, &u, &d->pos, &d->t->fsc) <= 0;
	uio_fini(&u);
}

static void put_memory(struct dump *d, gva_t at, gva_t end, bool holes)
{
	AUTO_FREE char *buf = malloc(CHUNK);

	d->failed |= !buf;
	while (at < end && !d->failed) {
		uint64_t absent = holes ? mm_absent(d->mm, at, end) : 0;
		size_t n = MIN(CHUNK - (at & (CHUNK - 1)), end - at), got = 0;

		if (!absent && holes)
			n = MIN(n, PAGE_SIZE - (at & ~PAGE_MASK));
		if (!absent)
			got = mm_access_remote(d->mm, at, buf, n, false);
		if (got) {
			put(d, buf, got);
			at += got;
		} else { /* a hole; also what cannot be read, as a file's pages beyond its end */
			n = absent ? absent : MIN(PAGE_SIZE, end - at);
			d->pos += (off_t)n;
			at += n;
		}
	}
}

static void pad_to(struct dump *d, off_t pos)
{
	static const char zeros[PAGE_SIZE];

	while (!d->failed && d->pos < pos)
		put(d, zeros, MIN((size_t)(pos - d->pos), sizeof(zeros)));
}

/* --- notes --------------------------------------------------------------------------------------------------------- */

static void note(struct dump *d, const char *name, unsigned type, const void *desc, size_t len)
{
	Elf64_Nhdr h = { .n_namesz = (Elf64_Word)strlen(name) + 1, .n_descsz = (Elf64_Word)len, .n_type = type };
	static const char zeros[4];

	fwrite(&h, sizeof(h), 1, d->note_file);
	fwrite(name, h.n_namesz, 1, d->note_file);
	fwrite(zeros, -h.n_namesz & 3, 1, d->note_file);
	fwrite(desc, len, 1, d->note_file);
	fwrite(zeros, -len & 3, 1, d->note_file);
}

static struct timeval timeval_of(uint64_t ns)
{
	return (struct timeval){ .tv_sec = (time_t)(ns / 1000000000), .tv_usec = (suseconds_t)(ns / 1000 % 1000000) };
}

static void note_status(struct dump *d, struct task *t, int sig)
{
	struct proc *p = t->proc;
	uint64_t ns = task_cpu_ns(t);
	struct elf_prstatus s = {
		.pr_info.si_signo = sig,
		.pr_cursig = (short)sig,
		.pr_sigpend = t->pending.set,
		.pr_sighold = t->blocked,
		.pr_pid = t->tid,
		.pr_ppid = task_ppid(d->t),
		.pr_pgrp = p->pgid,
		.pr_sid = p->sid,
		.pr_utime = timeval_of(ns),
		.pr_fpvalid = 1,
	};

	_Static_assert(sizeof(s.pr_reg) == sizeof(struct user_regs_struct), "registers as in user.h");
	trace_get_regs(t, (struct user_regs_struct *)&s.pr_reg);
	note(d, "CORE", NT_PRSTATUS, &s, sizeof(s));
}

static void note_regset(struct dump *d, struct task *t, const char *name, unsigned type)
{
	AUTO_FREE void *buf = NULL;
	size_t len;

	if (trace_get_regset(t, type, &buf, &len) == 0)
		note(d, name, type, buf, len);
}

static void note_psinfo(struct dump *d)
{
	const struct mm_layout *l = mm_layout(d->mm);
	const struct cred *c = d->t->fsc.cred;
	struct proc *p = d->t->proc;
	struct elf_prpsinfo i = {
		.pr_sname = 'R',
		.pr_nice = (char)d->t->nice,
		.pr_uid = c->uid,
		.pr_gid = c->gid,
		.pr_pid = p->pid,
		.pr_ppid = task_ppid(d->t),
		.pr_pgrp = p->pgid,
		.pr_sid = p->sid,
	};
	size_t n = MIN(l->arg_end - l->arg_start, sizeof(i.pr_psargs) - 1);

	memcpy(i.pr_fname, d->t->comm, MIN(sizeof(i.pr_fname), sizeof(d->t->comm)));
	n = mm_access_remote(d->mm, l->arg_start, i.pr_psargs, n, false);
	for (size_t k = 0; k < n; k++)
		if (!i.pr_psargs[k])
			i.pr_psargs[k] = ' ';
	note(d, "CORE", NT_PRPSINFO, &i, sizeof(i));
}

/* NT_FILE: count, page size, then start, end, offset in pages of each, then their names. */
static void note_files(struct dump *d)
{
	char name[PATH_MAX], *text = NULL, *desc = NULL;
	size_t text_len = 0, desc_len = 0;
	FILE *names = open_memstream(&text, &text_len), *all = open_memstream(&desc, &desc_len);
	uint64_t head[2] = { 0, PAGE_SIZE };

	if (names && all) {
		fwrite(head, sizeof(head), 1, all);
		for (size_t i = 0; i < d->areas.n; i++) {
			const struct vma_info *v = &d->areas.v[i];
			uint64_t row[3] = { v->start, v->end, v->off / PAGE_SIZE };

			if (!is_file(v))
				continue;
			memobj_name(v->obj, name, sizeof(name));
			fwrite(row, sizeof(row), 1, all);
			fwrite(name, strlen(name) + 1, 1, names);
			head[0]++;
		}
	}
	if (names)
		fclose(names);
	if (all && text)
		fwrite(text, text_len, 1, all);
	if (all)
		fclose(all);
	if (desc && text) {
		memcpy(desc, head, sizeof(head));
		note(d, "CORE", NT_FILE, desc, desc_len);
	}
	free(text);
	free(desc);
}

static void note_thread(struct dump *d, struct task *t, int sig)
{
	note_status(d, t, sig);
	if (t == d->t)
		note_psinfo(d);
	note_regset(d, t, "CORE", NT_PRFPREG);
	note_regset(d, t, "LINUX", NT_X86_XSTATE);
}

/* The other threads: they are parked, or so far gone that they have no registers any more. */
static size_t other_threads(struct proc *p, struct task *self, struct task **ret)
{
	struct task *t;
	size_t n = 0;

	mutex_lock(&p->lock);
	list_for_each(t, &p->threads, thread_node)
		if (t != self && t->core_parked && n < THREADS_MAX)
			ret[n++] = task_get(t);
	mutex_unlock(&p->lock);
	return n;
}

static int build_notes(struct dump *d, int sig, const siginfo_t *info)
{
	struct proc *p = d->t->proc;
	AUTO_FREE struct task **others = calloc(THREADS_MAX, sizeof(struct task *));
	size_t n;

	d->note_file = others ? open_memstream(&d->notes, &d->notes_len) : NULL;
	if (!d->note_file)
		return -ENOMEM;
	note_thread(d, d->t, sig);
	note(d, "CORE", NT_SIGINFO, info, sizeof(*info));
	note(d, "CORE", NT_AUXV, p->auxv, p->auxv_len);
	note_files(d);
	n = other_threads(p, d->t, others);
	for (size_t i = 0; i < n; i++) {
		note_thread(d, others[i], 0);
		task_put(others[i]);
	}
	return fclose(d->note_file) == 0 ? 0 : -ENOMEM;
}

/* --- the file --------------------------------------------------------------------------------------------------------- */

static void put_headers(struct dump *d)
{
	size_t n = d->areas.n + 1;
	Elf64_Ehdr e = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(e),
		.e_ehsize = sizeof(e),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = (Elf64_Half)n,
	};
	Elf64_Phdr h = { .p_type = PT_NOTE, .p_offset = sizeof(e) + n * sizeof(h), .p_filesz = d->notes_len, .p_align = 4 };
	uint64_t at = (h.p_offset + h.p_filesz + PAGE_SIZE - 1) & PAGE_MASK;

	put(d, &e, sizeof(e));
	put(d, &h, sizeof(h));
	for (size_t i = 0; i < d->areas.n; i++) {
		const struct vma_info *v = &d->areas.v[i];

		h = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = (v->prot & PROT_READ ? PF_R : 0) | (v->prot & PROT_WRITE ? PF_W : 0) | (v->prot & PROT_EXEC ? PF_X : 0),
			.p_offset = at,
			.p_vaddr = v->start,
			.p_filesz = d->filesz[i],
			.p_memsz = v->end - v->start,
			.p_align = PAGE_SIZE,
		};
		put(d, &h, sizeof(h));
		at += d->filesz[i];
	}
	put(d, d->notes, d->notes_len);
	pad_to(d, (off_t)((sizeof(e) + n * sizeof(h) + d->notes_len + PAGE_SIZE - 1) & PAGE_MASK));
}

static void write_all(struct dump *d)
{
	for (size_t i = 0; i < d->areas.n; i++)
		d->filesz[i] = dumped_size(d, &d->areas.v[i]);
	put_headers(d);
	for (size_t i = 0; i < d->areas.n && !d->failed; i++) {
		const struct vma_info *v = &d->areas.v[i];

		put_memory(d, v->start, v->start + d->filesz[i], !v->obj || v->shared);
	}
	if (!d->failed && (uint64_t)d->pos <= d->limit)
		file_truncate(d->file, (uint64_t)d->pos); /* it may end with a hole */
}

static void put_item(FILE *f, struct task *t, int sig, char item)
{
	const struct cred *c = t->fsc.cred;
	char text[PATH_MAX];

	switch (item) {
	case '%': fputc('%', f); break;
	case 'p':
	case 'P': fprintf(f, "%d", t->proc->pid); break;
	case 'i':
	case 'I': fprintf(f, "%d", t->tid); break;
	case 'u': fprintf(f, "%u", c->uid); break;
	case 'g': fprintf(f, "%u", c->gid); break;
	case 'd': fprintf(f, "%d", t->proc->dumpable); break;
	case 's': fprintf(f, "%d", sig); break;
	case 't': fprintf(f, "%lld", (long long)(clock_now(CLOCK_REALTIME) / 1000000000)); break;
	case 'h': fputs(t->env->uts->nodename, f); break;
	case 'e': fputs(t->comm, f); break;
	case 'c': fprintf(f, "%llu", (unsigned long long)proc_rlimit(t->proc, RLIMIT_CORE)); break;
	case 'E':
		if (vfs_path_text(&t->proc->exe, NULL, text, sizeof(text), false) < 0)
			break;
		for (char *s = text; *s; s++)
			fputc(*s == '/' ? '!' : *s, f);
		break;
	default: break; /* as Linux: dropped */
	}
}

/* format_corename(). NULL: no memory, or a program is to be told, which is not supported. */
static char *core_name(struct task *t, int sig)
{
	char pattern[CORE_PATTERN_SIZE], *name = NULL;
	size_t size;
	FILE *f;

	sysctl_core_pattern(pattern);
	if (pattern[0] == '|')
		log_once("core_pattern names a program: no core files");
	f = pattern[0] == '|' ? NULL : open_memstream(&name, &size);
	if (!f)
		return NULL;
	for (const char *s = pattern; *s; s++)
		if (*s != '%')
			fputc(*s, f);
		else if (*++s)
			put_item(f, t, sig, *s);
		else
			break;
	if (sysctl_get(&sysctl_core_uses_pid) && !strstr(pattern, "%p"))
		fprintf(f, ".%d", t->proc->pid);
	if (fclose(f) == 0)
		return name;
	free(name);
	return NULL;
}

/* do_coredump(): an existing file is taken only if it is a plain one of the caller's own. */
static struct file *create(struct task *t, int sig)
{
	AUTO_FREE char *name = core_name(t, sig);
	const struct open_how how = { .flags = O_CREAT | O_RDWR | O_NOFOLLOW | O_LARGEFILE, .mode = 0600 };
	struct statx st;
	struct file *f;

	if (!name || vfs_open(&t->fsc, NULL, name, &how, &f) < 0)
		return NULL;
	if (file_stat(f, STATX_BASIC_STATS, &st) == 0 && S_ISREG(st.stx_mode) && st.stx_nlink == 1 && st.stx_uid == t->fsc.cred->fsuid &&
	    file_truncate(f, 0) == 0)
		return f;
	file_put(f);
	return NULL;
}

bool coredump_write(struct task *t, int sig, const siginfo_t *info)
{
	struct dump d = { .t = t, .mm = t->mm, .limit = proc_rlimit(t->proc, RLIMIT_CORE) };
	bool done;

	d.file = create(t, sig);
	done = d.file && mm_list_vmas(d.mm, true, &d.areas) == 0 && d.areas.n < PN_XNUM;
	d.filesz = done ? calloc(d.areas.n + 1, sizeof(*d.filesz)) : NULL;
	done = d.filesz && build_notes(&d, sig, info) == 0;
	if (done)
		write_all(&d);
	log_dbg(PROC, "%d: core file: %s", t->proc->pid, !done ? "none" : d.failed ? "a part" : "whole");
	vma_list_fini(&d.areas);
	free(d.filesz);
	free(d.notes);
	file_put(d.file);
	return done;
}
