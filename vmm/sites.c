/* SPDX-License-Identifier: MIT */
/*
 * Rewritten call sites: a `syscall` that is executed often becomes a jump into a gate, where the instruction costs more than all the rest of
 * a short call (rewrite.c).
 *
 * Theory of operation. Seven bytes of the site become `jmp *P`, P a pointer in the upper half, where no program can map anything. It
 * leads to a cell: a copy of the instructions that the jump replaced, the return address into rcx, a jump into the gate, and, if
 * instructions behind the `syscall` were replaced too, these and a jump back. Cells belong to one address space, and live as long.
 *
 * Nobody may notice. The program may stand at, return to, or jump to any instruction that the jump replaced: in a signal handler's frame,
 * in a thread that was interrupted there, by a branch to the old `syscall`, or by our own repeating of a call. The four bytes of
 * P's address stand at the offsets 3 to 6 of the site; they are chosen so that each that an instruction began at is an opcode that does not
 * exist: the program gets there, #UD comes out, and it goes on at the same instruction in the cell (sites_undefined). Offset 2 is
 * the exception: see `xor`. The other way round, whatever comes out of the guest with rip in a cell shows the address of the
 * instruction's original (sites_hide). A program that steps gets its original text back (VCPU_STEPS).
 *
 * Where instructions begin is known by what the registers say: the number that was called is the one that the candidate loads.
 * Text that can be written, or is shared, or is no file's, is left alone (emul/mm/patch.c).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "emul/base/err.h"
#include "guest-rt/abi.h"
#include "vmm/machine.h"

#define CELL_SIZE 128
#define CELLS_PER_PAGE (PAGE_SIZE / CELL_SIZE)
#define CELL_CODE 16         /* before it: the pointer that the site jumps by */
#define PAGE_HEAD 1          /* the first cell of a page holds the gate's address */
#define SITE_LEN 7
#define POSITIONS 10
#define HITS 512             /* sites counted at a time */
#define HOT 48               /* calls that pay for rewriting */
#define TRY_AGAIN 65536      /* the text may be another by then */

/* An instruction that the jump replaced, or that was copied: where it is in the text and in the cell. */
struct position { uint8_t text, cell; };

struct site {
	gva_t start;
	uint8_t old[SITE_LEN], now[SITE_LEN];
	bool is_xor;                   /* see shape_xor() */
	uint8_t n;
	struct position at[POSITIONS]; /* in order */
};

struct sites {
	struct { _Atomic gva_t ret; _Atomic uint32_t n; } hits[HITS];
	uint8_t *cells[RT_SITES_SIZE / PAGE_SIZE];    /* host view; the guest may read and execute */
	struct site *_Atomic page[RT_SITES_SIZE / PAGE_SIZE]; /* CELLS_PER_PAGE each */
	_Atomic unsigned n;      /* in order of making: order[] */
	uint16_t order[RT_SITES_SIZE / CELL_SIZE];
	unsigned next_plain, next_strict;
};

/* --- finding a site's shape ---------------------------------------------------------------------------------------- */

/* Length of the instruction if it may be executed anywhere: no jump, nothing relative to rip. 0: not known to be one. */
static unsigned movable(const uint8_t *c, unsigned max)
{
	unsigned i = 0, n;
	uint8_t op, modrm;

	if (max && (c[0] & 0xf0) == 0x40)
		i++;
	if (i >= max)
		return 0;
	op = c[i++];
	if (op == 0x3d) /* cmp $imm32, %eax */
		return i + 4 <= max ? i + 4 : 0;
	if (op >= 0xb8 && op <= 0xbf) /* mov $imm, reg */
		return !(i == 2 && (c[0] & 8)) && i + 4 <= max ? i + 4 : 0;
	switch (op) {
	case 0x01: case 0x09: case 0x21: case 0x29: case 0x31: case 0x33: case 0x39: case 0x3b: case 0x63: case 0x85:
	case 0x89: case 0x8b: case 0x8d: n = 0; break;
	case 0x80: case 0x83: n = 1; break;
	case 0x81: case 0xc7: n = 4; break;
	default: return 0;
	}
	if (i >= max)
		return 0;
	modrm = c[i++];
	if (modrm >> 6 != 3) {
		if ((modrm & 7) == 4) {
			if (i >= max || (modrm >> 6 == 0 && (c[i] & 7) == 5))
				return 0;
			i++;
		} else if (modrm >> 6 == 0 && (modrm & 7) == 5) {
			return 0; /* relative to rip */
		}
		n += modrm >> 6 == 1 ? 1 : modrm >> 6 == 2 ? 4 : 0;
	}
	return i + n <= max ? i + n : 0;
}

