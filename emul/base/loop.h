/* SPDX-License-Identifier: MIT */
/*
 * The reactor: one libuv loop on its own thread. It watches host descriptors (through one inner
 * epoll, because uv_poll would set O_NONBLOCK on descriptors that we share with other programs),
 * and runs posted work. Callbacks run on the reactor thread, without locks; they must not block.
 */
#ifndef EMUL_BASE_LOOP_H
#define EMUL_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_watch {
	int fd;
	uint32_t events; /* EPOLL* wanted */
	void (*ready)(struct loop_watch *w, uint32_t events);
	bool active;
	bool always_ready; /* epoll refuses the descriptor (regular file): it is always ready */
};

int loop_boot(void);      /* cheap: the thread starts with the first watch or posted work */
void loop_shutdown(void); /* stops and joins it; posted work not yet run is dropped, watches go silent */
/* Edge-triggered watch: one callback for each change to ready. The fd stays the caller's. 0 or -errno. */
int loop_watch_add(struct loop_watch *w, int fd, uint32_t events, void (*ready)(struct loop_watch *, uint32_t));
void loop_watch_del(struct loop_watch *w); /* after it no callback runs or will run; not from its own callback */
void loop_post(void (*fn)(void *arg), void *arg); /* any thread; runs soon on the reactor */
struct uv_loop_s *loop_uv(void); /* only on the reactor thread (posted work) */

#endif
