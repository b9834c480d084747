/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: the limits of emul/base/sysctl.h, which can be written, constants of this system, which cannot (EPERM, as in a
 * container), and the host's own facts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "emul/base/err.h"
#include "emul/base/sysctl.h"
#include "emul/proc/aio.h"
#include "emul/proc/procfs/procfs.h"
#include "emul/vfs/tty/tty.h"

static const void *arg_of(struct pnode *n)
{
	return container_of(n, struct pnode_static, node)->entry->arg;
}

static struct instance_env *env_of(struct pnode *n)
{
	return container_of(n, struct pnode_static, node)->ctx;
}

static int show_text(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%s\n", (const char *)arg_of(n));
	return 0;
}

static int show_host(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	return seq_host_file(out, arg_of(n));
}

/* arg: offset of the field in struct utsname */
static int show_uts(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%s\n", (const char *)env_of(n)->uts + (size_t)arg_of(n));
	return 0;
}

/* A new one at each read. RFC 4122, version 4. */
static int show_uuid(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	uint8_t u[16];

	if (getrandom(u, sizeof(u), 0) != sizeof(u))
		return -EIO;
	u[6] = (u[6] & 0x0f) | 0x40;
	u[8] = (u[8] & 0x3f) | 0x80;
	for (size_t i = 0; i < sizeof(u); i++)
		seq_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	seq_puts(out, "\n");
	return 0;
}

static int show_pid_max(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_puts(out, "4194304\n");
	return 0;
}

static int show_threads_max(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%d\n", env_of(n)->max_tasks);
	return 0;
}

static int show_aio_nr(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%lu\n", aio_nr());
	return 0;
}

#define OPS(name, fn) static const struct pnode_ops name##_ops = { .mode = S_IFREG | 0444, .show = fn }
OPS(text, show_text);
OPS(host, show_host);
/* Shown as the administrator's to change, but fixed here. */
static ssize_t refuse_write(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	return -EPERM;
}

/* arg: struct sysctl. A number, and white space around it. */
static int show_number(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%ld\n", sysctl_get((struct sysctl *)arg_of(n)));
	return 0;
}

static ssize_t write_number(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	char text[32], *end;
	long val;
	int r;

	if (pos)
		return (ssize_t)len; /* as Linux: what is written in pieces is its first */
	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, len);
	text[len] = 0;
	errno = 0;
	val = strtol(text, &end, 0);
	if (end == text || errno || (*end && !strchr(" \t\n", *end))) /* more after white space is not looked at */
		return -EINVAL;
	r = sysctl_set((struct sysctl *)arg_of(n), val);
	return r < 0 ? r : (ssize_t)len;
}

static int show_core_pattern(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	char text[CORE_PATTERN_SIZE];

	sysctl_core_pattern(text);
	seq_printf(out, "%s\n", text);
	return 0;
}

static ssize_t write_core_pattern(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos)
{
	char text[CORE_PATTERN_SIZE];

	if (pos)
		return (ssize_t)len;
	snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text)), buf);
	text[strcspn(text, "\n")] = 0;
	sysctl_set_core_pattern(text);
	return (ssize_t)len;
}

static const struct pnode_ops number_ops = { .mode = S_IFREG | 0644, .show = show_number, .write = write_number };
static const struct pnode_ops core_pattern_ops = { .mode = S_IFREG | 0644, .show = show_core_pattern, .write = write_core_pattern };
static const struct pnode_ops knob_ops = { .mode = S_IFREG | 0644, .show = show_text, .write = refuse_write };
OPS(uts, show_uts);
OPS(uuid, show_uuid);
OPS(pid_max, show_pid_max);
OPS(threads_max, show_threads_max);
OPS(aio_nr, show_aio_nr);
static const struct pnode_ops dir_ops = { .mode = S_IFDIR | 0555 };