/* n bytes of movable instructions, all of them. */
static bool all_movable(const uint8_t *c, unsigned n)
{
	while (n) {
		unsigned k = movable(c, n);

		if (!k)
			return false;
		c += k;
		n -= k;
	}
	return true;
}

static uint32_t imm32(const uint8_t *c)
{
	uint32_t v;

	memcpy(&v, c, sizeof(v));
	return v;
}

static uint64_t reg_value(const struct uregs *r, unsigned reg)
{
	const uint64_t all[16] = { 0, 0, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi, r->r8, r->r9, r->r10, 0, r->r12, r->r13, r->r14, r->r15 };

	return all[reg];
}

/* What a shape says: bytes before the `syscall` that are replaced or copied; 0: not this shape. end points just behind the `syscall`. */
static unsigned shape_mov_imm(const uint8_t *end, uint32_t nr)
{
	/* mov $nr, %eax, with movable instructions up to the `syscall`; the five bytes might be another one's end. */
	for (unsigned gap = 0; gap <= SITE_BEFORE - 2 - 6; gap++) {
		const uint8_t *c = end - 2 - gap - 5;

		if (gap != 1 && c[0] == 0xb8 && imm32(c + 1) == nr && (c[-1] & 0xf0) != 0x40 && c[-1] != 0x0f && all_movable(c + 5, gap))
			return 5 + gap;
	}
	return 0;
}

static unsigned shape_mov_imm64(const uint8_t *end, uint32_t nr)
{
	static const uint8_t mov[] = { 0x48, 0xc7, 0xc0 }; /* mov $nr, %rax */

	return !memcmp(end - 9, mov, sizeof(mov)) && imm32(end - 6) == nr ? 7 : 0;
}

/* The number comes from elsewhere: glibc's syscall(3) and Go's Syscall6, by the instructions before the `syscall`. */
static unsigned shape_known(const uint8_t *end)
{
	static const uint8_t glibc[] = { 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08 }; /* mov %r9, %r8; mov 8(%rsp), %r9 */
	static const uint8_t go[] = { 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48, 0x89, 0xdf }; /* mov %rdi, %rdx; mov %rcx, %rsi; mov %rbx, %rdi */

	if (!memcmp(end - 2 - sizeof(glibc), glibc, sizeof(glibc)))
		return 5;
	if (!memcmp(end - 2 - sizeof(go), go, sizeof(go)))
		return 3;
	return 0;
}

/* mov %reg, %eax in its three-byte form, in musl with mov %rdx, %rsi behind it; the register must hold the number. */
static unsigned shape_mov_reg(const uint8_t *end, const struct uregs *r, uint32_t nr)
{
	static const uint8_t musl[] = { 0x48, 0x89, 0xd6 };
	unsigned gap = !memcmp(end - 2 - sizeof(musl), musl, sizeof(musl)) ? sizeof(musl) : 0;
	const uint8_t *c = end - 2 - gap - 3;
	unsigned reg = (c[2] >> 3 & 7) | (c[0] & 4 ? 8 : 0);

	if ((c[0] & 0xf3) != 0x40 || c[1] != 0x89 || c[2] >> 6 != 3 || (c[2] & 7) != 0)
		return 0;
	if (reg == 0 || reg == 1 || reg == 11)
		return 0; /* rax itself; rcx and r11 are gone by now */
	return (uint32_t)reg_value(r, reg) == nr ? 3 + gap : 0;
}

/*
 * xor %eax, %eax; syscall; cmp $-4095 or -4096, %rax. Here an instruction begins at offset 2, the `syscall`. There stands then
 * `and $P, %eax`, harmless to the zero that the number is and to flags that the xor had set the same, and behind it the last three
 * bytes of the old cmp, an opcode that does not exist: #UD at offset 7.
 */
static bool shape_xor(const uint8_t *end, uint32_t nr)
{
	static const uint8_t tail[] = { 0xf0, 0xff, 0xff };

	return nr == 0 && end[-4] == 0x31 && end[-3] == 0xc0 && end[0] == 0x48 && end[1] == 0x3d && end[2] <= 1 &&
	       !memcmp(end + 3, tail, sizeof(tail));
}

