/* SPDX-License-Identifier: MIT */
/*
 * The option table. Options end at the program's name: what follows is the program's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/vmrun/options.h"
#include "vmm/meeting.h"

struct option_row {
	const char *name;
	char letter;       /* 0: none */
	const char *value; /* what the value is called in --help; NULL: none. "[X]": optional, only as --name=X */
	const char *help;
	int (*set)(struct options *o, const char *value, char *err, unsigned long err_size);
};

static int bad(char *err, unsigned long size, const char *what, const char *value, const char *todo)
{
	snprintf(err, size, "%s '%s': %s", what, value, todo);
	return -1;
}

bool size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	char *end;
	unsigned long long n;
	unsigned shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end) {
		const char *u = strchr(units, *end >= 'a' ? *end - 32 : *end);

		if (!u)
			return false;
		shift = 10 * (unsigned)(u - units + 1);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (errno || *end || n > (UINT64_MAX >> shift))
		return false;
	*ret = (uint64_t)n << shift;
	return true;
}

static int set_memory(struct options *o, const char *v, char *err, unsigned long n)
{
	if (!size_parse(v, &o->cfg.memory) || o->cfg.memory < (uint64_t)16 << 20)
		return bad(err, n, "--memory", v, "give a size of at least 16M, such as 512M or 4G");
	return 0;
}

static int set_rootfs(struct options *o, const char *v, char *err, unsigned long n)
{
	o->cfg.rootfs = realpath(v, NULL); /* the instance is elsewhere, and others may name it their way */
	return o->cfg.rootfs ? 0 : bad(err, n, "--rootfs", v, strerror(errno));
}

static int set_cwd(struct options *o, const char *v, char *err, unsigned long n)
{
	o->program.cwd = v;
	return *v == '/' ? 0 : bad(err, n, "--cwd", v, "give an absolute directory inside");
}

static int set_volume(struct options *o, const char *v, char *err, unsigned long n)
{
	if (o->cfg.nvolumes == VMRUN_MAX_VOLUMES)
		return bad(err, n, "--volume", v, "too many volumes");
	if (volume_parse(v, &o->volume[o->cfg.nvolumes], err, n) < 0)
		return -1;
	o->cfg.nvolumes++;
	o->cfg.volumes = o->volume;
	return 0;
}

static bool id_parse(const char *text, char end, uint32_t *ret, const char **ret_rest)
{
	unsigned long n;
	char *rest;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoul(text, &rest, 10);
	*ret = (uint32_t)n;
	*ret_rest = *rest ? rest + 1 : NULL;
	return !errno && n < UINT32_MAX && (!*rest || *rest == end);
}

/* The group is that of the same number unless given. */
static int set_user(struct options *o, const char *v, char *err, unsigned long n)
{
	const char *gid, *rest = NULL;

	if (!id_parse(v, ':', &o->program.uid, &gid) || (gid && (!id_parse(gid, '\0', &o->program.gid, &rest) || rest)))
		return bad(err, n, "--user", v, "give numbers: UID or UID:GID");
	if (!gid)
		o->program.gid = o->program.uid;
	o->program.has_user = true;
	return 0;
}

static int set_net(struct options *o, const char *v, char *err, unsigned long n)
{
	return network_parse(v, &o->cfg.net, err, n);
}

static int set_publish(struct options *o, const char *v, char *err, unsigned long n)
{
	if (o->cfg.net.npublish == VMRUN_MAX_PUBLISH)
		return bad(err, n, "--publish", v, "too many ports");
	if (publish_parse(v, &o->publish[o->cfg.net.npublish], err, n) < 0)
		return -1;
	o->cfg.net.npublish++;
	o->cfg.net.publish = o->publish;
	return 0;
}

/* The file need not exist. NULL: nowhere. Lives as long as we. */
static char *absolute(const char *file)
{
	char cwd[4096], *r;

	if (file[0] == '/')
		return strdup(file);
	return getcwd(cwd, sizeof(cwd)) && asprintf(&r, "%s/%s", cwd, file) >= 0 ? r : NULL;
}

static int set_pcap(struct options *o, const char *v, char *err, unsigned long n)
{
	o->cfg.net.pcap = *v ? absolute(v) : NULL;
	if (!o->cfg.net.pcap)
		return bad(err, n, "--pcap", v, "give a file to write");
	return 0;
}

