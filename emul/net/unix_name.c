/* SPDX-License-Identifier: MIT */
/*
 * Names of AF_UNIX sockets. One table for both kinds: an abstract name is its bytes and the socket's type, a name
 * in the file system is the device and number of its inode, which the bound socket's path keeps from being reused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emul/net/unix.h"
#include "emul/proc/task.h"

#define BUCKETS 256
#define UN_OFFSET ((int)offsetof(struct sockaddr_un, sun_path))

static struct mutex names_lock = MUTEX_INIT;
static struct list names[BUCKETS];  /* names_lock */
static struct list all = LIST_INIT(all);
static unsigned next_auto;

/* --- addresses --------------------------------------------------------------------------------------------- */

static struct unix_addr *addr_new(const struct sockaddr_un *un, int len)
{
	struct unix_addr *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	ref_init(&a->ref);
	a->len = len;
	memcpy(&a->un, un, MIN((size_t)len, sizeof(a->un)));
	return a;
}

void unix_addr_put(struct unix_addr *a)
{
	if (a && ref_put(&a->ref))
		free(a);
}

void unix_addr_copy(struct sock_addr *to, struct unix_addr *from)
{
	to->len = from ? from->len : 0;
	if (from)
		memcpy(&to->ss, &from->un, (size_t)MIN(from->len, (int)sizeof(from->un)));
}

int unix_check_addr(const struct sock_addr *a)
{
	return a->len <= UN_OFFSET || a->len > (int)sizeof(a->un) || a->sa.sa_family != AF_UNIX ? -EINVAL : 0;
}

int unix_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
	struct unix_sock *u = unix_of(s);
	AUTO(unix_sock) other = peer ? unix_peer_get(u) : unix_get(u);

	if (!other)
		return -ENOTCONN;
	ret->un.sun_family = AF_UNIX;
	if (other->addr)
		unix_addr_copy(ret, other->addr);
	else
		ret->len = UN_OFFSET;
	return 0;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

struct key { bool abstract; int type; const char *name; int len; dev_t dev; uint64_t ino; };

static unsigned hash(const struct key *k)
{
	uint64_t h = k->abstract ? (uint64_t)k->type : k->ino * 31 + k->dev;

	for (int i = 0; k->abstract && i < k->len; i++)
		h = h * 31 + (unsigned char)k->name[i];
	return (unsigned)(h ^ h >> 17) % BUCKETS;
}

static struct key abstract_key(const struct sockaddr_un *un, int len, int type)
{
	return (struct key){ .abstract = true, .type = type, .name = un->sun_path, .len = len - UN_OFFSET };
}

static struct key path_key(const struct path *p)
{
	return (struct key){ .dev = vfs_dev(p), .ino = vfs_ino(p) };
}

static bool matches(struct unix_sock *u, const struct key *k)
{
	struct unix_addr *a = u->addr;

	if (k->abstract)
		return !path_is_set(&u->path) && u->sk.type == k->type && a->len - UN_OFFSET == k->len &&
		       !memcmp(a->un.sun_path, k->name, (size_t)k->len);
	return path_is_set(&u->path) && vfs_ino(&u->path) == k->ino && vfs_dev(&u->path) == k->dev;
}

static struct unix_sock *find_locked(const struct key *k)
{
	struct list *b = &names[hash(k)];
	struct unix_sock *u;

	mutex_assert_held(&names_lock);
	if (b->next)
		list_for_each(u, b, name_node)
			if (matches(u, k))
				return u;
	return NULL;
}

static void add_locked(struct unix_sock *u, const struct key *k)
{
	struct list *b = &names[hash(k)];

	mutex_assert_held(&names_lock);
	if (!b->next)
		list_init(b);
	list_add(b, &u->name_node);
}

void unix_list_add(struct unix_sock *u)
{
	mutex_lock(&names_lock);
	list_add_tail(&all, &u->all_node);
	mutex_unlock(&names_lock);
}

void unix_name_drop(struct unix_sock *u)
{
	mutex_lock(&names_lock);
	list_del(&u->name_node);
	list_del(&u->all_node);
	mutex_unlock(&names_lock);
}

struct unix_sock *unix_list_next(struct unix_sock *u)
{
	struct unix_sock *next = NULL;
	struct list *at;

	mutex_lock(&names_lock);
	at = u ? &u->all_node : &all;
	if (at->next != &all && at->next != at)
		next = unix_get(list_entry(at->next, struct unix_sock, all_node));
	mutex_unlock(&names_lock);
	return next;
}

/* --- binding ----------------------------------------------------------------------------------------------------------- */