unsigned sites_shape(const uint8_t *end, const struct uregs *r, uint32_t nr, unsigned *ret_after)
{
	unsigned before;

	*ret_after = 0;
	if (end[-2] != 0x0f || end[-1] != 0x05)
		return 0;
	if ((before = shape_mov_imm(end, nr)) || (before = shape_mov_imm64(end, nr)))
		return before;
	if (shape_xor(end, nr)) {
		*ret_after = 6;
		return 2;
	}
	if (!(before = shape_known(end)) && !(before = shape_mov_reg(end, r, nr)))
		return 0;
	if (before + 2 >= SITE_LEN)
		return before;
	*ret_after = movable(end, SITE_AFTER);
	return before + 2 + *ret_after >= SITE_LEN ? before : 0;
}

/* --- counting -------------------------------------------------------------------------------------------------------- */

static struct sites *sites_of(struct aspace *as)
{
	return atomic_load_explicit(aspace_sites(as), memory_order_acquire);
}

static struct sites *sites_make(struct aspace *as)
{
	struct sites *s = sites_of(as), *none = NULL;

	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (s && !atomic_compare_exchange_strong(aspace_sites(as), &none, s)) {
		free(s);
		s = none;
	}
	return s;
}

bool sites_note(struct aspace *as, gva_t ret, unsigned weight)
{
	struct sites *s = as && ret < USER_END ? sites_make(as) : NULL;
	unsigned i = (unsigned)(ret ^ ret >> 9) % HITS, n;

	if (!s)
		return false;
	/* Counts may get lost between threads: they are a guess anyway. */
	if (atomic_load_explicit(&s->hits[i].ret, memory_order_relaxed) != ret) {
		atomic_store_explicit(&s->hits[i].ret, ret, memory_order_relaxed);
		atomic_store_explicit(&s->hits[i].n, 0, memory_order_relaxed);
	}
	n = atomic_fetch_add_explicit(&s->hits[i].n, weight, memory_order_relaxed);
	if (n >= TRY_AGAIN)
		atomic_store_explicit(&s->hits[i].n, 0, memory_order_relaxed);
	return n < HOT && n + weight >= HOT;
}

/* --- cells ------------------------------------------------------------------------------------------------------------ */

/* Opcodes that do not exist in 64-bit mode, whatever follows. */
static bool undefined_opcode(uint8_t b)
{
	static const uint8_t list[] = { 0x06, 0x0e, 0x16, 0x1e, 0x27, 0x2f, 0x37, 0x3f, 0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd6, 0xea };

	return memchr(list, b, sizeof(list)) != NULL;
}

static gva_t cell_gva(unsigned cell)
{
	return RT_SITES + (gva_t)cell * CELL_SIZE;
}

/* Where in the cell the pointer is: its address must end in an opcode that does not exist, 0x06 or 0x82. */
static unsigned cell_pointer(unsigned cell)
{
	return cell & 1 ? 2 : 6;
}

static bool cell_is_strict(unsigned cell)
{
	return undefined_opcode((uint8_t)(cell_gva(cell) >> 8));
}

/* The next unused cell; strict: the second byte of its address is undefined too. -1: none left. */
static int cell_take(struct sites *s, bool strict)
{
	unsigned *next = strict ? &s->next_strict : &s->next_plain;

	for (; *next < RT_SITES_SIZE / CELL_SIZE; ++*next)
		if (*next % CELLS_PER_PAGE >= PAGE_HEAD && cell_is_strict(*next) == strict)
			return (int)(*next)++;
	return -1;
}

static bool page_make(struct aspace *as, struct sites *s, unsigned page)
{
	struct machine *m = aspace_machine(as);
	struct site *sites;

	if (s->cells[page])
		return true;
	sites = calloc(CELLS_PER_PAGE, sizeof(*sites));
	s->cells[page] = sites ? aspace_map_sites(as, RT_SITES + page * PAGE_SIZE) : NULL;
	if (!s->cells[page]) {
		free(sites);
		return false;
	}
	*(uint64_t *)s->cells[page] = m->gate[GATE_JUMP].base + m->gate[GATE_JUMP].jumped;
	atomic_store_explicit(&s->page[page], sites, memory_order_release);
	return true;
}

struct writer { uint8_t *cell; gva_t gva; unsigned at; };

static void put(struct writer *w, const void *bytes, unsigned n)
{
	assert(w->at + n <= CELL_SIZE);
	memcpy(w->cell + w->at, bytes, n);
	w->at += n;
}

#define PUT(w, ...) put(w, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void put_rel32(struct writer *w, gva_t target)
{
	int32_t rel = (int32_t)(target - (w->gva + w->at + 4));

	put(w, &rel, sizeof(rel));
}

