/* SPDX-License-Identifier: MIT */
/*
 * Between the files of execve(2): what an ELF file asks for (elf.c), what the new stack holds
 * (stack.c), and the call that puts both into place (exec.c).
 */
#ifndef EMUL_PROC_EXEC_INTERNAL_H
#define EMUL_PROC_EXEC_INTERNAL_H

#include <gelf.h>

#include "emul/proc/task.h"

#define ELF_MAX_PHDRS 1024 /* Linux: the table is at most 64 KiB */

/* The headers of one ELF file, checked. */
struct elf_file {
	struct file *file; /* borrowed */
	GElf_Ehdr ehdr;
	GElf_Phdr *phdr;   /* ehdr.e_phnum of them; owned */
	char *interp;      /* PT_INTERP, owned; NULL: none */
	bool exec_stack;   /* PT_GNU_STACK with PF_X */
};

/* Where it was mapped. */
struct elf_map {
	gva_t bias, entry, phdr_addr;
	gva_t start_code, end_code, start_data, end_data, end_bss;
};

/* Reads and checks the headers. -ENOEXEC: not an x86-64 program; -EIO, -ENOMEM. */
int elf_read(struct file *f, struct elf_file *ret);
void elf_free(struct elf_file *e);
/* Maps the loadable segments into mm; base: where an ET_DYN file wants to be, 0 = anywhere free. -ENOMEM, -EINVAL, -ENOEXEC. */
int elf_map(struct mm *mm, const struct elf_file *e, gva_t base, struct elf_map *ret);

/* What stack.c needs to know beyond the arguments. */
struct stack_plan {
	gva_t top;
	const char *exec_name;        /* AT_EXECFN */
	const struct elf_file *elf;
	const struct elf_map *program;
	gva_t interp_base;            /* AT_BASE */
	gva_t vdso;
	const struct cred *cred;
	const struct platform *platform;
	bool secure;
};
/* Writes strings, vectors and auxv below plan->top; fills the layout's addresses; *ret_auxv is a copy (heap). */
int stack_build(struct mm *mm, const struct stack_plan *plan, const struct exec_args *a, gva_t *ret_rsp,
		uint64_t **ret_auxv, size_t *ret_auxv_len);

/* Bytes that argv and envp may take together: a quarter of the stack limit, as in Linux. */
uint64_t exec_args_limit(uint64_t stack_limit);
#define SCRIPT_HEAD 256 /* BINPRM_BUF_SIZE */
/* Splits "#! interp arg..." in place, in head's len bytes and one more: the argument is the whole rest of the line (NULL: none). -ENOEXEC. */
int exec_parse_script(char *head, ssize_t len, char **ret_interp, char **ret_arg);
/* "#!": puts interpreter, its optional argument and the script's name in front. Consumes nothing; -ENOMEM. */
int exec_args_copy(const struct exec_args *a, struct exec_args *ret);
char *exec_display_name(const struct exec_target *x); /* heap; NULL: no memory */
int exec_args_unshift_script(struct exec_args *a, const char *interp, const char *arg, const char *script);

#endif
