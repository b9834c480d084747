/* SPDX-License-Identifier: MIT */
/* What a process was started with: cmdline, environ, auxv; and its mounts; and its memory as a file. */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/proc/procfs/procfs.h"

#define MAX_TEXT ((uint64_t)2 << 20)

/* Guest bytes [start, end) as they are now. */
static int show_range(struct mm *mm, gva_t start, gva_t end, struct seq *out)
{
	char buf[4096];

	if (end < start || end - start > MAX_TEXT)
		return 0;
	while (start < end) {
		size_t n = mm_access_remote(mm, start, buf, MIN(end - start, sizeof(buf)), false);

		if (!n)
			break;
		seq_write(out, buf, n);
		start += n;
	}
	return 0;
}

/* setproctitle(3): a command line whose last byte is no longer NUL runs on into the environment up to a NUL. */
int show_cmdline(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);
	struct mm_layout l;
	char last = 0;

	if (!mm)
		return 0;
	l = *mm_layout(mm);
	if (l.arg_end > l.arg_start)
		mm_access_remote(mm, l.arg_end - 1, &last, 1, false);
	if (!last)
		return show_range(mm, l.arg_start, l.arg_end, out);
	show_range(mm, l.arg_start, MAX(l.arg_end, l.env_end), out);
	out->len = strnlen(out->buf ? out->buf : "", out->len);
	return 0;
}

int show_environ(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);

	return mm ? show_range(mm, mm_layout(mm)->env_start, mm_layout(mm)->env_end, out) : 0;
}

int show_auxv(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct proc *p = task_node(n)->task->proc;

	mutex_lock(&p->lock);
	seq_write(out, p->auxv, p->auxv_len);
	mutex_unlock(&p->lock);
	return 0;
}

/* --- mounts -------------------------------------------------------------------------------------- */

static void show_flags(struct seq *out, unsigned long flags)
{
	static const struct { unsigned long flag; const char *word; } names[] = {
		{ ST_NOSUID, ",nosuid" }, { ST_NODEV, ",nodev" }, { ST_NOEXEC, ",noexec" }, { ST_NOATIME, ",noatime" },
		{ ST_RELATIME, ",relatime" },
	};

	seq_puts(out, flags & ST_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & names[i].flag)
			seq_puts(out, names[i].word);
}

static int one_mount(void *ctx, const struct mount_info *m)
{
	struct seq *out = ctx;

	seq_escape(out, m->source, " \t\n\\#");
	seq_puts(out, " ");
	seq_escape(out, m->at, " \t\n\\#");
	seq_printf(out, " %s ", m->type);
	show_flags(out, m->flags);
	if (m->super_options && *m->super_options)
		seq_printf(out, ",%s", m->super_options);
	seq_puts(out, " 0 0\n");
	return 0;
}

static int one_mountinfo(void *ctx, const struct mount_info *m)
{
	struct seq *out = ctx;

	seq_printf(out, "%d %d %u:%u ", m->id, m->parent_id, major(m->dev), minor(m->dev));
	seq_escape(out, m->root, " \t\n\\#");
	seq_puts(out, " ");
	seq_escape(out, m->at, " \t\n\\#");
	seq_puts(out, " ");
	show_flags(out, m->flags);
	seq_printf(out, " - %s ", m->type);
	seq_escape(out, m->source, " \t\n\\#");
	seq_puts(out, m->flags & ST_RDONLY ? " ro" : " rw");
	if (m->super_options && *m->super_options)
		seq_printf(out, ",%s", m->super_options);
	seq_puts(out, "\n");
	return 0;
}

static int one_mountstat(void *ctx, const struct mount_info *m)
{
	struct seq *out = ctx;

	seq_puts(out, "device ");
	seq_escape(out, m->source, " \t\n\\#");
	seq_puts(out, " mounted on ");
	seq_escape(out, m->at, " \t\n\\#");
	seq_printf(out, " with fstype %s\n", m->type);
	return 0;
}

static int list_mounts(struct pnode *n, struct seq *out, int (*fn)(void *, const struct mount_info *))
{
	struct fs *fs = task_get_fs(task_node(n)->task);
	AUTO_PATH root = PATH_INIT;
	int r;

	if (!fs)
		return -EINVAL;
	mutex_lock(&fs->lock);
	root = fs->root;
	path_get(&root);
	mutex_unlock(&fs->lock);
	fs_put(fs);
	r = vfs_for_each_mount(task_node(n)->task->env->vfs, &root, fn, out);
	return r;
}

int show_mounts(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return list_mounts(n, out, one_mount);
}

int show_mountinfo(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return list_mounts(n, out, one_mountinfo);
}

int show_mountstats(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return list_mounts(n, out, one_mountstat);
}

/* --- mem: the address space as a file ---------------------------------------------------------------- */

static ssize_t mem_move(struct file *f, struct uio *u, off_t *pos, bool write)
{
	struct mm_file *m = container_of(f, struct mm_file, file);
	char buf[4096];
	ssize_t total = 0;

	while (uio_left(u)) {
		size_t n = MIN(uio_left(u), sizeof(buf) - ((uint64_t)*pos & (sizeof(buf) - 1)));
		ssize_t moved;

		if (write && uio_copy_in(u, buf, n) != (ssize_t)n)
			return total ? total : -EFAULT;
		n = mm_access_remote(m->mm, (gva_t)*pos, buf, n, write);
		if (!n)
			return total ? total : -EIO;
		moved = write ? (ssize_t)n : uio_copy_out(u, buf, n);
		if (moved < 0)
			return total ? total : moved;
		total += moved;
		*pos += moved;
	}
	return total;
}

static ssize_t mem_read(struct file *f, struct uio *to, off_t *pos)
{
	return mem_move(f, to, pos, false);
}

static ssize_t mem_write(struct file *f, struct uio *from, off_t *pos)
{
	return mem_move(f, from, pos, true);
}

off_t mm_file_lseek(struct file *f, off_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	return f->pos = off; /* addresses may look negative */
}

void mm_file_release(struct file *f)
{
	struct mm_file *m = container_of(f, struct mm_file, file);

	mm_put(m->mm);
	file_fini(f);
	free(m);
}

int mm_file_open(struct pnode *n, const struct file_ops *ops, unsigned flags, struct file **ret)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);
	struct mm_file *m = mm ? calloc(1, sizeof(*m)) : NULL;

	if (!m)
		return mm ? -ENOMEM : -ESRCH;
	file_init(&m->file, ops, flags);
	m->file.seekable = true;
	m->mm = steal(mm);
	*ret = &m->file;
	return 0;
}

static const struct file_ops mem_ops = {
	.name = "mem", .read = mem_read, .write = mem_write, .lseek = mm_file_lseek, .release = mm_file_release,
};

static int open_mem(struct pnode *n, struct fs_ctx *c, unsigned flags, struct file **ret)
{
	return mm_file_open(n, &mem_ops, flags, ret);
}

const struct pnode_ops mem_file_ops = {
	.mode = S_IFREG | 0600, .open = open_mem, .may = task_node_may, .alive = task_node_alive, .getattr = task_node_owner, .release = task_node_release,
};
