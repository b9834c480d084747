/* SPDX-License-Identifier: MIT */
/* The machine in plain memory; fake_platform.h says what it is for. */
#include "tests/lib/fake_platform.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/base/list.h"
#include "emul/base/mutex.h"

#define FRAMES_GPA ((gpa_t)1 << 32)  /* frames from here on, as chunks come */
#define VDSO_GPA ((gpa_t)1 << 40)
#define WINDOWS_GPA ((gpa_t)1 << 44) /* above what the frame pool may hold */
#define XSTATE_SIZE 576              /* the least that XSAVE has */

enum region_kind { REGION_FRAMES, REGION_WINDOW, REGION_VDSO };

/* Guest physical memory in one piece. */
struct region {
	struct list node;
	enum region_kind kind;
	gpa_t gpa;
	size_t len;
	int prot;
	char *hva;
};

struct fake {
	struct platform p;
	struct fake_budget budget;
	struct fake_counts counts;
	struct mutex lock;
	/* lock: */
	struct list regions;
	struct list aspaces;
	gpa_t next_frames, next_window;
};

struct pte { gva_t gva; gpa_t gpa; char *hva; int prot; bool window; };

struct aspace {
	struct fake *f;
	struct list node; /* fake->lock */
	struct pte *pte;  /* sorted; serialised by the owner, like the calls */
	size_t n, cap;
};

/* A broken rule is a bug of the caller; not assert(), which a build may leave out. */
#define DEMAND(cond) ((cond) ? (void)0 : demand_failed(#cond, __LINE__))

static void demand_failed(const char *what, int line)
{
	__assert_fail(what, __FILE__, (unsigned)line, "fake platform");
}

static struct fake *fake_of(struct platform *p)
{
	return container_of(p, struct fake, p);
}

/* Is one more call of this kind to succeed? */
static bool spend(_Atomic int *left)
{
	int n = atomic_load(left);

	while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1))
		;
	return n != 0;
}

/* --- guest physical memory -------------------------------------------------------------------------------- */

static struct region *region_of(struct fake *f, gpa_t gpa, size_t len)
{
	struct region *r;

	mutex_assert_held(&f->lock);
	list_for_each(r, &f->regions, node)
		if (gpa >= r->gpa && gpa - r->gpa < r->len && len <= r->len - (gpa - r->gpa))
			return r;
	return NULL;
}

static int add_region(struct fake *f, enum region_kind kind, gpa_t gpa, void *hva, size_t len, int prot)
{
	struct region *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*r = (struct region){ .kind = kind, .gpa = gpa, .len = len, .prot = prot, .hva = hva };
	list_add_tail(&f->regions, &r->node);
	return 0;
}

