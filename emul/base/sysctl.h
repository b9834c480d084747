/* SPDX-License-Identifier: MIT */
/*
 * The limits that /proc/sys shows and the administrator of the instance may change. What a mechanism obeys stands here; it
 * looks each time. proc(5) for their meaning, units and defaults.
 */
#ifndef EMUL_BASE_SYSCTL_H
#define EMUL_BASE_SYSCTL_H

#include <stdatomic.h>

struct sysctl {
	_Atomic long val;
	long min, max; /* constant: what may be written */
};

static inline long sysctl_get(struct sysctl *s) { return atomic_load_explicit(&s->val, memory_order_relaxed); }
int sysctl_set(struct sysctl *s, long val); /* -EINVAL: outside of its range */

extern struct sysctl sysctl_aio_max_nr, sysctl_dir_notify_enable, sysctl_inotify_instances, sysctl_lease_break_time, sysctl_leases_enable, sysctl_pipe_max_size; /* fs */
extern struct sysctl sysctl_mq_msg_default, sysctl_mq_msg_max, sysctl_mq_msgsize_default, sysctl_mq_msgsize_max, sysctl_mq_queues_max;
extern struct sysctl sysctl_core_uses_pid, sysctl_msgmax, sysctl_msgmnb, sysctl_msgmni, sysctl_rr_timeslice;           /* kernel */
extern struct sysctl sysctl_max_map_count;                                                         /* vm */
extern struct sysctl sysctl_somaxconn, sysctl_rmem_default, sysctl_rmem_max, sysctl_wmem_default, sysctl_wmem_max; /* net.core */

#define CORE_PATTERN_SIZE 128
void sysctl_core_pattern(char ret[CORE_PATTERN_SIZE]);
void sysctl_set_core_pattern(const char *text); /* cut to what fits */

#endif