/* A jump through the eight bytes at target. */
static void put_jump(struct writer *w, gva_t target)
{
	PUT(w, 0xff, 0x25);
	put_rel32(w, target);
}

static void position(struct site *site, unsigned text, unsigned cell)
{
	assert(site->n < POSITIONS);
	site->at[site->n++] = (struct position){ (uint8_t)text, (uint8_t)cell };
}

/* before: bytes of movable instructions in front of the `syscall` at end - 2; after: bytes of one behind it that is copied too. */
static void cell_fill(struct site *site, struct writer *w, const uint8_t *end, gva_t ret, unsigned before, unsigned after)
{
	const uint8_t *c = end - 2 - before;
	unsigned k;

	for (unsigned i = 0; i < before; i += k) {
		k = movable(c + i, before - i);
		assert(k);
		position(site, i, w->at);
		put(w, c + i, k);
	}
	position(site, before, w->at);
	if (!after) {
		PUT(w, 0x48, 0xb9); /* movabs $ret, %rcx */
		put(w, &ret, sizeof(ret));
		put_jump(w, w->gva & PAGE_MASK);
		return;
	}
	PUT(w, 0x48, 0x8d, 0x0d); /* lea what follows the jump, %rcx */
	put_rel32(w, w->gva + w->at + 4 + 6);
	put_jump(w, w->gva & PAGE_MASK);
	position(site, before + 2, w->at);
	put(w, end, after);
	position(site, before + 2 + after, w->at);
	put_jump(w, w->gva + w->at + 6);
	ret += after;
	put(w, &ret, sizeof(ret));
}

/* The site at start, if it was made before; the same text gives the same cell. */
static struct site *site_find(struct sites *s, gva_t start)
{
	unsigned n = atomic_load_explicit(&s->n, memory_order_acquire);

	for (unsigned i = 0; i < n; i++) {
		unsigned cell = s->order[i];
		struct site *site = &s->page[cell / CELLS_PER_PAGE][cell % CELLS_PER_PAGE];

		if (site->start == start)
			return site;
	}
	return NULL;
}

static void to_patch(const struct site *site, struct text_patch *ret)
{
	ret->at = site->start;
	ret->len = SITE_LEN;
	memcpy(ret->old, site->old, SITE_LEN);
	memcpy(ret->now, site->now, SITE_LEN);
}

static bool site_new(struct aspace *as, struct sites *s, const uint8_t *end, gva_t ret, unsigned before, unsigned after, struct text_patch *out)
{
	bool is_xor = before == 2; /* then one begins at offset 4 */
	int cell = cell_take(s, is_xor);
	struct site *site;
	struct writer w;
	uint32_t disp;
	uint64_t code;

	if (cell < 0 || !page_make(as, s, (unsigned)cell / CELLS_PER_PAGE))
		return false;
	site = &s->page[(unsigned)cell / CELLS_PER_PAGE][(unsigned)cell % CELLS_PER_PAGE];
	w = (struct writer){ s->cells[(unsigned)cell / CELLS_PER_PAGE] + (unsigned)cell % CELLS_PER_PAGE * CELL_SIZE, cell_gva((unsigned)cell), CELL_CODE };
	site->n = 0;
	site->is_xor = is_xor;
	cell_fill(site, &w, end, ret, before, after);
	code = w.gva + CELL_CODE;
	memcpy(w.cell + cell_pointer((unsigned)cell), &code, sizeof(code));
	memcpy(site->old, end - 2 - before, SITE_LEN);
	memcpy(site->now, (const uint8_t[]){ 0xff, 0x24, 0x25 }, 3); /* jmp *disp32 */
	disp = (uint32_t)(w.gva + cell_pointer((unsigned)cell));
	memcpy(site->now + 3, &disp, sizeof(disp));
	site->start = ret - 2 - before;
	atomic_fetch_add_explicit(&aspace_machine(as)->nsites, 1, memory_order_relaxed);
	s->order[s->n] = (uint16_t)cell;
	atomic_store_explicit(&s->n, s->n + 1, memory_order_release);
	to_patch(site, out);
	return true;
}

bool sites_make_patch(struct aspace *as, const struct uregs *r, uint64_t number, const uint8_t *text, struct text_patch *ret)
{
	const uint8_t *end = text + SITE_BEFORE;
	struct sites *s = sites_of(as);
	unsigned before, after;
	struct site *site;

	before = s ? sites_shape(end, r, (uint32_t)number, &after) : 0;
	if (!before)
		return false;
	site = site_find(s, r->rip - 2 - before);
	if (site && !memcmp(site->old, end - 2 - before, SITE_LEN)) {
		to_patch(site, ret);
		return true;
	}
	return site_new(as, s, end, r->rip, before, after, ret);
}

