/* SPDX-License-Identifier: MIT */
/*
 * The first stack of a program, from the top down as Linux' create_elf_tables() lays it out:
 * file name, environment, arguments, platform word, 16 random bytes, then auxv, envp, argv, argc.
 */
#include <elf.h>
#include <linux/auxvec.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "emul/base/err.h"
#include "emul/proc/exec_internal.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define AUX_WORDS 48
/* What a signal frame needs beside the extended state: siginfo, ucontext, red zone, alignment (x86 get_sigframe_size). */
#define SIGFRAME_FIXED 1024

/* The image is built in one host buffer whose last byte is at guest address top - 1. */
struct builder { char *buf; size_t size, used; gva_t top; };

static gva_t push(struct builder *b, const void *data, size_t len)
{
	b->used += len;
	memcpy(b->buf + b->size - b->used, data, len);
	return b->top - b->used;
}

static gva_t push_string(struct builder *b, const char *s)
{
	return push(b, s, strlen(s) + 1);
}

static size_t vector_size(char **v, int n)
{
	size_t sum = ((size_t)n + 1) * sizeof(uint64_t);

	for (int i = 0; i < n; i++)
		sum += strlen(v[i]) + 1;
	return sum;
}

/* Strings are pushed last first, so that they lie in order; the addresses go to out[0..n], out[n] = 0. */
static void push_vector(struct builder *b, char **v, int n, uint64_t *out)
{
	out[n] = 0;
	for (int i = n; i-- > 0;)
		out[i] = push_string(b, v[i]);
}

static size_t fill_auxv(uint64_t *aux, const struct stack_plan *p, gva_t random, gva_t name, gva_t platform)
{
	const struct { uint64_t key, val; } v[] = {
		{ AT_SYSINFO_EHDR, p->vdso },
		{ AT_MINSIGSTKSZ, p->platform->xstate_size + SIGFRAME_FIXED },
		{ AT_HWCAP, p->platform->hwcap },
		{ AT_PAGESZ, PAGE_SIZE },
		{ AT_CLKTCK, 100 },
		{ AT_PHDR, p->program->phdr_addr },
		{ AT_PHENT, sizeof(Elf64_Phdr) },
		{ AT_PHNUM, p->elf->ehdr.e_phnum },
		{ AT_BASE, p->interp_base },
		{ AT_FLAGS, 0 },
		{ AT_ENTRY, p->program->entry },
		{ AT_UID, p->cred->uid },
		{ AT_EUID, p->cred->euid },
		{ AT_GID, p->cred->gid },
		{ AT_EGID, p->cred->egid },
		{ AT_SECURE, p->secure },
		{ AT_RANDOM, random },
		{ AT_HWCAP2, p->platform->hwcap2 },
		{ AT_EXECFN, name },
		{ AT_PLATFORM, platform },
		{ AT_NULL, 0 },
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		if (v[i].key == AT_SYSINFO_EHDR && !v[i].val)
			continue;
		aux[n++] = v[i].key;
		aux[n++] = v[i].val;
	}
	return n;
}

static int build(struct builder *b, const struct stack_plan *p, const struct exec_args *a, struct mm_layout *lay,
		 uint64_t *vec, gva_t *ret_rsp, size_t *ret_auxv_at, size_t *ret_auxv_n)
{
	char random_bytes[16];
	uint64_t *argv = vec, *envp = argv + a->argc + 1, *aux = envp + a->envc + 1, argc = (uint64_t)a->argc;
	gva_t name, platform, random;
	size_t naux, words;

	if (getrandom(random_bytes, sizeof(random_bytes), 0) != sizeof(random_bytes))
		return -EIO;
	push(b, &(uint64_t){ 0 }, sizeof(uint64_t));
	name = push_string(b, p->exec_name);
	lay->env_end = name;
	push_vector(b, a->envp, a->envc, envp);
	lay->env_start = lay->arg_end = b->top - b->used;
	push_vector(b, a->argv, a->argc, argv);
	lay->arg_start = b->top - b->used;
	platform = push_string(b, "x86_64");
	random = push(b, random_bytes, sizeof(random_bytes));
	naux = fill_auxv(aux, p, random, name, platform);
	words = 1 + (size_t)a->argc + 1 + (size_t)a->envc + 1 + naux;
	b->used += (b->top - b->used - words * sizeof(uint64_t)) & 15; /* the stack pointer is 16-byte aligned */
	push(b, vec, (words - 1) * sizeof(uint64_t));
	*ret_rsp = push(b, &argc, sizeof(argc));
	lay->start_stack = *ret_rsp;
	*ret_auxv_at = (size_t)(aux - vec);
	*ret_auxv_n = naux;
	return 0;
}

int stack_build(struct mm *mm, const struct stack_plan *plan, const struct exec_args *a, gva_t *ret_rsp,
		uint64_t **ret_auxv, size_t *ret_auxv_len)
{
	size_t words = (size_t)a->argc + (size_t)a->envc + 4 + AUX_WORDS, at, n;
	struct builder b = { .top = plan->top };
	AUTO_FREE uint64_t *vec = calloc(words, sizeof(uint64_t));
	AUTO_FREE char *buf = NULL;
	uint64_t *auxv;
	int r;

	b.size = vector_size(a->argv, a->argc) + vector_size(a->envp, a->envc) + strlen(plan->exec_name) +
		 AUX_WORDS * sizeof(uint64_t) + 256;
	b.buf = buf = calloc(1, b.size);
	if (!vec || !buf)
		return -ENOMEM;
	r = build(&b, plan, a, mm_layout(mm), vec, ret_rsp, &at, &n);
	if (r == 0)
		r = copy_to_guest(mm, plan->top - b.used, buf + b.size - b.used, b.used);
	if (r < 0)
		return r == -EFAULT ? -E2BIG : r;
	auxv = malloc(n * sizeof(uint64_t));
	if (!auxv)
		return -ENOMEM;
	memcpy(auxv, vec + at, n * sizeof(uint64_t));
	*ret_auxv = auxv;
	*ret_auxv_len = n * sizeof(uint64_t);
	return 0;
}
