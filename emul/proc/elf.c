/* SPDX-License-Identifier: MIT */
/*
 * ELF programs: headers read with libelf, segments mapped as Linux' fs/binfmt_elf.c maps them.
 * The file is the guest's: every number in it is checked. Section headers are never looked at.
 */
#include <libelf.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/proc/exec_internal.h"

static ssize_t read_at(struct file *f, void *buf, size_t len, off_t pos)
{
	struct uio u;
	ssize_t n;

	uio_init_host(&u, buf, len);
	n = file_read(f, &u, &pos);
	uio_fini(&u);
	return n;
}

static int read_exactly(struct file *f, void *buf, size_t len, uint64_t pos)
{
	ssize_t n = pos > INT64_MAX - len ? -EINVAL : read_at(f, buf, len, (off_t)pos);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

static int check_ehdr(const Elf64_Ehdr *h)
{
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (h->e_machine != EM_X86_64 || (h->e_type != ET_EXEC && h->e_type != ET_DYN))
		return -ENOEXEC;
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum < 1 || h->e_phnum > ELF_MAX_PHDRS)
		return -ENOEXEC;
	return 0;
}

/* libelf decodes an image of just the two header tables: the rest of the file is not read for this. */
static int decode_headers(char *image, size_t size, struct elf_file *e)
{
	Elf *elf;
	int r = -ENOEXEC;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	elf = elf_memory(image, size);
	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &e->ehdr))
		goto out;
	for (unsigned i = 0; i < e->ehdr.e_phnum; i++)
		if (!gelf_getphdr(elf, (int)i, &e->phdr[i]))
			goto out;
	r = 0;
out:
	elf_end(elf);
	return r;
}

static int read_headers(struct file *f, struct elf_file *e)
{
	Elf64_Ehdr h;
	size_t table;
	AUTO_FREE char *image = NULL;
	int r = read_exactly(f, &h, sizeof(h), 0);

	if (r < 0)
		return r == -EIO ? -ENOEXEC : r;
	r = check_ehdr(&h);
	if (r < 0)
		return r;
	table = h.e_phnum * sizeof(Elf64_Phdr);
	image = calloc(1, sizeof(h) + table);
	e->phdr = calloc(h.e_phnum, sizeof(*e->phdr));
	if (!image || !e->phdr)
		return -ENOMEM;
	r = read_exactly(f, image + sizeof(h), table, h.e_phoff);
	if (r < 0)
		return r == -EIO ? -ENOEXEC : r;
	h.e_phoff = sizeof(h);
	h.e_shoff = 0;
	h.e_shnum = h.e_shstrndx = 0;
	memcpy(image, &h, sizeof(h));
	return decode_headers(image, sizeof(h) + table, e);
}

static int read_interp(struct file *f, const GElf_Phdr *ph, struct elf_file *e)
{
	int r;

	if (e->interp)
		return 0; /* Linux takes the first */
	if (ph->p_filesz < 2 || ph->p_filesz > 4096)
		return -ENOEXEC;
	e->interp = malloc(ph->p_filesz);
	if (!e->interp)
		return -ENOMEM;
	r = read_exactly(f, e->interp, ph->p_filesz, ph->p_offset);
	if (r < 0)
		return r;
	return e->interp[ph->p_filesz - 1] == '\0' ? 0 : -ENOEXEC;
}

int elf_read(struct file *f, struct elf_file *ret)
{
	struct elf_file e = { .file = f };
	int r = read_headers(f, &e);

	for (unsigned i = 0; r == 0 && i < e.ehdr.e_phnum; i++) {
		if (e.phdr[i].p_type == PT_INTERP)
			r = read_interp(f, &e.phdr[i], &e);
		else if (e.phdr[i].p_type == PT_GNU_STACK)
			e.exec_stack = e.phdr[i].p_flags & PF_X;
	}
	if (r < 0) {
		elf_free(&e);
		return r;
	}
	*ret = e;
	return 0;
}

void elf_free(struct elf_file *e)
{
	free(e->phdr);
	free(e->interp);
	e->phdr = NULL;
	e->interp = NULL;
}

/* The span of all loadable segments and their strictest alignment. */
static int measure(const struct elf_file *e, uint64_t *ret_low, uint64_t *ret_len, uint64_t *ret_align)
{
	uint64_t low = UINT64_MAX, high = 0, align = PAGE_SIZE;

	for (unsigned i = 0; i < e->ehdr.e_phnum; i++) {
		const GElf_Phdr *ph = &e->phdr[i];

		if (ph->p_type != PT_LOAD)
			continue;
		if (ph->p_filesz > ph->p_memsz || ph->p_memsz > USER_END || ph->p_vaddr > USER_END - ph->p_memsz)
			return -EINVAL;
		if ((ph->p_vaddr ^ ph->p_offset) & ~PAGE_MASK)
			return -EINVAL;
		low = MIN(low, page_down(ph->p_vaddr));
		high = MAX(high, page_up(ph->p_vaddr + ph->p_memsz));
		if (ph->p_align > align && !(ph->p_align & (ph->p_align - 1)) && ph->p_align <= HUGE_SIZE * 512)
			align = ph->p_align;
	}
	if (low == UINT64_MAX)
		return -ENOEXEC;
	*ret_low = low;
	*ret_len = high - low;
	*ret_align = align;
	return 0;
}

