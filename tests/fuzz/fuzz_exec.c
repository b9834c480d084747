/* SPDX-License-Identifier: MIT */
/* What execve(2) reads of a file: ELF headers, which are mapped over plain memory, and "#!" lines. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "emul/base/wait.h"
#include "emul/mm/mm.h"
#include "emul/proc/exec_internal.h"
#include "tests/lib/fake_platform.h"

static struct phys *ph;

static void setup(void)
{
	struct platform *p;

	if (ph)
		return;
	p = fake_platform_new();
	ph = phys_new(p, (uint64_t)64 << 20);
	if (!ph)
		abort();
}

static void script(const uint8_t *data, size_t size)
{
	char *head = malloc(SCRIPT_HEAD + 1), *interp = NULL, *arg = NULL;
	size_t n = size < SCRIPT_HEAD ? size : SCRIPT_HEAD;

	if (!head)
		return;
	memcpy(head, data, n);
	/* In one piece, both within the line. */
	if (n >= 2 && exec_parse_script(head, (ssize_t)n, &interp, &arg) == 0 &&
	    (!*interp || strlen(interp) > n || (arg && (arg <= interp || strlen(arg) > n))))
		abort();
	free(head);
}

static void program(struct file *f)
{
	struct elf_file e;
	struct elf_map m;
	struct mm *mm;

	if (elf_read(f, &e) < 0)
		return;
	mm = mm_new(ph);
	if (mm) {
		(void)elf_map(mm, &e, e.ehdr.e_entry & 1 ? 0x555555554000 : 0, &m);
		mm_put(mm);
	}
	elf_free(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file *f;
	struct uio u;
	off_t pos = 0;

	setup();
	script(data, size);
	if (memfd_new(ph, "fuzz", 0, &f) < 0)
		abort();
	uio_init_host(&u, (void *)(uintptr_t)data, size);
	if (size && file_write(f, &u, &pos, NULL) == (ssize_t)size)
		program(f);
	uio_fini(&u);
	file_put(f);
	return 0;
}

static size_t elf_seed(uint8_t *buf, uint16_t type, const char *interp)
{
	Elf64_Ehdr h = { .e_ident = ELFMAG, .e_type = type, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x401000,
			 .e_phoff = sizeof(h), .e_ehsize = sizeof(h), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 4 };
	Elf64_Phdr p[4] = {
		{ .p_type = PT_INTERP, .p_flags = PF_R, .p_offset = 0x200, .p_vaddr = 0x400200, .p_filesz = strlen(interp) + 1,
		  .p_memsz = strlen(interp) + 1 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000, .p_filesz = 0x300, .p_memsz = 0x300, .p_align = 4096 },
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_offset = 0x280, .p_vaddr = 0x402280, .p_filesz = 0x80, .p_memsz = 0x9000,
		  .p_align = 4096 },
		{ .p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W },
	};

	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	memset(buf, 0, 0x300);
	fuzz_put(buf, fuzz_put(buf, 0, &h, sizeof(h)), p, sizeof(p));
	fuzz_put(buf, 0x200, interp, strlen(interp) + 1);
	return 0x300;
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	static const char *const lines[] = { "#!/bin/sh\n", "#! /usr/bin/env  python3 -u \nx", "#!/a", "#! \t/b\tc d\t\n" };

	if (n < 4)
		return fuzz_put(buf, 0, lines[n], strlen(lines[n]));
	return n == 4 ? elf_seed(buf, ET_EXEC, "/lib64/ld-linux-x86-64.so.2") : n == 5 ? elf_seed(buf, ET_DYN, "/x") : 0;
}
