/* SPDX-License-Identifier: MIT */
/*
 * maps, smaps and smaps_rollup. The areas are copied out of the mm first: names of files are found
 * with vfs locks, which are outside mm->lock.
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/proc/procfs/procfs.h"
#include "emul/vfs/mapname.h"

#define NAME_COLUMN 73

static const char *special_name(const struct vma_info *v)
{
	if (v->flags & VMA_STACK)
		return "[stack]";
	if (v->flags & VMA_HEAP)
		return "[heap]";
	if (v->flags & VMA_VVAR)
		return "[vvar]";
	if (v->flags & VMA_VDSO)
		return "[vdso]";
	return "";
}

void map_name(const struct vma_info *v, char *name, size_t size)
{
	*name = '\0';
	if (v->obj)
		memobj_name(v->obj, name, size);
	else
		snprintf(name, size, "%s", special_name(v));
	if (v->obj && v->shared && !*name && !memobj_id(v->obj).dev)
		snprintf(name, size, "/dev/zero (deleted)"); /* MAP_SHARED|MAP_ANONYMOUS */
}

static void show_area(struct seq *out, const struct vma_info *v)
{
	struct memobj_id id = v->obj ? memobj_id(v->obj) : (struct memobj_id){ 0, 0 };
	size_t start = out->len, used;
	char name[4200] = "";

	seq_printf(out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)v->start,
		   (unsigned long long)v->end, v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
		   v->prot & PROT_EXEC ? 'x' : '-', v->shared ? 's' : 'p', (unsigned long long)(v->obj ? v->off : 0),
		   major(id.dev), minor(id.dev), (unsigned long long)id.ino);
	map_name(v, name, sizeof(name));
	used = out->len - start;
	if (*name) {
		if (used < NAME_COLUMN)
			seq_printf(out, "%*s", (int)(NAME_COLUMN - used), "");
		seq_escape(out, name, "\n");
	}
	seq_puts(out, "\n");
}

struct totals { uint64_t rss, anon, dirty, locked, shared, size; };

static void add_area(struct totals *t, const struct vma_info *v)
{
	t->size += v->end - v->start;
	t->rss += v->rss;
	t->anon += v->anon;
	t->dirty += v->dirty;
	t->locked += v->flags & VMA_LOCKED ? v->rss : 0;
	t->shared += v->shared ? v->rss : 0;
}

static void show_totals(struct seq *out, const struct totals *t)
{
	const struct { const char *name; uint64_t bytes; } row[] = {
		{ "Rss:", t->rss },
		{ "Pss:", t->rss },
		{ "Pss_Dirty:", t->dirty },
		{ "Shared_Clean:", t->shared },
		{ "Shared_Dirty:", 0 },
		{ "Private_Clean:", t->rss - t->shared - MIN(t->dirty, t->rss - t->shared) },
		{ "Private_Dirty:", MIN(t->dirty, t->rss - t->shared) },
		{ "Referenced:", t->rss },
		{ "Anonymous:", t->anon },
		{ "KSM:", 0 },
		{ "LazyFree:", 0 },
		{ "AnonHugePages:", 0 },
		{ "ShmemPmdMapped:", 0 },
		{ "FilePmdMapped:", 0 },
		{ "Shared_Hugetlb:", 0 },
		{ "Private_Hugetlb:", 0 },
		{ "Swap:", 0 },
		{ "SwapPss:", 0 },
		{ "Locked:", t->locked },
	};

	for (size_t i = 0; i < ARRAY_SIZE(row); i++)
		seq_printf(out, "%-16s%8llu kB\n", row[i].name, (unsigned long long)row[i].bytes >> 10);
}

static void show_vmflags(struct seq *out, const struct vma_info *v)
{
	const struct { bool on; const char *word; } flag[] = {
		{ v->prot & PROT_READ, "rd" },    { v->prot & PROT_WRITE, "wr" },    { v->prot & PROT_EXEC, "ex" },
		{ v->shared, "sh" },              { v->maxprot & PROT_READ, "mr" },  { v->maxprot & PROT_WRITE, "mw" },
		{ v->maxprot & PROT_EXEC, "me" }, { v->flags & (VMA_GROWSDOWN | VMA_STACK), "gd" },
		{ v->flags & VMA_LOCKED, "lo" },  { v->flags & VMA_SEQ, "sr" },      { v->flags & VMA_RAND, "rr" },
		{ v->flags & VMA_DONTFORK, "dc" }, { v->flags & VMA_NORESERVE, "nr" }, { v->flags & VMA_WIPEONFORK, "wf" },
		{ v->flags & VMA_DONTDUMP, "dd" }, { v->flags & VMA_SEALED, "sl" },
	};

	seq_puts(out, "VmFlags:");
	for (size_t i = 0; i < ARRAY_SIZE(flag); i++)
		if (flag[i].on)
			seq_printf(out, " %s", flag[i].word);
	seq_puts(out, " \n");
}

/* Collects the areas of the node's process. A process without memory shows nothing. */
static int areas_of(struct pnode *n, bool pages, struct vma_list *l)
{
	AUTO(mm) mm = task_get_mm(task_node(n)->task);

	return mm ? mm_list_vmas(mm, pages, l) : 0;
}

int show_maps(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct vma_list l = { 0 };
	int r = areas_of(n, false, &l);

	for (size_t i = 0; r == 0 && i < l.n; i++)
		show_area(out, &l.v[i]);
	vma_list_fini(&l);
	return r;
}

int show_smaps(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct vma_list l = { 0 };
	int r = areas_of(n, true, &l);

	for (size_t i = 0; r == 0 && i < l.n; i++) {
		struct totals t = { 0 };

		show_area(out, &l.v[i]);
		add_area(&t, &l.v[i]);
		seq_printf(out, "Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
			   (unsigned long long)t.size >> 10);
		show_totals(out, &t);
		seq_puts(out, "THPeligible:           0\n");
		show_vmflags(out, &l.v[i]);
	}
	vma_list_fini(&l);
	return r;
}

int show_smaps_rollup(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	struct vma_list l = { 0 };
	struct totals t = { 0 };
	int r = areas_of(n, true, &l);

	for (size_t i = 0; i < l.n; i++)
		add_area(&t, &l.v[i]);
	if (r == 0 && l.n) {
		seq_printf(out, "%08llx-%08llx ---p 00000000 00:00 0%*s[rollup]\n", (unsigned long long)l.v[0].start,
			   (unsigned long long)l.v[l.n - 1].end, 25, "");
		show_totals(out, &t);
	}
	vma_list_fini(&l);
	return r;
}
