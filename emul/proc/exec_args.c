/* SPDX-License-Identifier: MIT */
/*
 * The argument and environment vectors of execve(2), copied out of the guest before anything of the
 * old program goes. Limits as in Linux' fs/exec.c: one string 128 KiB, all together a quarter of the
 * stack limit, at most 6 MiB, at least 128 KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/exec_internal.h"

#define MAX_ARG_STRLEN ((size_t)128 << 10)
#define ARGS_MIN ((uint64_t)128 << 10)
#define ARGS_MAX ((uint64_t)6 << 20)

uint64_t exec_args_limit(uint64_t stack_limit)
{
	return MAX(MIN(stack_limit / 4, ARGS_MAX), ARGS_MIN);
}

void exec_args_free(struct exec_args *a)
{
	for (int i = 0; i < a->argc; i++)
		free(a->argv[i]);
	for (int i = 0; i < a->envc; i++)
		free(a->envp[i]);
	free(a->argv);
	free(a->envp);
	memset(a, 0, sizeof(*a));
}

/* One string; *left shrinks by its size and its pointer's. */
static int read_string(struct mm *mm, gva_t at, uint64_t *left, char *scratch, char **ret)
{
	ssize_t n = copy_string_from_guest(mm, scratch, at, MAX_ARG_STRLEN);

	if (n < 0)
		return n == -ENAMETOOLONG ? -E2BIG : (int)n;
	if ((uint64_t)n + 1 + sizeof(uint64_t) > *left)
		return -E2BIG;
	*left -= (uint64_t)n + 1 + sizeof(uint64_t);
	*ret = strdup(scratch);
	return *ret ? 0 : -ENOMEM;
}

static int read_vector(struct mm *mm, gva_t vec, uint64_t *left, char *scratch, char ***ret, int *ret_n)
{
	int cap = 0, r;

	for (;; vec += sizeof(uint64_t)) {
		uint64_t p = 0;

		if (*ret_n >= cap) {
			char **bigger = realloc(*ret, (size_t)(cap = cap ? cap * 2 : 32) * sizeof(char *));

			if (!bigger)
				return -ENOMEM;
			*ret = bigger;
		}
		(*ret)[*ret_n] = NULL;
		if (vec < sizeof(uint64_t)) /* a NULL vector is an empty one */
			return 0;
		r = get_guest_u64(mm, vec, &p);
		if (r < 0)
			return r;
		if (!p)
			return 0;
		r = read_string(mm, p, left, scratch, &(*ret)[*ret_n]);
		if (r < 0)
			return r;
		++*ret_n;
	}
}

int exec_args_read(struct mm *mm, gva_t argv, gva_t envp, uint64_t stack_limit, struct exec_args *ret)
{
	struct exec_args a = { 0 };
	uint64_t left = exec_args_limit(stack_limit);
	AUTO_FREE char *scratch = malloc(MAX_ARG_STRLEN);
	int r = scratch ? 0 : -ENOMEM;

	if (r == 0)
		r = read_vector(mm, argv, &left, scratch, &a.argv, &a.argc);
	if (r == 0)
		r = read_vector(mm, envp, &left, scratch, &a.envp, &a.envc);
	if (r == 0 && a.argc == 0) { /* since Linux 5.18 an empty argv becomes { "" } */
		a.argv[0] = strdup("");
		r = a.argv[0] ? 0 : -ENOMEM;
		a.argc = a.argv[0] ? 1 : 0;
	}
	if (r < 0) {
		exec_args_free(&a);
		return r;
	}
	*ret = a;
	return 0;
}

int exec_args_unshift_script(struct exec_args *a, const char *interp, const char *arg, const char *script)
{
	const char *front[3] = { interp, arg, script };
	int n = 0, skip = a->argc > 0; /* the script's name replaces argv[0] */
	char **v = calloc((size_t)a->argc + 4, sizeof(char *));

	if (!v)
		return -ENOMEM;
	for (int i = 0; i < 3; i++) {
		if (!front[i])
			continue;
		v[n] = strdup(front[i]);
		if (!v[n++]) {
			while (n--)
				free(v[n]);
			free(v);
			return -ENOMEM;
		}
	}
	if (skip)
		free(a->argv[0]);
	for (int i = skip; i < a->argc; i++)
		v[n++] = a->argv[i];
	free(a->argv);
	a->argv = v;
	a->argc = n;
	return 0;
}

static int copy_vector(char **from, int n, char ***ret, int *ret_n)
{
	*ret = calloc((size_t)n + 1, sizeof(char *));
	if (!*ret)
		return -ENOMEM;
	for (; *ret_n < n; ++*ret_n) {
		(*ret)[*ret_n] = strdup(from[*ret_n]);
		if (!(*ret)[*ret_n])
			return -ENOMEM;
	}
	return 0;
}

int exec_args_copy(const struct exec_args *a, struct exec_args *ret)
{
	struct exec_args c = { 0 };
	int r = copy_vector(a->argv, a->argc, &c.argv, &c.argc);

	if (r == 0)
		r = copy_vector(a->envp, a->envc, &c.envp, &c.envc);
	if (r < 0) {
		exec_args_free(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* AT_EXECFN, and the name that a script's interpreter gets: what was given, or where the descriptor is found. */
char *exec_display_name(const struct exec_target *x)
{
	char *name;

	if (x->fd < 0 || x->name[0] == '/')
		return strdup(x->name);
	return asprintf(&name, "/dev/fd/%d%s%s", x->fd, *x->name ? "/" : "", x->name) < 0 ? NULL : name;
}