static int set_name(struct options *o, const char *v, char *err, unsigned long n)
{
	o->name = v;
	return meeting_name_ok(v) ? 0 : bad(err, n, "--name", v, "give up to 48 letters, digits, '.', '_' or '-'");
}

static int set_env(struct options *o, const char *v, char *err, unsigned long n)
{
	if (o->nenv == VMRUN_MAX_ENV || !*v || *v == '=')
		return bad(err, n, "--env", v, "give NAME=VALUE to set it, NAME to drop it");
	o->env[o->nenv++] = v;
	return 0;
}

static int set_max_threads(struct options *o, const char *v, char *err, unsigned long n)
{
	uint32_t max;
	const char *rest;

	if (!id_parse(v, '\0', &max, &rest) || max < 1 || max > 4096)
		return bad(err, n, "--max-threads", v, "give a number from 1 to 4096");
	o->cfg.max_threads = max;
	return 0;
}

static int set_serve(struct options *o, const char *v, char *err, unsigned long n)
{
	uint32_t fd, log = 0;
	const char *rest, *end = NULL;

	if (!id_parse(v, ':', &fd, &rest) || (rest && (!id_parse(rest, '\0', &log, &end) || end)) || fd > 65535 || log > 65535)
		return bad(err, n, "--serve", v, "give descriptors: FD or FD:LOG");
	o->serve = true;
	o->serve_fd = (int)fd;
	o->serve_log = rest ? (int)log : -1;
	return 0;
}

static int set_strace(struct options *o, const char *v, char *err, unsigned long n)
{
	o->strace = true;
	o->strace_file = v;
	return 0;
}

static int set_debug(struct options *o, const char *v, char *err, unsigned long n)
{
	o->debug = v;
	return 0;
}

#define FLAG(field) \
	static int set_##field(struct options *o, const char *v, char *err, unsigned long n) { o->field = true; return 0; }
FLAG(stats)
FLAG(verbose)
FLAG(fresh)
FLAG(show_help)
FLAG(show_version)
FLAG(show_syscalls)

static int set_rewrite(struct options *o, const char *v, char *err, unsigned long n)
{
	if (!strcmp(v, "auto"))
		o->cfg.rewrite = REWRITE_AUTO;
	else if (!strcmp(v, "always"))
		o->cfg.rewrite = REWRITE_ALWAYS;
	else if (!strcmp(v, "never"))
		o->cfg.rewrite = REWRITE_NEVER;
	else
		return bad(err, n, "--rewrite", v, "give auto, always or never");
	return 0;
}

static int set_no_rewrite(struct options *o, const char *v, char *err, unsigned long n)
{
	o->cfg.rewrite = REWRITE_NEVER;
	return 0;
}

static const struct option_row table[] = {
	{ "memory", 'm', "SIZE", "memory of the instance, e.g. 512M (default: a quarter of the host's)", set_memory },
	{ "max-threads", 0, "N", "how many threads its processes may have together (default: 4096)", set_max_threads },
	{ "rootfs", 0, "DIR", "a host directory as \"/\"; changes stay in memory (default: the host's \"/\")", set_rootfs },
	{ "volume", 'v', "HOST:GUEST[:ro]", "show a host directory inside, writable unless :ro; repeatable", set_volume },
	{ "cwd", 'C', "DIR", "working directory inside (default: the caller's)", set_cwd },
	{ "user", 'u', "UID[:GID]", "run as this user (default: as the caller; GID: the same number)", set_user },
	{ "env", 'e', "NAME[=VALUE]", "set, or drop, a variable of the program's environment; repeatable", set_env },
	{ "net", 0, "KIND", "tap[=NAME], user or loopback (default: tap where permitted, else user)", set_net },
	{ "publish", 'p', "HOST:GUEST[/udp]", "user network: the host's port (or ADDR:HOST) leads to one inside; repeatable", set_publish },
	{ "pcap", 0, "FILE", "write what passes the network interface to FILE (tcpdump's format)", set_pcap },
	{ "name", 'n', "NAME", "the instance to join, or to start (default: \"default\")", set_name },
	{ "new", 0, NULL, "a private instance that ends with its program", set_fresh },
	{ "serve", 0, "FD[:LOG]", "be an instance without a program, whose socket listens at FD: for libvmrun", set_serve },
	{ "rewrite", 0, "WHEN", "jumps for hot `syscall` instructions: always, never, or auto, where faster (default)", set_rewrite },
	{ "no-rewrite", 0, NULL, "leave `syscall` instructions of programs as they are: --rewrite never", set_no_rewrite },
	{ "strace", 0, "[FILE]", "print system calls in strace(1)'s form to stderr, or to FILE", set_strace },
	{ "stats", 0, NULL, "at the end print calls, errors, time and exits", set_stats },
	{ "syscalls", 0, NULL, "print the table of system calls and how far each is supported", set_show_syscalls },
	{ "debug", 0, "LIST", "debug messages: kvm,mm,vfs,proc,signal,futex,net,syscall,tty,timer or all", set_debug },
	{ "verbose", 0, NULL, "say what was chosen, and name missing calls once", set_verbose },
	{ "version", 0, NULL, "print the version", set_show_version },
	{ "help", 'h', NULL, "print this", set_show_help },
};