#define TEXT(name, text) { name, &text_ops, text, NULL }
#define NUMBER(name, which) { name, &number_ops, &sysctl_##which, NULL }
#define KNOB(name, text) { name, &knob_ops, text, NULL }
#define HOST_FILE(dir, name) { name, &host_ops, "/proc/sys/" dir "/" name, NULL }
#define DIR(name, entries) { name, &dir_ops, NULL, entries }
#define UTS(name, field) { name, &uts_ops, (const void *)offsetof(struct utsname, field), NULL }
#define END { NULL, NULL, NULL, NULL }

static const struct pentry random_entries[] = {
	HOST_FILE("kernel/random", "boot_id"),
	TEXT("entropy_avail", "256"),
	TEXT("poolsize", "256"),
	{ "uuid", &uuid_ops, NULL, NULL },
	END,
};
/* emul/vfs/tty: what there is, and how many are in use. */
static int show_pty_max(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%d\n", TTY_PTY_MAX);
	return 0;
}

static int show_pty_nr(struct pnode *n, struct fs_ctx *c, struct seq *out)
{
	seq_printf(out, "%u\n", tty_count());
	return 0;
}

OPS(pty_max, show_pty_max);
OPS(pty_nr, show_pty_nr);

static const struct pentry pty_entries[] = {
	{ "max", &pty_max_ops, NULL, NULL },
	{ "nr", &pty_nr_ops, NULL, NULL },
	KNOB("reserve", "0"),
	END,
};
static const struct pentry tty_entries[] = { KNOB("ldisc_autoload", "0"), KNOB("legacy_tiocsti", "1"), END };
static const struct pentry dev_entries[] = { DIR("tty", tty_entries), END };
static const struct pentry yama_entries[] = { KNOB("ptrace_scope", "0"), END };
static const struct pentry kernel_entries[] = {
	TEXT("cap_last_cap", "40"),
	{ "core_pattern", &core_pattern_ops, NULL, NULL },
	NUMBER("core_uses_pid", core_uses_pid),
	UTS("domainname", domainname),
	UTS("hostname", nodename),
	NUMBER("msgmax", msgmax),
	NUMBER("msgmnb", msgmnb),
	NUMBER("msgmni", msgmni),
	TEXT("ngroups_max", "65536"),
	UTS("osrelease", release),
	UTS("ostype", sysname),
	KNOB("overflowgid", "65534"),
	KNOB("overflowuid", "65534"),
	KNOB("panic", "0"),
	KNOB("perf_event_paranoid", "4"),
	{ "pid_max", &pid_max_ops, NULL, NULL },
	DIR("pty", pty_entries),
	DIR("random", random_entries),
	KNOB("randomize_va_space", "2"),
	NUMBER("sched_rr_timeslice_ms", rr_timeslice),
	KNOB("sched_rt_period_us", "1000000"),
	KNOB("sched_rt_runtime_us", "950000"),
	KNOB("sem", "32000\t1024000000\t500\t32000"),
	KNOB("shmall", "18446744073692774399"),
	KNOB("shmmax", "18446744073692774399"),
	KNOB("shmmni", "4096"),
	KNOB("shm_rmid_forced", "0"),
	KNOB("tainted", "0"),
	{ "threads-max", &threads_max_ops, NULL, NULL },
	KNOB("unprivileged_userns_clone", "0"),
	UTS("version", version),
	DIR("yama", yama_entries),
	END,
};
static const struct pentry vm_entries[] = {
	KNOB("dirty_background_ratio", "10"),
	KNOB("dirty_ratio", "20"),
	NUMBER("max_map_count", max_map_count),
	KNOB("mmap_min_addr", "65536"),
	KNOB("nr_hugepages", "0"),
	KNOB("overcommit_memory", "0"),
	KNOB("overcommit_ratio", "50"),
	KNOB("swappiness", "60"),
	KNOB("vfs_cache_pressure", "100"),
	END,
};
static const struct pentry inotify_entries[] = {
	KNOB("max_queued_events", "16384"),
	NUMBER("max_user_instances", inotify_instances),
	KNOB("max_user_watches", "65536"),
	END,
};
static const struct pentry epoll_entries[] = { KNOB("max_user_watches", "1000000"), END };
static const struct pentry mqueue_entries[] = {
	NUMBER("msg_default", mq_msg_default),
	NUMBER("msg_max", mq_msg_max),
	NUMBER("msgsize_default", mq_msgsize_default),
	NUMBER("msgsize_max", mq_msgsize_max),
	NUMBER("queues_max", mq_queues_max),
	END,
};
static const struct pentry fs_entries[] = {
	NUMBER("aio-max-nr", aio_max_nr),
	{ "aio-nr", &aio_nr_ops, NULL, NULL },
	NUMBER("dir-notify-enable", dir_notify_enable),
	DIR("epoll", epoll_entries),
	KNOB("file-max", "1048576"),
	TEXT("file-nr", "0\t0\t1048576"),
	DIR("inotify", inotify_entries),
	NUMBER("lease-break-time", lease_break_time),
	NUMBER("leases-enable", leases_enable),
	DIR("mqueue", mqueue_entries),
	KNOB("nr_open", "1048576"),
	KNOB("overflowgid", "65534"),
	KNOB("overflowuid", "65534"),
	NUMBER("pipe-max-size", pipe_max_size),
	KNOB("pipe-user-pages-hard", "0"),
	KNOB("pipe-user-pages-soft", "16384"),
	KNOB("protected_hardlinks", "1"),
	KNOB("protected_symlinks", "0"),
	KNOB("suid_dumpable", "0"),
	END,
};
/* The stack is not tunable beyond net.core: what it does, in the words that programs look for. */
static const struct pentry net_core_entries[] = {
	KNOB("default_qdisc", "noqueue"),
	KNOB("netdev_max_backlog", "1000"),
	KNOB("optmem_max", "131072"),
	NUMBER("rmem_default", rmem_default),
	NUMBER("rmem_max", rmem_max),
	NUMBER("somaxconn", somaxconn),
	NUMBER("wmem_default", wmem_default),
	NUMBER("wmem_max", wmem_max),
	END,
};
static const struct pentry net_ipv4_entries[] = {
	KNOB("icmp_echo_ignore_all", "0"),
	KNOB("ip_default_ttl", "64"),
	KNOB("ip_forward", "0"),
	KNOB("ip_local_port_range", "32768\t60999"),
	KNOB("ip_nonlocal_bind", "0"),
	KNOB("ip_unprivileged_port_start", "1024"),
	KNOB("ping_group_range", "0\t2147483647"),
	KNOB("tcp_congestion_control", "reno"),
	KNOB("tcp_fin_timeout", "60"),
	KNOB("tcp_keepalive_intvl", "75"),
	KNOB("tcp_keepalive_probes", "9"),
	KNOB("tcp_keepalive_time", "7200"),
	KNOB("tcp_max_syn_backlog", "4096"),
	KNOB("tcp_rmem", "4096\t131072\t4194304"),
	KNOB("tcp_sack", "0"),
	KNOB("tcp_syncookies", "0"),
	KNOB("tcp_timestamps", "0"),
	KNOB("tcp_wmem", "4096\t16384\t4194304"),
	END,
};
static const struct pentry net_ipv6_conf_all_entries[] = { KNOB("disable_ipv6", "0"), KNOB("forwarding", "0"), END };
static const struct pentry net_ipv6_conf_entries[] = {
	DIR("all", net_ipv6_conf_all_entries),
	DIR("default", net_ipv6_conf_all_entries),
	DIR("lo", net_ipv6_conf_all_entries),
	END,
};
static const struct pentry net_ipv6_entries[] = { KNOB("bindv6only", "0"), DIR("conf", net_ipv6_conf_entries), END };
static const struct pentry net_unix_entries[] = { KNOB("max_dgram_qlen", "10"), END };
static const struct pentry net_entries[] = {
	DIR("core", net_core_entries),
	DIR("ipv4", net_ipv4_entries),
	DIR("ipv6", net_ipv6_entries),
	DIR("unix", net_unix_entries),
	END,
};
const struct pentry proc_sys_entries[] = {
	DIR("dev", dev_entries),
	DIR("fs", fs_entries),
	DIR("kernel", kernel_entries),
	DIR("net", net_entries),
	DIR("vm", vm_entries),
	END,
};
