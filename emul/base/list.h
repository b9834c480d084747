/* SPDX-License-Identifier: MIT */
/* Circular doubly linked intrusive lists, as in the kernel. Trees come from <bsd/sys/tree.h>. */
#ifndef EMUL_BASE_LIST_H
#define EMUL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "emul/base/types.h"

struct list { struct list *next, *prev; };

#define LIST_INIT(l) { &(l), &(l) }
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_insert_(struct list *n, struct list *prev, struct list *next)
{
	n->prev = prev;
	n->next = next;
	prev->next = n;
	next->prev = n;
}
static inline void list_add(struct list *head, struct list *n) { list_insert_(n, head, head->next); }
static inline void list_add_tail(struct list *head, struct list *n) { list_insert_(n, head->prev, head); }
static inline void list_del(struct list *n) /* leaves n empty: a second list_del() is harmless */
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
static inline void list_splice_tail(struct list *head, struct list *from) /* from becomes empty */
{
	if (list_empty(from))
		return;
	from->next->prev = head->prev;
	head->prev->next = from->next;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head, member)                                             \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member)                                   \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),               \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);            \
	     &pos->member != (head);                                                 \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