void options_help(void)
{
	puts("usage: vmrun [OPTION...] PROGRAM [ARG...]\n"
	     "Runs an unmodified x86-64 Linux program in a KVM virtual machine without a guest kernel.\n");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct option_row *r = &table[i];
		char left[64], letter[8] = "    ";
		bool optional = r->value && r->value[0] == '[';

		if (r->letter)
			snprintf(letter, sizeof(letter), "-%c, ", r->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", letter, r->name, !r->value ? "" : optional ? "[=" : " ",
			 !r->value ? "" : optional ? r->value + 1 : r->value);
		printf("  %-34s %s\n", left, r->help);
	}
	puts("\nExit status: the program's own (killed by a signal: the same signal); 127 not found, 126 cannot be run,\n"
	     "125 vmrun itself failed. See vmrun(1).");
}

static const struct option_row *find(const char *arg, const char **ret_value)
{
	bool is_long = arg[1] == '-';

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct option_row *r = &table[i];
		size_t n = strlen(r->name);

		*ret_value = NULL;
		if (!is_long && r->letter && arg[1] == r->letter) {
			*ret_value = arg[2] ? arg + 2 : NULL;
			return r;
		}
		if (is_long && !strncmp(arg + 2, r->name, n) && (!arg[2 + n] || arg[2 + n] == '=')) {
			*ret_value = arg[2 + n] ? arg + 3 + n : NULL;
			return r;
		}
	}
	return NULL;
}

bool options_private(const struct options *o)
{
	return o->fresh || o->strace || o->stats || o->debug;
}

const char *options_name(const struct options *o)
{
	return o->name ? o->name : MEETING_DEFAULT_NAME;
}

int options_parse(int argc, char **argv, struct options *o, char *err, unsigned long err_size)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *value;
		const struct option_row *r;

		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		r = find(argv[i], &value);
		if (!r)
			return bad(err, err_size, "unknown option", argv[i], "see vmrun --help");
		if (value && !r->value)
			return bad(err, err_size, "option", argv[i], "it takes no value");
		if (r->value && r->value[0] != '[' && !value) {
			if (++i == argc)
				return bad(err, err_size, "option", argv[i - 1], "a value is missing");
			value = argv[i];
		}
		if (r->set(o, value, err, err_size) < 0)
			return -1;
	}
	if (o->name && options_private(o)) {
		snprintf(err, err_size, "--name %s: --new, --strace, --stats and --debug make a private instance: give one or the other", o->name);
		return -1;
	}
	if (o->cfg.net.npublish && o->cfg.net.mode == NET_AUTO)
		o->cfg.net.mode = NET_USER;
	if (o->cfg.net.npublish && o->cfg.net.mode != NET_USER) {
		snprintf(err, err_size, "--publish is for --net user: a tap lets the host reach 10.0.2.15 itself, loopback nobody");
		return -1;
	}
	if (o->cfg.net.pcap && o->cfg.net.mode == NET_LOOPBACK) {
		snprintf(err, err_size, "--pcap is for --net tap and user: nothing passes an interface with --net loopback");
		return -1;
	}
	o->program.argv = argv + i;
	if (i == argc && !o->show_help && !o->show_version && !o->show_syscalls && !o->serve) {
		snprintf(err, err_size, "no program given: usage: vmrun [OPTION...] PROGRAM [ARG...]; see vmrun --help");
		return -1;
	}
	return 0;
}