static int segment_prot(const GElf_Phdr *ph)
{
	return (ph->p_flags & PF_R ? PROT_READ : 0) | (ph->p_flags & PF_W ? PROT_WRITE : 0) |
	       (ph->p_flags & PF_X ? PROT_EXEC : 0);
}

/* The part of a segment that the file holds, then the zeroes behind it (bss). */
static int map_segment(struct mm *mm, const GElf_Phdr *ph, gva_t bias, struct memobj *obj)
{
	gva_t start = page_down(bias + ph->p_vaddr);
	gva_t file_end = bias + ph->p_vaddr + ph->p_filesz;
	gva_t mem_end = page_up(bias + ph->p_vaddr + ph->p_memsz);
	gva_t file_pages_end = ph->p_filesz ? page_up(file_end) : start;
	int prot = segment_prot(ph);
	long r = 0;

	if (ph->p_filesz)
		r = mm_mmap(mm, start, file_pages_end - start, prot, MAP_PRIVATE | MAP_FIXED, obj,
			    page_down(ph->p_offset), PROT_READ | PROT_WRITE | PROT_EXEC);
	if (r >= 0 && mem_end > file_pages_end)
		r = mm_mmap(mm, file_pages_end, mem_end - file_pages_end, prot,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, PROT_READ | PROT_WRITE | PROT_EXEC);
	if (r < 0)
		return (int)r;
	/* Linux ignores a failure here when the segment is read-only: there is nothing to clear then. */
	if (ph->p_memsz > ph->p_filesz && (prot & PROT_WRITE) && file_pages_end > file_end)
		return clear_guest(mm, file_end, file_pages_end - file_end);
	return 0;
}

static void note_segment(const struct elf_file *e, const GElf_Phdr *ph, gva_t bias, struct elf_map *m)
{
	gva_t start = bias + ph->p_vaddr;

	if (ph->p_offset <= e->ehdr.e_phoff && e->ehdr.e_phoff < ph->p_offset + ph->p_filesz && !m->phdr_addr)
		m->phdr_addr = start + (e->ehdr.e_phoff - ph->p_offset);
	m->start_code = m->start_code ? MIN(m->start_code, start) : start;
	m->start_data = MAX(m->start_data, start);
	if (ph->p_flags & PF_X)
		m->end_code = MAX(m->end_code, start + ph->p_filesz);
	m->end_data = MAX(m->end_data, start + ph->p_filesz);
	m->end_bss = MAX(m->end_bss, start + ph->p_memsz);
}

/* A free, aligned place for `len` bytes: found by mapping and taking away again, as the loader of Linux does. */
static long find_place(struct mm *mm, gva_t base, uint64_t len, uint64_t align)
{
	uint64_t want = len + (align > PAGE_SIZE ? align : 0);
	long at;

	if (base)
		return (long)(base & ~(align - 1));
	at = mm_mmap(mm, 0, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, NULL, 0, PROT_NONE);
	if (at < 0)
		return at;
	mm_munmap(mm, (gva_t)at, want);
	return (long)(((gva_t)at + align - 1) & ~(align - 1));
}

int elf_map(struct mm *mm, const struct elf_file *e, gva_t base, struct elf_map *ret)
{
	struct elf_map m = { 0 };
	uint64_t low, len, align;
	AUTO(memobj) obj = NULL;
	int r = measure(e, &low, &len, &align);

	if (r < 0)
		return r;
	if (!e->file->ops->mmap)
		return -ENOEXEC;
	r = e->file->ops->mmap(e->file, false, &obj);
	if (r < 0)
		return r;
	if (e->ehdr.e_type == ET_DYN) {
		long at = find_place(mm, base, len, align);

		if (at < 0)
			return (int)at;
		m.bias = (gva_t)at - low;
	}
	for (unsigned i = 0; i < e->ehdr.e_phnum; i++) {
		if (e->phdr[i].p_type != PT_LOAD || !e->phdr[i].p_memsz)
			continue;
		r = map_segment(mm, &e->phdr[i], m.bias, obj);
		if (r < 0)
			return r;
		note_segment(e, &e->phdr[i], m.bias, &m);
	}
	m.entry = e->ehdr.e_entry + m.bias;
	*ret = m;
	return 0;
}