bool sites_get(struct aspace *as, unsigned i, struct text_patch *ret)
{
	struct sites *s = sites_of(as);
	unsigned cell;

	if (!s || i >= atomic_load_explicit(&s->n, memory_order_acquire))
		return false;
	cell = s->order[i];
	to_patch(&s->page[cell / CELLS_PER_PAGE][cell % CELLS_PER_PAGE], ret);
	return true;
}

int sites_copy(struct aspace *from, struct aspace *to)
{
	struct sites *a = sites_of(from), *b;

	if (!a || !a->n)
		return 0;
	b = sites_make(to);
	if (!b)
		return -ENOMEM;
	for (unsigned p = 0; p < RT_SITES_SIZE / PAGE_SIZE; p++) {
		if (!a->page[p])
			continue;
		if (!page_make(to, b, p))
			return -ENOMEM;
		memcpy(b->cells[p], a->cells[p], PAGE_SIZE);
		memcpy(b->page[p], a->page[p], CELLS_PER_PAGE * sizeof(struct site));
	}
	memcpy(b->order, a->order, sizeof(b->order));
	b->next_plain = a->next_plain;
	b->next_strict = a->next_strict;
	atomic_store_explicit(&b->n, a->n, memory_order_release);
	return 0;
}

/* The address space is for another program: its cells are empty again. Nobody runs in it. */
void sites_reset(struct aspace *as)
{
	struct sites *s = sites_of(as);

	if (!s)
		return;
	for (unsigned p = 0; p < RT_SITES_SIZE / PAGE_SIZE; p++)
		if (s->cells[p]) {
			memset(s->cells[p] + CELL_SIZE, 0, PAGE_SIZE - CELL_SIZE);
			memset(s->page[p], 0, CELLS_PER_PAGE * sizeof(struct site));
		}
	memset(s->hits, 0, sizeof(s->hits));
	s->next_plain = s->next_strict = 0;
	atomic_store(&s->n, 0);
}

/* --- hiding ------------------------------------------------------------------------------------------------------------- */

bool in_sites(gva_t rip)
{
	return rip >= RT_SITES && rip < RT_SITES + RT_SITES_SIZE;
}

gva_t sites_hide(struct vcpu *v, gva_t rip)
{
	struct sites *s = v->as ? sites_of(v->as) : NULL;
	unsigned cell = (unsigned)((rip - RT_SITES) / CELL_SIZE), off = rip % CELL_SIZE;
	struct site *page, *site;
	gva_t text;

	if (!s || !in_sites(rip))
		return rip;
	page = atomic_load_explicit(&s->page[cell / CELLS_PER_PAGE], memory_order_acquire);
	site = page ? &page[cell % CELLS_PER_PAGE] : NULL;
	if (!site || !site->n || !site->start)
		return rip;
	text = site->start;
	for (unsigned i = 0; i < site->n && site->at[i].cell <= off; i++)
		text = site->start + site->at[i].text;
	v->show_from = text;
	v->show_to = rip;
	return text;
}

/* Where in the cell it goes on for a program that came to the text at off; 0: nowhere. */
static unsigned cell_of_text(const struct site *site, unsigned off)
{
	if (site->is_xor && off == SITE_LEN)
		return site->at[1].cell;
	for (unsigned k = 1; k < site->n && off < SITE_LEN; k++)
		if (site->at[k].text == off)
			return site->at[k].cell;
	return 0;
}

gva_t sites_undefined(struct vcpu *v, gva_t rip)
{
	struct sites *s = v->as ? sites_of(v->as) : NULL;
	unsigned n = s ? atomic_load_explicit(&s->n, memory_order_acquire) : 0;
	uint8_t text[SITE_LEN];

	for (unsigned i = 0; i < n; i++) {
		unsigned cell = s->order[i], to;
		const struct site *site = &s->page[cell / CELLS_PER_PAGE][cell % CELLS_PER_PAGE];

		if (rip - site->start > SITE_LEN)
			continue;
		to = cell_of_text(site, (unsigned)(rip - site->start));
		if (to && exit_read_code(v, site->start, text, SITE_LEN) && !memcmp(text, site->now, SITE_LEN))
			return cell_gva(cell) + to;
	}
	return 0;
}
