/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: page-table roots over the instance's memory, written by the VMM.
 *
 * Rules (docs/host-kvm.md has the measurements behind them):
 *  - Entries are written with A and D set: KVM then maps neighbours ahead, and never writes to a table.
 *  - A leaf that narrows, goes or changes its frame: the entry first, then a zap of the old frame. Zaps are
 *    collected and done together, before anybody is told that a frame is free.
 *  - A non-leaf entry, and the change between a 2 MiB leaf and a table, is made only through "absent", and with
 *    memory_flush_tables(): shadow paging would go on using the old table.
 *  - So does a 2 MiB leaf that narrows or goes, under shadow paging, where the host has got small pages behind it meanwhile, or the leaf
 *    is executable (KVM may break up such ones, nx_huge_pages): KVM made a table of them,
 *    which the shadow entry keeps pointing to. The next leaf there would be filled into it, and who maps the old frame finds it too.
 *    Frames that are of small pages from the beginning are mapped by pages.
 *  - A root and its tables stay together: a freed root is used again as it is, unless it has grown large.
 *  - The host's vDSO cannot be zapped, and an address space that is retired need not be: nobody enters its root any more. Such a
 *    root is stale: old translations may live on in it until the next memory_flush_tables(), which comes before the root is
 *    used again, or before anything is mapped over a stale part. A pool of stale roots shares one flush.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emul/base/err.h"
#include "guest-rt/abi.h"
#include "vmm/machine.h"

#define ENTRIES 512
#define TABLE_CHUNK ((size_t)4 << 20)
#define KEEP_TABLES 64 /* a free root with more gives them back */
#define KEEP_VROOTS 4  /* likewise with the roots of vCPUs */
#define PENDING 128
#define STALE_MAX 64 /* roots that wait for a flush */
/*
 * Small pages cost 0.4 us each to zap. A flush costs less for many of them, but then everybody has to find his pages again, at 1 us each;
 * whoever narrows so many is about to fork, and has to do that anyway.
 */
#define UNMAP_ZAP_MAX ((size_t)64 << 20)
#define NARROW_ZAP_MAX ((size_t)4 << 20)

struct aspace {
	struct machine *m;
	struct aspace *next_free;
	gpa_t root;       /* what the roots that vCPUs use are copies of, but for the vCPU's own part */
	unsigned ntables; /* below the root */
	/* lock: roots in use by vCPUs, each at its vCPU's index */
	struct mutex lock;
	struct vroot { unsigned vcpu; gpa_t root; } *vroots;
	unsigned nvroots, vroots_size;
	struct sites *_Atomic sites; /* sites.c; NULL until it has any */
	gva_t stale_start, stale_end; /* empty: start == end */
};

/* --- table pages ----------------------------------------------------------------------------- */

static uint64_t *entries(struct machine *m, gpa_t table)
{
	return gpa_hva(m, table);
}

gpa_t table_alloc(struct machine *m)
{
	gpa_t t = GPA_NONE;

	mutex_lock(&m->table_lock);
	if (m->table_free) {
		t = m->table_free;
		m->table_free = *entries(m, t);
	} else {
		void *hva;

		if (m->table_next == m->table_end && memory_grow(&m->platform, TABLE_CHUNK, &m->table_next, &hva) == 0) {
			m->table_end = m->table_next + TABLE_CHUNK;
			/* Most programs have a few tables; and flushing one would split a huge page of them. */
			madvise(hva, TABLE_CHUNK, MADV_NOHUGEPAGE);
		}
		if (m->table_next < m->table_end) {
			t = m->table_next;
			m->table_next += PAGE_SIZE;
		}
	}
	if (t != GPA_NONE)
		m->ntables++;
	mutex_unlock(&m->table_lock);
	if (t != GPA_NONE)
		memset(entries(m, t), 0, PAGE_SIZE);
	return t;
}

void table_release(struct machine *m, gpa_t t)
{
	mutex_lock(&m->table_lock);
	*entries(m, t) = m->table_free;
	m->table_free = t;
	m->ntables--;
	mutex_unlock(&m->table_lock);
}

static unsigned slot_of(gva_t gva, int level)
{
	return gva >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1);
}

static bool is_table(uint64_t e)
{
	return (e & PTE_P) && !(e & PTE_PS);
}

