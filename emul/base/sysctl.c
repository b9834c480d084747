/* SPDX-License-Identifier: MIT */
/* See sysctl.h. The defaults are Linux's; net.core's maxima are what programs that want large buffers need. */
#include "emul/base/sysctl.h"

#include <limits.h>
#include <stdio.h>

#include "emul/base/err.h"
#include "emul/base/mutex.h"

struct sysctl sysctl_aio_max_nr = { 65536, 0, 1 << 20 };
struct sysctl sysctl_dir_notify_enable = { 1, 0, 1 };
struct sysctl sysctl_lease_break_time = { 45, 0, INT_MAX };
struct sysctl sysctl_leases_enable = { 1, 0, 1 };
struct sysctl sysctl_inotify_instances = { 128, 0, INT_MAX };
struct sysctl sysctl_pipe_max_size = { 1048576, 4096, 1L << 31 };
struct sysctl sysctl_mq_msg_default = { 10, 1, 65536 };
struct sysctl sysctl_mq_msg_max = { 10, 1, 65536 };
struct sysctl sysctl_mq_msgsize_default = { 8192, 128, 16 << 20 };
struct sysctl sysctl_mq_msgsize_max = { 8192, 128, 16 << 20 };
struct sysctl sysctl_mq_queues_max = { 256, 0, INT_MAX };
struct sysctl sysctl_core_uses_pid = { 0, 0, 1 };
struct sysctl sysctl_msgmax = { 8192, 0, 1 << 20 };
struct sysctl sysctl_msgmnb = { 16384, 0, INT_MAX };
struct sysctl sysctl_msgmni = { 32000, 0, 32768 };
struct sysctl sysctl_rr_timeslice = { 100, 1, INT_MAX / 1000000 }; /* ms */
struct sysctl sysctl_max_map_count = { 65530, 0, 1 << 22 };
struct sysctl sysctl_somaxconn = { 4096, 0, INT_MAX };
struct sysctl sysctl_rmem_default = { 212992, 2304, INT_MAX / 2 };
struct sysctl sysctl_rmem_max = { 4194304, 2304, INT_MAX / 2 };
struct sysctl sysctl_wmem_default = { 212992, 4608, INT_MAX / 2 };
struct sysctl sysctl_wmem_max = { 4194304, 4608, INT_MAX / 2 };

static struct {
	struct mutex lock;
	char text[CORE_PATTERN_SIZE]; /* lock */
} core_pattern = { .lock = MUTEX_INIT, .text = "core" };

int sysctl_set(struct sysctl *s, long val)
{
	if (val < s->min || val > s->max)
		return -EINVAL;
	atomic_store(&s->val, val);
	return 0;
}

void sysctl_core_pattern(char ret[CORE_PATTERN_SIZE])
{
	mutex_lock(&core_pattern.lock);
	snprintf(ret, CORE_PATTERN_SIZE, "%s", core_pattern.text);
	mutex_unlock(&core_pattern.lock);
}

void sysctl_set_core_pattern(const char *text)
{
	mutex_lock(&core_pattern.lock);
	snprintf(core_pattern.text, CORE_PATTERN_SIZE, "%s", text);
	mutex_unlock(&core_pattern.lock);
}
