/* SPDX-License-Identifier: MIT */
/*
 * /proc/sys: constants of this system and the host's own facts. Writing is refused with EPERM, as in a container.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "emul/base/err.h"
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

static const struct pnode_ops knob_ops = { .mode = S_IFREG | 0644, .show = show_text, .write = refuse_write };
OPS(uts, show_uts);
OPS(uuid, show_uuid);
OPS(pid_max, show_pid_max);
OPS(threads_max, show_threads_max);
OPS(aio_nr, show_aio_nr);
static const struct pnode_ops dir_ops = { .mode = S_IFDIR | 0555 };

#define TEXT(name, text) { name, &text_ops, text, NULL }
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
	KNOB("core_pattern", "core"),
	KNOB("core_uses_pid", "0"),
	UTS("domainname", domainname),
	UTS("hostname", nodename),
	KNOB("msgmax", "8192"),
	KNOB("msgmnb", "16384"),
	KNOB("msgmni", "32000"),
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
	KNOB("max_map_count", "65530"),
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
	KNOB("max_user_instances", "128"),
	KNOB("max_user_watches", "65536"),
	END,
};
static const struct pentry epoll_entries[] = { KNOB("max_user_watches", "1000000"), END };
static const struct pentry mqueue_entries[] = {
	KNOB("msg_default", "10"),
	KNOB("msg_max", "10"),
	KNOB("msgsize_default", "8192"),
	KNOB("msgsize_max", "8192"),
	KNOB("queues_max", "256"),
	END,
};
static const struct pentry fs_entries[] = {
	KNOB("aio-max-nr", "65536"),
	{ "aio-nr", &aio_nr_ops, NULL, NULL },
	DIR("epoll", epoll_entries),
	KNOB("file-max", "1048576"),
	TEXT("file-nr", "0\t0\t1048576"),
	DIR("inotify", inotify_entries),
	KNOB("lease-break-time", "45"),
	DIR("mqueue", mqueue_entries),
	KNOB("nr_open", "1048576"),
	KNOB("overflowgid", "65534"),
	KNOB("overflowuid", "65534"),
	KNOB("pipe-max-size", "1048576"),
	KNOB("pipe-user-pages-hard", "0"),
	KNOB("pipe-user-pages-soft", "16384"),
	KNOB("protected_hardlinks", "1"),
	KNOB("protected_symlinks", "0"),
	KNOB("suid_dumpable", "0"),
	END,
};
const struct pentry proc_sys_entries[] = {
	DIR("dev", dev_entries),
	DIR("fs", fs_entries),
	DIR("kernel", kernel_entries),
	DIR("vm", vm_entries),
	END,
};