/* Another CPU's walker reads entries while we write them. */
static uint64_t entry_get(uint64_t *e)
{
	return __atomic_load_n(e, __ATOMIC_RELAXED);
}

static void entry_set(uint64_t *e, uint64_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

/* --- collected zaps ------------------------------------------------------------------------------ */

struct run { gva_t gva; gpa_t gpa; size_t len; bool huge; };

struct batch {
	struct machine *m;
	struct aspace *as;
	as_unmapped_fn fn; /* NULL: only zap */
	bool retired;      /* no zaps: the root is stale as a whole */
	bool exec;         /* an executable 2 MiB leaf among them */
	size_t small_bytes, zap_max; /* not of 2 MiB leaves; more are flushed */
	void *ctx;
	unsigned n;
	struct run run[PENDING];
};

static void mark_stale(struct aspace *as, gva_t gva, size_t len)
{
	if (as->stale_start == as->stale_end)
		as->stale_start = gva, as->stale_end = gva + len;
	as->stale_start = MIN(as->stale_start, gva);
	as->stale_end = MAX(as->stale_end, gva + len);
}

/*
 * May shadow paging have made a table of a 2 MiB leaf of these frames? For certain only when the leaf is gone and zapped, and KVM makes none
 * any more. exec: KVM may break up such leaves as it likes.
 */
static bool may_be_table(struct machine *m, gpa_t gpa, size_t len, bool exec)
{
	return !m->hardware && (exec || !memory_is_huge(m, gpa, len));
}

/* Zaps a run of collected frames, or finds that only a flush will do. */
static bool zap_run(struct batch *b, gpa_t start, size_t len, bool huge)
{
	/* After a flush there is nothing to be zapped; but a file's window also wants to lose its pages. */
	bool flush = huge && may_be_table(b->m, start, len, b->exec);

	if (flush && !gpa_is_window(start))
		return true;
	memory_zap(b->m, start, len);
	return flush || (huge && may_be_table(b->m, start, len, b->exec));
}

static void batch_flush(struct batch *b)
{
	struct run *r = b->run;
	bool flush = b->small_bytes > b->zap_max && !b->retired && !b->m->hardware;

	/* Frames that lie together are zapped together, whatever their order of addresses. */
	for (unsigned i = 0; i < b->n;) {
		gpa_t start = r[i].gpa;
		size_t len = r[i].len;
		bool huge = r[i].huge;

		for (i++; i < b->n && r[i].gpa == start + len && r[i].huge == huge && start >> GPA_UNIT_SHIFT == r[i].gpa >> GPA_UNIT_SHIFT; i++)
			len += r[i].len;
		if (b->retired || gpa_is_vdso(b->m, start))
			mark_stale(b->as, r[i - 1].gva + r[i - 1].len - len, len);
		else if (!flush || gpa_is_window(start))
			flush |= zap_run(b, start, len, huge);
	}
	if (flush)
		memory_flush_tables(b->m);
	b->exec = false;
	b->small_bytes = 0;
	if (b->fn)
		for (unsigned i = 0; i < b->n; i++)
			b->fn(b->ctx, r[i].gva, r[i].gpa, r[i].len);
	b->n = 0;
}

/* old: the leaf that was at gva. */
static void batch_add(struct batch *b, gva_t gva, uint64_t old, size_t len)
{
	struct run *last = b->n ? &b->run[b->n - 1] : NULL;
	bool huge = len == HUGE_SIZE;
	gpa_t gpa = old & PTE_ADDR & (huge ? HUGE_MASK : ~(uint64_t)0);

	if (last && last->gva + last->len == gva && last->gpa + last->len == gpa && last->huge == huge &&
	    last->gpa >> GPA_UNIT_SHIFT == gpa >> GPA_UNIT_SHIFT) {
		last->len += len;
	} else {
		if (b->n == PENDING)
			batch_flush(b);
		b->run[b->n++] = (struct run){ gva, gpa, len, huge };
	}
	b->exec |= huge && (old & PTE_P) && !(old & PTE_NX);
	b->small_bytes += huge ? 0 : len;
}

/* --- leaves ----------------------------------------------------------------------------------------- */

static uint64_t leaf(gpa_t gpa, int prot)
{
	if (prot == PROT_NONE)
		return gpa | PTE_HELD | PTE_NX;
	return gpa | PTE_P | PTE_U | PTE_A | PTE_D | (prot & PROT_WRITE ? PTE_W : 0) | (prot & PROT_EXEC ? 0 : PTE_NX);
}

static int leaf_prot(uint64_t e)
{
	if (!(e & PTE_P))
		return PROT_NONE;
	return PROT_READ | (e & PTE_W ? PROT_WRITE : 0) | (e & PTE_NX ? 0 : PROT_EXEC);
}

static bool in_use(uint64_t e)
{
	return e & (PTE_P | PTE_HELD);
}

/* Does going from old to new take something away that a CPU may have cached? */
static bool narrows(uint64_t old, uint64_t new_entry)
{
	if (!(old & PTE_P))
		return false;
	return (old ^ new_entry) & PTE_ADDR || !(new_entry & PTE_P) || ((old & PTE_W) && !(new_entry & PTE_W)) ||
	       (!(old & PTE_NX) && (new_entry & PTE_NX));
}

/* --- roots ----------------------------------------------------------------------------------------------- */

/*
 * A vCPU's root has the entries of the address space's and, in the upper half, the vCPU's own tables. Like every table it keeps its
 * place: the pair stays together while the address space lives, and is found again when it is recycled.
 */
static gpa_t vroot_new(struct aspace *as, struct vcpu *v)
{
	struct machine *m = as->m;
	gpa_t root;

	if (as->nvroots == as->vroots_size) {
		unsigned size = MAX(4u, as->vroots_size * 2);
		struct vroot *grown = realloc(as->vroots, size * sizeof(*grown));

		if (!grown)
			return GPA_NONE;
		as->vroots = grown;
		as->vroots_size = size;
	}
	root = table_alloc(m);
	if (root == GPA_NONE)
		return GPA_NONE;
	for (unsigned i = 0; i < ENTRIES; i++)
		entry_set(entries(m, root) + i, entry_get(entries(m, as->root) + i));
	entry_set(entries(m, root) + RT_PML4_SLOT, v->kernel_table | PTE_P | PTE_W | PTE_U | PTE_A);
	as->vroots[as->nvroots++] = (struct vroot){ v->index, root };
	return root;
}

gpa_t aspace_root(struct aspace *as, struct vcpu *v)
{
	gpa_t root = GPA_NONE;

	mutex_lock(&as->lock);
	for (unsigned i = 0; i < as->nvroots && root == GPA_NONE; i++)
		if (as->vroots[i].vcpu == v->index)
			root = as->vroots[i].root;
	if (root == GPA_NONE)
		root = vroot_new(as, v);
	mutex_unlock(&as->lock);
	return root;
}

/* An entry of the root, in all its copies. */
static void root_set(struct aspace *as, unsigned slot, uint64_t value)
{
	mutex_lock(&as->lock);
	entry_set(entries(as->m, as->root) + slot, value);
	for (unsigned i = 0; i < as->nvroots; i++)
		entry_set(entries(as->m, as->vroots[i].root) + slot, value);
	mutex_unlock(&as->lock);
}

/* --- walking ------------------------------------------------------------------------------------------- */

/* The entry of `level` for gva, tables made on the way. NULL: no memory. A 2 MiB leaf in the way ends at level 2. */
static uint64_t *walk_make(struct aspace *as, gva_t gva, int level)
{
	gpa_t t = as->root;

	for (int l = 4; l > level; l--) {
		uint64_t *e = entries(as->m, t) + slot_of(gva, l);

		if (!entry_get(e)) {
			gpa_t n = table_alloc(as->m);

			if (n == GPA_NONE)
				return NULL;
			as->ntables++;
			if (l == 4)
				root_set(as, slot_of(gva, 4), n | PTE_P | PTE_W | PTE_U | PTE_A);
			else
				entry_set(e, n | PTE_P | PTE_W | PTE_U | PTE_A);
		}
		t = entry_get(e) & PTE_ADDR;
	}
	return entries(as->m, t) + slot_of(gva, level);
}

/* The level-2 entry for gva, or NULL and *ret_skip = bytes from gva to the end of the hole. */
static uint64_t *walk_find(struct aspace *as, gva_t gva, size_t *ret_skip)
{
	gpa_t t = as->root;

	for (int l = 4; l > 2; l--) {
		uint64_t e = entry_get(entries(as->m, t) + slot_of(gva, l));
		uint64_t span = (uint64_t)1 << (PAGE_SHIFT + 9 * (l - 1));

		if (!(e & PTE_P)) {
			*ret_skip = span - (gva & (span - 1));
			return NULL;
		}
		t = e & PTE_ADDR;
	}
	return entries(as->m, t) + slot_of(gva, 2);
}

/* Turns the 2 MiB leaf at pde into a table of the same pages. */
static int split(struct aspace *as, uint64_t *pde)
{
	uint64_t old = entry_get(pde), *e;
	gpa_t t = table_alloc(as->m), base = old & PTE_ADDR & HUGE_MASK;

	if (t == GPA_NONE)
		return -ENOMEM;
	as->ntables++;
	e = entries(as->m, t);
	for (unsigned i = 0; i < ENTRIES; i++)
		e[i] = ((old & ~(PTE_ADDR | PTE_PS)) | (base + i * PAGE_SIZE));
	entry_set(pde, 0);
	if (old & PTE_P) {
		memory_zap(as->m, base, HUGE_SIZE);
		if (may_be_table(as->m, base, HUGE_SIZE, !(old & PTE_NX)))
			memory_flush_tables(as->m);
	}
	entry_set(pde, t | PTE_P | PTE_W | PTE_U | PTE_A);
	return 0;
}

static bool is_huge(uint64_t e)
{
	return in_use(e) && (e & PTE_PS);
}

/* --- platform ops ------------------------------------------------------------------------------------------ */

void pagetable_init(struct machine *m)
{
	mutex_init(&m->table_lock);
}

/* A root that is free and clean. table_lock held; it may be dropped for a flush that cleans all stale ones. */
static struct aspace *take_free_root(struct machine *m) REQUIRES(m->table_lock)
{
	struct aspace *as = m->free_roots, *stale = NULL;

	if (!as && m->nstale >= STALE_MAX) {
		stale = m->stale_roots;
		m->stale_roots = NULL;
		m->nstale = 0;
		mutex_unlock(&m->table_lock);
		memory_flush_tables(m);
		mutex_lock(&m->table_lock);
		while (stale) {
			as = stale;
			stale = as->next_free;
			as->stale_start = as->stale_end = 0;
			as->next_free = m->free_roots;
			m->free_roots = as;
		}
	}
	if (as)
		m->free_roots = as->next_free;
	return as;
}

struct aspace *aspace_new(struct platform *p)
{
	struct machine *m = machine_of(p);
	struct aspace *as;

	mutex_lock(&m->table_lock);
	as = take_free_root(m);
	mutex_unlock(&m->table_lock);
	if (as)
		return as;
	as = calloc(1, sizeof(*as));
	if (!as)
		return NULL;
	as->m = m;
	as->root = table_alloc(m);
	if (as->root == GPA_NONE) {
		free(as);
		return NULL;
	}
	mutex_init(&as->lock);
	return as;
}

/* Gives back the table that e points to and all below it. Collected in a list: they are free only after the flush. */
static void collect_tables(struct machine *m, uint64_t e, int level, gpa_t *list)
{
	gpa_t t = e & PTE_ADDR;
	uint64_t *v = entries(m, t);

	if (!is_table(e))
		return;
	if (level > 1)
		for (unsigned i = 0; i < ENTRIES; i++)
			collect_tables(m, v[i], level - 1, list);
	v[0] = *list;
	*list = t;
}

static void drop_tables(struct aspace *as)
{
	uint64_t *root = entries(as->m, as->root);
	gpa_t list = 0;

	for (unsigned i = 0; i < ENTRIES / 2; i++) {
		uint64_t e = root[i];

		if (e)
			root_set(as, i, 0);
		collect_tables(as->m, e, 3, &list);
	}
	for (; as->nvroots > KEEP_VROOTS; as->nvroots--) {
		gpa_t t = as->vroots[as->nvroots - 1].root;

		*entries(as->m, t) = list;
		list = t;
	}
	memory_flush_tables(as->m);
	as->stale_start = as->stale_end = 0;
	while (list) {
		gpa_t next = *entries(as->m, list);

		table_release(as->m, list);
		list = next;
	}
	as->ntables = 0;
}

void aspace_free(struct aspace *as)
{
	struct machine *m;
	struct aspace **to;

	if (!as)
		return;
	m = as->m;
	sites_reset(as);
	if (as->ntables > KEEP_TABLES || as->nvroots > 4 * KEEP_VROOTS)
		drop_tables(as);
	mutex_lock(&m->table_lock);
	to = as->stale_start == as->stale_end ? &m->free_roots : &m->stale_roots;
	m->nstale += to == &m->stale_roots;
	as->next_free = *to;
	*to = as;
	mutex_unlock(&m->table_lock);
}

struct sites *_Atomic *aspace_sites(struct aspace *as)
{
	return &as->sites;
}

struct machine *aspace_machine(struct aspace *as)
{
	return as->m;
}

uint8_t *aspace_map_sites(struct aspace *as, gva_t gva)
{
	gpa_t page = table_alloc(as->m);
	uint64_t *e = page == GPA_NONE ? NULL : walk_make(as, gva, 1);

	if (!e) {
		if (page != GPA_NONE)
			table_release(as->m, page);
		return NULL;
	}
	entry_set(e, page | PTE_P | PTE_U | PTE_A | PTE_D);
	return gpa_hva(as->m, page);
}

static int map_small(struct aspace *as, struct batch *b, uint64_t *pde, gva_t gva, gpa_t gpa, size_t len, int prot)
{
	uint64_t *e;

	if (is_huge(entry_get(pde))) {
		int r = split(as, pde);

		if (r < 0)
			return r;
	}
	e = walk_make(as, gva, 1);
	if (!e)
		return -ENOMEM;
	for (; len; e++, gva += PAGE_SIZE, gpa += PAGE_SIZE, len -= PAGE_SIZE) {
		uint64_t old = entry_get(e), now = leaf(gpa, prot);

		entry_set(e, now);
		if (narrows(old, now))
			batch_add(b, gva, old, PAGE_SIZE);
	}
	return 0;
}

/*
 * May these frames be mapped by a 2 MiB leaf? With shadow paging not if the host has small pages behind them: a leaf of that kind costs a
 * flush when it goes, and wins nothing, since KVM shadows it by pages. Where nobody can tell it may: every large leaf costs a flush then.
 */
static bool huge_fits(struct machine *m, gva_t gva, gpa_t gpa)
{
	return !((gva | gpa) & ~HUGE_MASK) && (m->hardware || m->pagemap < 0 || memory_is_huge(m, gpa, HUGE_SIZE));
}

/* A whole 2 MiB entry. false: it has to be done by pages. */
static bool map_huge(struct batch *b, uint64_t *pde, gva_t gva, gpa_t gpa, int prot)
{
	uint64_t old = entry_get(pde), now = leaf(gpa, prot) | PTE_PS;

	if (is_table(old))
		return false;
	entry_set(pde, now);
	if (narrows(old, now))
		batch_add(b, gva, old, HUGE_SIZE);
	return true;
}

int aspace_map(struct aspace *as, gva_t gva, gpa_t gpa, size_t len, int prot)
{
	struct batch b = { .m = as->m, .as = as, .zap_max = NARROW_ZAP_MAX };
	int r = 0;

	if (as->stale_start != as->stale_end && gva < as->stale_end && as->stale_start < gva + len) {
		memory_flush_tables(as->m);
		as->stale_start = as->stale_end = 0;
	}
	while (len && r == 0) {
		size_t n = MIN(len, HUGE_SIZE - (gva & ~HUGE_MASK));
		uint64_t *pde = walk_make(as, gva, 2);

		if (!pde)
			r = -ENOMEM;
		else if (n < HUGE_SIZE || !huge_fits(as->m, gva, gpa) || !map_huge(&b, pde, gva, gpa, prot))
			r = map_small(as, &b, pde, gva, gpa, n, prot);
		gva += n;
		gpa += n;
		len -= n;
	}
	batch_flush(&b);
	return r;
}

static void unmap_small(struct batch *b, uint64_t *e, gva_t gva, size_t len)
{
	for (; len; e++, gva += PAGE_SIZE, len -= PAGE_SIZE) {
		uint64_t old = entry_get(e);

		if (!in_use(old))
			continue;
		entry_set(e, 0);
		batch_add(b, gva, old, PAGE_SIZE);
	}
}

static void unmap(struct aspace *as, struct batch *b, gva_t gva, size_t len)
{
	while (len) {
		size_t n = MIN(len, HUGE_SIZE - (gva & ~HUGE_MASK)), skip;
		uint64_t *pde = walk_find(as, gva, &skip), old = pde ? entry_get(pde) : 0;

		if (!pde) {
			n = MIN(len, skip);
		} else if (is_huge(old) && n == HUGE_SIZE) {
			entry_set(pde, 0);
			batch_add(b, gva, old, HUGE_SIZE);
		} else if (in_use(old)) {
			/* Without memory for the split the whole leaf goes: the rest faults in again, from the owner's knowledge. */
			if (is_huge(old) && split(as, pde) < 0) {
				entry_set(pde, 0);
				batch_add(b, gva & HUGE_MASK, old, HUGE_SIZE);
			} else {
				unmap_small(b, walk_make(as, gva, 1), gva, n);
			}
		}
		gva += n;
		len -= n;
	}
	batch_flush(b);
}

void aspace_unmap(struct aspace *as, gva_t gva, size_t len, as_unmapped_fn fn, void *ctx)
{
	struct batch b = { .m = as->m, .as = as, .fn = fn, .ctx = ctx, .zap_max = UNMAP_ZAP_MAX };

	unmap(as, &b, gva, len);
}

void aspace_retire(struct aspace *as, as_unmapped_fn fn, void *ctx)
{
	struct batch b = { .m = as->m, .as = as, .fn = fn, .ctx = ctx, .retired = true };

	unmap(as, &b, 0, USER_END);
}

static void protect_small(struct batch *b, uint64_t *e, gva_t gva, size_t len, int prot)
{
	for (; len; e++, gva += PAGE_SIZE, len -= PAGE_SIZE) {
		uint64_t old = entry_get(e), now;

		if (!in_use(old))
			continue;
		now = leaf(old & PTE_ADDR, prot);
		entry_set(e, now);
		if (narrows(old, now))
			batch_add(b, gva, old, PAGE_SIZE);
	}
}

int aspace_protect(struct aspace *as, gva_t gva, size_t len, int prot)
{
	struct batch b = { .m = as->m, .as = as, .zap_max = NARROW_ZAP_MAX };
	int r = 0;

	while (len && r == 0) {
		size_t n = MIN(len, HUGE_SIZE - (gva & ~HUGE_MASK)), skip;
		uint64_t *pde = walk_find(as, gva, &skip), old = pde ? entry_get(pde) : 0;

		if (!pde) {
			n = MIN(len, skip);
		} else if (is_huge(old) && n == HUGE_SIZE) {
			map_huge(&b, pde, gva, old & PTE_ADDR & HUGE_MASK, prot);
		} else if (in_use(old)) {
			r = is_huge(old) && leaf_prot(old) != prot ? split(as, pde) : 0;
			if (r == 0 && is_table(entry_get(pde)))
				protect_small(&b, walk_make(as, gva, 1), gva, n, prot);
		}
		gva += n;
		len -= n;
	}
	batch_flush(&b);
	return r;
}

bool aspace_lookup(struct aspace *as, gva_t gva, struct as_mapping *ret)
{
	size_t skip;
	uint64_t *pde, e;
	gpa_t gpa;

	if (gva >= USER_END) {
		ret->len = PAGE_SIZE;
		return false;
	}
	pde = walk_find(as, gva, &skip);
	e = pde ? entry_get(pde) : 0;
	if (!pde || !in_use(e)) {
		ret->len = pde ? HUGE_SIZE - (gva & ~HUGE_MASK) : skip;
		return false;
	}
	if (is_huge(e)) {
		gpa = (e & PTE_ADDR & HUGE_MASK) + (gva & ~HUGE_MASK);
		ret->len = HUGE_SIZE - (gva & ~HUGE_MASK);
	} else {
		e = entry_get(entries(as->m, e & PTE_ADDR) + slot_of(gva, 1));
		gpa = (e & PTE_ADDR) + (gva & ~PAGE_MASK);
		ret->len = PAGE_SIZE - (gva & ~PAGE_MASK);
		if (!in_use(e))
			return false;
	}
	ret->gpa = gpa;
	ret->hva = gpa_hva(as->m, gpa);
	ret->prot = leaf_prot(e);
	ret->window = gpa_is_window(gpa);
	return true;
}