/* Gives u its name, once. Consumes addr and, on success, the path. -EINVAL: it has one; -EADDRINUSE. */
static int give_name(struct unix_sock *u, struct unix_addr *addr, struct path *p)
{
	struct key k = p ? path_key(p) : abstract_key(&addr->un, addr->len, u->sk.type);
	int r = 0;

	mutex_lock(&names_lock);
	mutex_lock(&u->sk.lock);
	if (u->addr)
		r = -EINVAL;
	else if (!p && find_locked(&k))
		r = -EADDRINUSE;
	if (r == 0) {
		u->addr = addr;
		if (p) {
			u->path = *p;
			*p = (struct path)PATH_INIT;
		}
		add_locked(u, &k);
	}
	mutex_unlock(&u->sk.lock);
	mutex_unlock(&names_lock);
	if (r < 0)
		unix_addr_put(addr);
	return r;
}

static int bind_abstract(struct unix_sock *u, const struct sock_addr *a)
{
	struct unix_addr *addr;

	if (u->addr)
		return -EINVAL;
	addr = addr_new(&a->un, a->len);
	return addr ? give_name(u, addr, NULL) : -ENOMEM;
}

/* The name ends at its first NUL; sun_path may be full without one. */
static void path_name(const struct sock_addr *a, char name[sizeof(a->un.sun_path) + 1])
{
	size_t n = strnlen(a->un.sun_path, (size_t)(a->len - UN_OFFSET));

	memcpy(name, a->un.sun_path, n);
	name[n] = '\0';
}

static int bind_path(struct unix_sock *u, struct task *t, const struct sock_addr *a)
{
	char name[sizeof(a->un.sun_path) + 1];
	struct unix_addr *addr;
	AUTO_PATH p = PATH_INIT;
	int r;

	path_name(a, name);
	addr = addr_new(&a->un, UN_OFFSET + (int)strlen(name) + 1);
	if (!addr)
		return -ENOMEM;
	memcpy(addr->un.sun_path, name, MIN(strlen(name) + 1, sizeof(addr->un.sun_path))); /* the last NUL may not have been given */
	r = vfs_bind_socket(&t->fsc, name, 0777, NULL, &p);
	if (r < 0) {
		unix_addr_put(addr);
		return r;
	}
	r = give_name(u, addr, &p);
	if (r < 0)
		vfs_unlink(&t->fsc, NULL, name);
	return r;
}

int unix_bind(struct sock *s, struct task *t, const struct sock_addr *a)
{
	struct unix_sock *u = unix_of(s);
	int r;

	if (a->len == UN_OFFSET && a->sa.sa_family == AF_UNIX)
		return unix_autobind(u, t);
	r = unix_check_addr(a);
	if (r < 0)
		return r;
	if (!a->un.sun_path[0])
		return bind_abstract(u, a);
	return t ? bind_path(u, t, a) : -EINVAL;
}

int unix_autobind(struct unix_sock *u, struct task *t)
{
	for (int tries = 0; tries < 0x100000; tries++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		struct unix_addr *addr;
		unsigned n;
		int r;

		if (u->addr)
			return 0;
		mutex_lock(&names_lock);
		n = next_auto++ & 0xfffff;
		mutex_unlock(&names_lock);
		snprintf(un.sun_path + 1, 6, "%05x", n);
		addr = addr_new(&un, UN_OFFSET + 6);
		if (!addr)
			return -ENOMEM;
		r = give_name(u, addr, NULL);
		if (r != -EADDRINUSE)
			return r == -EINVAL ? 0 : r; /* another thread was faster */
	}
	return -ENOSPC;
}

/* --- looking up ----------------------------------------------------------------------------------------------------------- */

static struct unix_sock *lookup(const struct key *k)
{
	struct unix_sock *u;

	mutex_lock(&names_lock);
	u = find_locked(k);
	if (u)
		unix_get(u);
	mutex_unlock(&names_lock);
	return u;
}

static int find_path(struct task *t, const struct sock_addr *a, int type, struct unix_sock **ret)
{
	char name[sizeof(a->un.sun_path) + 1];
	AUTO_PATH p = PATH_INIT;
	AUTO(unix_sock) u = NULL;
	struct key k;
	int r;

	path_name(a, name);
	r = vfs_lookup(&t->fsc, NULL, name, WALK_FOLLOW, 0, &p);
	if (r == 0)
		r = vfs_access(&t->fsc, &p, W_OK, true);
	if (r < 0)
		return r;
	if (!S_ISSOCK(vfs_mode(&p)))
		return -ECONNREFUSED;
	k = path_key(&p);
	u = lookup(&k);
	if (!u)
		return -ECONNREFUSED;
	if (u->sk.type != type)
		return -EPROTOTYPE;
	*ret = steal(u);
	return 0;
}

int unix_find(struct task *t, const struct sock_addr *a, int type, struct unix_sock **ret)
{
	struct key k;

	if (a->un.sun_path[0])
		return t ? find_path(t, a, type, ret) : -ECONNREFUSED;
	k = abstract_key(&a->un, a->len, type);
	*ret = lookup(&k);
	return *ret ? 0 : -ECONNREFUSED;
}
