/* SPDX-License-Identifier: MIT */
/*
 * A processor for the helper alone. Where programs do little but call, and all processors are busy with it, each call costs an exit, since the
 * helper has no room. One processor given to it answers more calls than that processor would make by exits. So when exits are
 * that many, threads of vCPUs keep off one processor, by their affinity, as long as more calls are made with it than before.
 * Any thread may call these; no locks.
 */
#ifndef VMM_RESERVE_H
#define VMM_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

int reserve_cpu(void);                       /* the helper's; -1: there is none */
void reserve_begin(int cpu, int64_t now);
void reserve_end(int64_t now);               /* and for some time there is none: longer each time that one has brought nothing */
void reserve_follow(struct vcpu *v);         /* before v, of the calling thread, goes in: the thread keeps off it, or may use it again */
bool reserve_intrudes(int cpu);              /* the calling thread, after that: it is on that processor all the same, so it must be */

bool reserve_note_exit(int64_t now);         /* an exit for a call. true: there should be one */
void reserve_note_sleep(void);               /* a vCPU's thread goes to sleep after its exit */
void reserve_note_answers(unsigned n);       /* the helper's */
bool reserve_pays(int64_t now);              /* the helper asks */

#endif