/* 2 MiB aligned, as platform.h promises. */
static void *map_aligned(size_t size)
{
	char *p = mmap(NULL, size + HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = (char *)(((uintptr_t)p + HUGE_SIZE - 1) & HUGE_MASK);

	if (p == MAP_FAILED)
		return NULL;
	if (at > p)
		munmap(p, (size_t)(at - p));
	munmap(at + size, (size_t)(p + HUGE_SIZE - at));
	return at;
}

static int mem_grow(struct platform *p, size_t size, gpa_t *ret_gpa, void **ret_hva)
{
	struct fake *f = fake_of(p);
	void *hva;
	int r;

	DEMAND(size && !(size & ~HUGE_MASK));
	hva = spend(&f->budget.mem_grow) ? map_aligned(size) : NULL;
	if (!hva)
		return -ENOMEM;
	mutex_lock(&f->lock);
	r = add_region(f, REGION_FRAMES, f->next_frames, hva, size, PROT_READ | PROT_WRITE | PROT_EXEC);
	if (r == 0) {
		*ret_gpa = f->next_frames;
		*ret_hva = hva;
		f->next_frames += size;
	}
	mutex_unlock(&f->lock);
	if (r < 0)
		munmap(hva, size);
	return r;
}

/* The host address of frames; aborts for anything else. */
static char *frames_hva(struct fake *f, gpa_t gpa, size_t len)
{
	struct region *r;
	char *hva;

	mutex_lock(&f->lock);
	r = region_of(f, gpa, len);
	DEMAND(r && r->kind == REGION_FRAMES);
	hva = r->hva + (gpa - r->gpa);
	mutex_unlock(&f->lock);
	return hva;
}

static void burn(unsigned ns)
{
	struct timespec a, b;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	do {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	} while ((uint64_t)(b.tv_sec - a.tv_sec) * 1000000000 + (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec < ns);
}

static int mem_populate(struct platform *p, gpa_t gpa, size_t len)
{
	struct fake *f = fake_of(p);

	frames_hva(f, gpa, len); /* memory comes with the first touch */
	if (!spend(&f->budget.mem_populate))
		return -ENOMEM;
	if (len == HUGE_SIZE)
		burn(f->counts.huge_ns);
	f->counts.populated += len;
	return 0;
}

static void mem_huge(struct platform *p, gpa_t gpa, size_t len, bool huge)
{
	struct fake *f = fake_of(p);

	frames_hva(f, gpa, len); /* which pages is all the same here */
	DEMAND(len == HUGE_SIZE && (!huge || f->counts.small));
	f->counts.small += huge ? -1u : 1;
}

static void mem_discard(struct platform *p, gpa_t gpa, size_t len)
{
	madvise(frames_hva(fake_of(p), gpa, len), len, MADV_DONTNEED);
}

static int window_map(struct platform *p, int fd, off_t off, size_t len, int prot, gpa_t *ret_gpa, void **ret_hva)
{
	struct fake *f = fake_of(p);
	void *hva;
	int r;

	DEMAND(len && !(len & ~PAGE_MASK) && !((uint64_t)off & ~PAGE_MASK));
	if (!spend(&f->budget.window_map))
		return -ENOMEM;
	hva = mmap(NULL, len, prot, MAP_SHARED, fd, off);
	if (hva == MAP_FAILED)
		return -errno;
	mutex_lock(&f->lock);
	r = add_region(f, REGION_WINDOW, f->next_window, hva, len, prot);
	if (r == 0) {
		*ret_gpa = f->next_window;
		*ret_hva = hva;
		f->next_window += len;
		atomic_fetch_add(&f->counts.windows, 1);
	}
	mutex_unlock(&f->lock);
	if (r < 0)
		munmap(hva, len);
	return r;
}

/* Entries are looked at without their owners' locks: right in tests, which drop windows when nothing else happens. */
static void demand_unmapped(struct fake *f, const struct region *r)
{
	struct aspace *as;

	list_for_each(as, &f->aspaces, node)
		for (size_t i = 0; i < as->n; i++)
			DEMAND(as->pte[i].gpa - r->gpa >= r->len);
}

static void window_unmap(struct platform *p, gpa_t gpa, size_t len)
{
	struct fake *f = fake_of(p);
	struct region *r;

	mutex_lock(&f->lock);
	r = region_of(f, gpa, len);
	DEMAND(r && r->kind == REGION_WINDOW && r->gpa == gpa && r->len == len);
	demand_unmapped(f, r);
	list_del(&r->node);
	mutex_unlock(&f->lock);
	munmap(r->hva, r->len);
	free(r);
	atomic_fetch_sub(&f->counts.windows, 1);
}

/* --- address spaces ----------------------------------------------------------------------------------------- */

static struct aspace *as_new(struct platform *p)
{
	struct fake *f = fake_of(p);
	struct aspace *as = spend(&f->budget.as_new) ? calloc(1, sizeof(*as)) : NULL;

	if (!as)
		return NULL;
	as->f = f;
	mutex_lock(&f->lock);
	list_add_tail(&f->aspaces, &as->node);
	mutex_unlock(&f->lock);
	atomic_fetch_add(&f->counts.aspaces, 1);
	return as;
}

static void as_free(struct aspace *as)
{
	struct fake *f = as->f;

	DEMAND(as->n == 0);
	mutex_lock(&f->lock);
	list_del(&as->node);
	mutex_unlock(&f->lock);
	free(as->pte);
	free(as);
	atomic_fetch_sub(&f->counts.aspaces, 1);
}

static void demand_range(gva_t gva, size_t len)
{
	DEMAND(!((gva | len) & ~PAGE_MASK));
	DEMAND(gva <= USER_END && len <= USER_END - gva);
}

/* The first entry at or above gva. */
static size_t lower_bound(const struct aspace *as, gva_t gva)
{
	size_t low = 0, high = as->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (as->pte[mid].gva < gva)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool make_room(struct aspace *as, size_t more)
{
	size_t cap = MAX(as->cap * 2, as->n + more);
	struct pte *pte;

	if (as->n + more <= as->cap)
		return true;
	pte = realloc(as->pte, cap * sizeof(*pte));
	if (!pte)
		return false;
	as->pte = pte;
	as->cap = cap;
	return true;
}

/* Entries [i, j) are replaced by n empty ones. There is room. */
static void replace(struct aspace *as, size_t i, size_t j, size_t n)
{
	if (as->n > j)
		memmove(as->pte + i + n, as->pte + j, (as->n - j) * sizeof(*as->pte));
	as->n = as->n - (j - i) + n;
	atomic_fetch_add(&as->f->counts.leaves, (unsigned)(n - (j - i)));
}

static int as_map(struct aspace *as, gva_t gva, gpa_t gpa, size_t len, int prot)
{
	size_t n = len >> PAGE_SHIFT, i, j;
	struct region r;

	demand_range(gva, len);
	mutex_lock(&as->f->lock);
	DEMAND(region_of(as->f, gpa, len));
	r = *region_of(as->f, gpa, len);
	mutex_unlock(&as->f->lock);
	DEMAND(!(gpa & ~PAGE_MASK) && !(prot & PROT_WRITE & ~r.prot));
	if (!spend(&as->f->budget.as_map) || !make_room(as, n))
		return -ENOMEM;
	i = lower_bound(as, gva);
	j = lower_bound(as, gva + len);
	replace(as, i, j, n);
	for (size_t k = 0; k < n; k++)
		as->pte[i + k] = (struct pte){ .gva = gva + k * PAGE_SIZE, .gpa = gpa + k * PAGE_SIZE, .prot = prot,
					       .hva = r.hva + (gpa - r.gpa) + k * PAGE_SIZE, .window = r.kind == REGION_WINDOW };
	return 0;
}

/* The callback comes after the entries are gone, as on the real machine. */
static void as_unmap(struct aspace *as, gva_t gva, size_t len, as_unmapped_fn fn, void *ctx)
{
	size_t i, n;
	struct pte *gone;

	demand_range(gva, len);
	i = lower_bound(as, gva);
	n = lower_bound(as, gva + len) - i;
	if (!n)
		return;
	gone = malloc(n * sizeof(*gone));
	DEMAND(gone);
	memcpy(gone, as->pte + i, n * sizeof(*gone));
	replace(as, i, i + n, 0);
	for (size_t a = 0, b; fn && a < n; a = b) {
		for (b = a + 1; b < n && gone[b].gva == gone[a].gva + (b - a) * PAGE_SIZE; b++)
			if (gone[b].gpa != gone[a].gpa + (b - a) * PAGE_SIZE)
				break;
		fn(ctx, gone[a].gva, gone[a].gpa, (b - a) * PAGE_SIZE);
	}
	free(gone);
}

static int as_protect(struct aspace *as, gva_t gva, size_t len, int prot)
{
	size_t end;

	demand_range(gva, len);
	end = lower_bound(as, gva + len);
	for (size_t i = lower_bound(as, gva); i < end; i++) {
		bool last = i + 1 == end && as->pte[i].prot != prot;

		if (last && !spend(&as->f->budget.as_protect))
			return -ENOMEM;
		as->pte[i].prot = prot;
	}
	return 0;
}

static bool as_lookup(struct aspace *as, gva_t gva, struct as_mapping *ret)
{
	gva_t page = page_down(gva);
	const struct pte *e;
	size_t i;

	ret->len = PAGE_SIZE - (gva & ~PAGE_MASK);
	if (gva >= USER_END)
		return false;
	i = lower_bound(as, page);
	e = i < as->n ? &as->pte[i] : NULL;
	if (!e || e->gva != page) {
		ret->len = (e ? e->gva : USER_END) - gva;
		return false;
	}
	ret->gpa = e->gpa + (gva - page);
	ret->hva = e->hva + (gva - page);
	ret->prot = e->prot;
	ret->window = e->window;
	return true;
}

/* --- virtual CPUs: none ------------------------------------------------------------------------------------- */

static int vcpu_get(struct platform *p, struct vcpu **ret) { return -EAGAIN; }
static void vcpu_put(struct vcpu *v) {}
static int vcpu_attach(struct vcpu *v, struct aspace *as) { return -EAGAIN; }
static void vcpu_run(struct vcpu *v, struct uregs *r, struct vcpu_event *ev)
{
	*ev = (struct vcpu_event){ .kind = VCPU_DEAD };
}
static void vcpu_set_server(struct vcpu *v, const struct call_server *s, void *ctx) {}
static void vcpu_kick(struct vcpu *v) {}
static int vcpu_get_xstate(struct vcpu *v, void *buf) { return -EAGAIN; }
static int vcpu_set_xstate(struct vcpu *v, const void *buf) { return -EAGAIN; }
static void vcpu_reset_xstate(struct vcpu *v) {}

static const struct platform_ops fake_ops = {
	.name = "fake",
	.mem_grow = mem_grow,
	.mem_populate = mem_populate,
	.mem_huge = mem_huge,
	.mem_discard = mem_discard,
	.window_map = window_map,
	.window_unmap = window_unmap,
	.as_new = as_new,
	.as_free = as_free,
	.as_map = as_map,
	.as_unmap = as_unmap,
	.as_protect = as_protect,
	.as_lookup = as_lookup,
	.vcpu_get = vcpu_get,
	.vcpu_put = vcpu_put,
	.vcpu_attach = vcpu_attach,
	.vcpu_run = vcpu_run,
	.vcpu_set_server = vcpu_set_server,
	.vcpu_kick = vcpu_kick,
	.vcpu_get_xstate = vcpu_get_xstate,
	.vcpu_set_xstate = vcpu_set_xstate,
	.vcpu_reset_xstate = vcpu_reset_xstate,
};

/* --- life ----------------------------------------------------------------------------------------------------- */

struct platform *fake_platform_new(void)
{
	struct fake *f = calloc(1, sizeof(*f));
	char *vdso = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	DEMAND(f && vdso != MAP_FAILED);
	f->p.ops = &fake_ops;
	f->p.xstate_size = XSTATE_SIZE;
	f->p.xfeatures = 3; /* x87, SSE */
	f->p.vdso = (struct vdso_image){ VDSO_GPA, .vvar_len = PAGE_SIZE, .vdso_len = PAGE_SIZE, .vdso = vdso + PAGE_SIZE };
	f->budget = (struct fake_budget){ -1, -1, -1, -1, -1, -1 };
	f->next_frames = FRAMES_GPA;
	f->next_window = WINDOWS_GPA;
	mutex_init(&f->lock);
	list_init(&f->regions);
	list_init(&f->aspaces);
	memcpy(vdso, "vvar", 4);
	memcpy(vdso + PAGE_SIZE, "vdso", 4);
	DEMAND(add_region(f, REGION_VDSO, VDSO_GPA, vdso, 2 * PAGE_SIZE, PROT_READ | PROT_EXEC) == 0);
	return &f->p;
}

void fake_platform_free(struct platform *p)
{
	struct fake *f = fake_of(p);
	struct region *r, *tmp;

	DEMAND(list_empty(&f->aspaces) && f->counts.windows == 0 && f->counts.leaves == 0);
	list_for_each_safe(r, tmp, &f->regions, node) {
		munmap(r->hva, r->len);
		free(r);
	}
	mutex_fini(&f->lock);
	free(f);
}

struct fake_budget *fake_budget(struct platform *p)
{
	return &fake_of(p)->budget;
}

struct fake_counts *fake_counts(struct platform *p)
{
	return &fake_of(p)->counts;
}
