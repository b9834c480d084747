/* SPDX-License-Identifier: MIT */
/* sysbench: what a program pays for operating-system services. One line a test: name, value, unit.
 * Static, so that the same binary runs natively and under every peer. usage: sysbench [test...]  */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>

static char dir[] = "/tmp/sysbenchXXXXXX", file[64];
static char *self;
static double now(void)
{
	struct timespec t;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}
#define MUST(x) ({ long r_ = (long)(x); if (r_ == -1) { printf("%s:%d %s: %s\n", __func__, __LINE__, #x, strerror(errno)); exit(1); } r_; })
/* repeat the body in growing batches until half a second is spent; gives microseconds per turn */
#define PER_TURN(body) ({ long n_ = 1, done_ = 0; double t0_ = now(), t_; \
	do { for (long i_ = 0; i_ < n_; i_++) { body; } done_ += n_; t_ = now() - t0_; if (t_ < 0.1) n_ *= 2; } while (t_ < 0.5); \
	t_ / done_ * 1e6; })
static void say(const char *name, double v, const char *unit) { printf("%-22s %12.3f %s\n", name, v, unit); fflush(stdout); }

static void t_getppid(void) { say("getppid", PER_TURN(syscall(SYS_getppid)), "us"); }
static void t_gettime(void) { struct timespec t; say("clock_gettime", PER_TURN(clock_gettime(CLOCK_MONOTONIC, &t)), "us"); }
static void t_read1(void) { char c; int fd = MUST(open("/dev/zero", O_RDONLY)); say("read_zero_1", PER_TURN(MUST(read(fd, &c, 1))), "us"); }
static void t_write1(void) { int fd = MUST(open("/dev/null", O_WRONLY)); say("write_null_1", PER_TURN(MUST(write(fd, "x", 1))), "us"); }
static void t_open(void) { say("open_close", PER_TURN(MUST(close(MUST(open(file, O_RDONLY))))), "us"); }
static void t_stat(void) { struct stat s; say("stat", PER_TURN(MUST(stat("/usr/share/doc/bash", &s))), "us"); }
static void t_getrandom(void) { char b[16]; say("getrandom_16", PER_TURN(MUST(syscall(SYS_getrandom, b, 16, 0))), "us"); }
static void t_pread(void) { char b[4096]; int fd = MUST(open(file, O_RDONLY)); say("pread_4k", PER_TURN(MUST(pread(fd, b, 4096, 0))), "us"); }
static void t_write_file(void)
{
	char *b = malloc(1 << 20);
	memset(b, 7, 1 << 20);
	double t = now();
	int fd = MUST(open(file, O_RDWR | O_CREAT | O_TRUNC, 0600));
	for (int i = 0; i < 128; i++) MUST(write(fd, b, 1 << 20));
	say("write_file", 128 / 1024.0 / (now() - t), "GB/s");
	close(fd);
	free(b);
}
static void read_blocks(const char *name, size_t bs)
{
	char *b = malloc(bs);
	int fd = MUST(open(file, O_RDONLY));
	long total = 0, n;
	double t = now();
	do {
		while ((n = MUST(read(fd, b, bs))) > 0) total += n;
		lseek(fd, 0, SEEK_SET);
	} while (total && now() - t < 0.5);
	say(name, total / 1073741824.0 / (now() - t), "GB/s");
	close(fd);
	free(b);
}
static void t_read_file(void) { read_blocks("read_file_4k", 4096); read_blocks("read_file_64k", 65536); }
static void t_mmap(void)
{
	size_t len = 64 << 20;
	double t = now();
	char *p = mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p);
	madvise(p, len, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < len; i += 4096) p[i] = 1;
	say("page_touch", (now() - t) * 1e6 / (len / 4096), "us");
	munmap(p, len);
	say("mmap_munmap_64k", PER_TURN(({ char *q = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); q[0] = 1; munmap(q, 65536); })), "us");
	p = mmap(0, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("mprotect_toggle", PER_TURN(({ mprotect(p, 4096, PROT_READ); mprotect(p, 4096, 3); p[0]++; })), "us");
}
static void t_readdir(void)
{
	char d[80];
	snprintf(d, sizeof d, "%s/d", dir);
	mkdir(d, 0700);
	for (int i = 0; i < 500; i++) { char p[128]; snprintf(p, sizeof p, "%s/f%d", d, i); close(MUST(open(p, O_CREAT | O_WRONLY, 0600))); }
	say("readdir_500", PER_TURN(({ DIR *h = opendir(d); while (readdir(h)) ; closedir(h); })), "us");
	for (int i = 0; i < 500; i++) { char p[128]; snprintf(p, sizeof p, "%s/f%d", d, i); unlink(p); }
	rmdir(d);
}
/* two processes pass one byte to and fro over the descriptor pair a (parent) / b (child) */
static void pingpong(const char *name, int ar, int aw, int br, int bw)
{
	pid_t p = MUST(fork());
	char c = 1;
	if (!p) {
		while (read(br, &c, 1) == 1 && c) if (write(bw, &c, 1) != 1) break;
		_exit(0);
	}
	say(name, PER_TURN(({ MUST(write(aw, &c, 1)); MUST(read(ar, &c, 1)); })), "us");
	c = 0;
	MUST(write(aw, &c, 1));
	waitpid(p, 0, 0);
}
static void t_pipe(void) { int a[2], b[2]; MUST(pipe(a)); MUST(pipe(b)); pingpong("pipe_pingpong", b[0], a[1], a[0], b[1]); }
static void t_unix(void) { int s[2]; MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s)); pingpong("unix_pingpong", s[0], s[0], s[1], s[1]); }
static void tcp_pair(int s[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t l = sizeof a;
	int one = 1, ls = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(bind(ls, (void *)&a, l));
	MUST(listen(ls, 1));
	MUST(getsockname(ls, (void *)&a, &l));
	s[0] = MUST(socket(AF_INET, SOCK_STREAM, 0));
	MUST(connect(s[0], (void *)&a, l));
	s[1] = MUST(accept(ls, 0, 0));
	for (int i = 0; i < 2; i++) setsockopt(s[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	close(ls);
}
static void t_tcp(void)
{
	int s[2];
	tcp_pair(s);
	pingpong("tcp_pingpong", s[0], s[0], s[1], s[1]);
	size_t bs = 65536, total = 0;
	char *b = calloc(1, bs);
	pid_t p = MUST(fork());
	if (!p) {
		close(s[0]);
		while (read(s[1], b, bs) > 0) ;
		_exit(0);
	}
	close(s[1]);
	double t = now();
	while (now() - t < 1.0) total += MUST(write(s[0], b, bs));
	shutdown(s[0], SHUT_WR);
	waitpid(p, 0, 0);
	say("tcp_stream", total / 1048576.0 / (now() - t), "MB/s");
	free(b);
}
static int word[2];
static void wait_for(int *w, int v) { while (__atomic_load_n(w, __ATOMIC_SEQ_CST) != v) syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, 1 - v, 0); }
static void set(int *w, int v) { __atomic_store_n(w, v, __ATOMIC_SEQ_CST); syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, 1); }
static volatile int stop;
static void *futex_peer(void *u) { (void)u; for (;;) { wait_for(&word[0], 1); word[0] = 0; set(&word[1], 1); if (stop) return 0; } }
static void t_futex(void)
{
	pthread_t t;
	pthread_create(&t, 0, futex_peer, 0);
	say("futex_pingpong", PER_TURN(({ set(&word[0], 1); wait_for(&word[1], 1); word[1] = 0; })), "us");
	stop = 1;
	set(&word[0], 1);
	pthread_join(t, 0);
}
static void *nothing(void *u) { return u; }
static void t_thread(void) { pthread_t t; say("thread_create_join", PER_TURN(({ pthread_create(&t, 0, nothing, 0); pthread_join(t, 0); })), "us"); }
static void t_epoll(void)
{
	int e = MUST(epoll_create1(0)), v = MUST(eventfd(0, 0));
	struct epoll_event ev = { .events = EPOLLIN }, out;
	uint64_t x = 1;
	MUST(epoll_ctl(e, EPOLL_CTL_ADD, v, &ev));
	say("eventfd_epoll", PER_TURN(({ MUST(write(v, &x, 8)); MUST(epoll_wait(e, &out, 1, -1)); MUST(read(v, &x, 8)); x = 1; })), "us/3 calls");
}
static void t_fork(void)
{
	say("fork_exit_wait", PER_TURN(({ pid_t p = MUST(fork()); if (!p) _exit(0); waitpid(p, 0, 0); })), "us");
	size_t len = 64 << 20;
	char *m = mmap(0, len, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 1, len);
	say("fork_64M", PER_TURN(({ pid_t p = MUST(fork()); if (!p) _exit(0); waitpid(p, 0, 0); })), "us");
	munmap(m, len);
}
static void t_exec(void)
{
	char *av[] = { self, "nop", 0 }, *ev[] = { 0 };
	say("fork_exec_wait", PER_TURN(({ pid_t p = MUST(fork()); if (!p) { execve(self, av, ev); _exit(127); } waitpid(p, 0, 0); })), "us");
	say("spawn_wait", PER_TURN(({ pid_t p; if (posix_spawn(&p, self, 0, 0, av, ev)) exit(1); waitpid(p, 0, 0); })), "us");
}
static void on_signal(int s) { (void)s; }
static void t_signal(void) { signal(SIGUSR1, on_signal); say("signal_self", PER_TURN(raise(SIGUSR1)), "us"); }
static void t_segv(void)
{
	/* a write fault handled by mprotect in the handler: what JITs and garbage collectors do */
	static char *page;
	page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void handler(int s) { (void)s; mprotect(page, 4096, 3); }
	signal(SIGSEGV, handler);
	say("segv_mprotect", PER_TURN(({ mprotect(page, 4096, PROT_READ); *(volatile char *)page = 1; })), "us");
	signal(SIGSEGV, SIG_DFL);
}
static void t_cpu(void)
{
	double t = now();
	uint64_t x = 1;
	for (long i = 0; i < 300000000; i++) __asm__ volatile("lea 1(%0),%0" : "+r"(x));
	say("cpu_loop", (now() - t) * 1e3, "ms");
}
static const struct { const char *name; void (*run)(void); } tests[] = {
	{ "cpu", t_cpu }, { "getppid", t_getppid }, { "gettime", t_gettime }, { "read1", t_read1 }, { "write1", t_write1 }, { "getrandom", t_getrandom },
	{ "write_file", t_write_file }, { "read_file", t_read_file }, { "pread", t_pread }, { "open", t_open }, { "stat", t_stat }, { "readdir", t_readdir },
	{ "mmap", t_mmap }, { "pipe", t_pipe }, { "unix", t_unix }, { "tcp", t_tcp }, { "futex", t_futex }, { "thread", t_thread }, { "epoll", t_epoll },
	{ "signal", t_signal }, { "segv", t_segv }, { "fork", t_fork }, { "exec", t_exec },
};
int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "nop")) return 0;
	self = argv[0];
	MUST(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/f", dir);
	int fd = MUST(open(file, O_CREAT | O_RDWR, 0600));
	for (int i = 0; i < 256; i++) MUST(write(fd, file, sizeof file) == sizeof file ? write(fd, tests, sizeof tests) : -1);
	close(fd);
	for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
		int wanted = argc < 2;
		for (int a = 1; a < argc; a++) wanted |= !strcmp(argv[a], tests[i].name);
		if (wanted) tests[i].run();
	}
	unlink(file);
	rmdir(dir);
	return 0;
}
