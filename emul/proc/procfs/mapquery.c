/* SPDX-License-Identifier: MIT */
/*
 * ioctl(PROCMAP_QUERY) on /proc/PID/maps: one area, found by address, as numbers (Linux 6.11). fs/proc/task_mmu.c,
 * do_procmap_query(). Of build ids none is found.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/proc/procfs/procfs.h"

/* <linux/fs.h> since then */
struct query {
	uint64_t size, flags, addr;
	uint64_t start, end, vma_flags, page_size, offset, inode;
	uint32_t dev_major, dev_minor, name_size, build_id_size;
	uint64_t name_addr, build_id_addr;
};
#define QUERY _IOWR('f', 17, struct query)
#define LEAST offsetof(struct query, start)
enum { Q_READ = 1, Q_WRITE = 2, Q_EXEC = 4, Q_SHARED = 8, Q_OR_NEXT = 16, Q_FILE = 32, Q_ALL = 63, Q_RIGHTS = 15 };

static unsigned rights_of(const struct vma_info *v)
{
	return (v->prot & PROT_READ ? Q_READ : 0) | (v->prot & PROT_WRITE ? Q_WRITE : 0) | (v->prot & PROT_EXEC ? Q_EXEC : 0) |
	       (v->shared ? Q_SHARED : 0);
}

static const struct vma_info *find(const struct vma_list *l, const struct query *q)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct vma_info *v = &l->v[i];
		bool fits;

		if (v->end <= q->addr)
			continue;
		fits = !(q->flags & Q_RIGHTS & ~rights_of(v)) && (v->obj || !(q->flags & Q_FILE));
		if (fits && ((q->flags & Q_OR_NEXT) || v->start <= q->addr))
			return v;
		if (!(q->flags & Q_OR_NEXT))
			return NULL;
	}
	return NULL;
}

static void fill(struct query *q, const struct vma_info *v)
{
	struct memobj_id id = v->obj ? memobj_id(v->obj) : (struct memobj_id){ 0, 0 };

	q->start = v->start;
	q->end = v->end;
	q->vma_flags = rights_of(v);
	q->page_size = PAGE_SIZE;
	q->offset = v->obj ? v->off : 0;
	q->dev_major = major(id.dev);
	q->dev_minor = minor(id.dev);
	q->inode = id.ino;
	q->build_id_size = 0;
}

static int put_name(struct mm *mm, struct query *q, const struct vma_info *v)
{
	char name[4200];
	size_t size;

	if (!q->name_size)
		return 0;
	map_name(v, name, sizeof(name));
	size = *name ? strlen(name) + 1 : 0;
	if (size > MIN(q->name_size, 4096u))
		return -ENAMETOOLONG;
	q->name_size = (uint32_t)size;
	return copy_to_guest(mm, q->name_addr, name, size);
}

static int answer(struct mm *target, struct mm *mm, struct query *q)
{
	const struct vma_info *v;
	struct vma_list l;
	int r = mm_list_vmas(target, false, &l);

	if (r < 0)
		return r;
	v = find(&l, q);
	r = -ENOENT;
	if (v) {
		fill(q, v);
		r = put_name(mm, q, v);
	}
	vma_list_fini(&l);
	return r;
}

static int read_query(struct mm *mm, gva_t at, struct query *q, uint64_t *ret_size)
{
	if (guest_read(mm, ret_size, at) < 0)
		return -EFAULT;
	if (*ret_size > PAGE_SIZE)
		return -E2BIG;
	return *ret_size < LEAST ? -EINVAL : copy_extensible(mm, q, sizeof(*q), at, *ret_size);
}

long ioctl_maps(struct pnode *n, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	AUTO(mm) target = NULL;
	struct query q;
	uint64_t size;
	int r;

	if (cmd != QUERY)
		return -ENOTTY;
	r = read_query(c->mm, arg, &q, &size);
	if (r < 0)
		return r;
	if ((q.flags & ~(uint64_t)Q_ALL) || !q.name_size != !q.name_addr || !q.build_id_size != !q.build_id_addr)
		return -EINVAL;
	target = task_get_mm(task_node(n)->task);
	r = target ? answer(target, c->mm, &q) : -ESRCH;
	return r < 0 ? r : copy_to_guest(c->mm, arg, &q, MIN(size, sizeof(q)));
}
