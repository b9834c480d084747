/* SPDX-License-Identifier: MIT */
#include "tools/vmrun/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int term = -1;               /* ours: the program may close or redirect 0 to 2 */
static struct termios saved;
static _Atomic bool raw;

int terminal_find(void)
{
	int found = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (!isatty(fd))
			continue;
		if (tcgetsid(fd) == getsid(0))
			return fd;
		if (found < 0)
			found = fd;
	}
	return found >= 0 ? found : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool terminal_is(int fd)
{
	unsigned dev, own;

	return ioctl(term, TIOCGDEV, &own) == 0 && ioctl(fd, TIOCGDEV, &dev) == 0 && dev == own;
}

bool terminal_size(struct winsize *ret)
{
	return ioctl(term, TIOCGWINSZ, ret) == 0;
}

void terminal_restore(void)
{
	sigset_t set, old;

	if (!atomic_exchange(&raw, false))
		return;
	/* Even from the background: who took the terminal meanwhile expects it as it was. */
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	tcsetattr(term, TCSANOW, &saved);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* The fault comes again when we return, and ends us as it would have. */
static void on_crash(int sig)
{
	int err = errno;

	terminal_restore();
	signal(sig, SIG_DFL);
	if (sig == SIGABRT)
		raise(sig);
	errno = err;
}

void terminal_take(int fd)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
	struct sigaction sa = { .sa_handler = on_crash };

	term = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	if (term < 0 || tcgetattr(term, &saved) < 0)
		return;
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		sigaction(deadly[i], &sa, NULL);
}

/* Not our controlling terminal: nobody can be in its foreground but us. */
static bool in_foreground(void)
{
	pid_t pgrp = tcgetpgrp(term);

	return pgrp < 0 || pgrp == getpgrp();
}

bool terminal_is_raw(void)
{
	return atomic_load(&raw);
}

bool terminal_raw(bool keep_output)
{
	struct termios t = saved;

	if (term < 0 || !in_foreground())
		return false;
	cfmakeraw(&t);
	if (keep_output)
		t.c_oflag = saved.c_oflag;
	atomic_store(&raw, true); /* first: a crash in between restores what is not changed yet */
	if (tcsetattr(term, TCSANOW, &t) < 0) {
		terminal_restore();
		return false;
	}
	return true;
}

/* --- the shell above us ------------------------------------------------------------------------------------ */

static bool read_stat(pid_t pid, pid_t *ret_parent, pid_t *ret_pgrp, pid_t *ret_session)
{
	char path[64], buf[512], *end;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	end = strrchr(buf, ')'); /* the name may have any characters */
	return end && sscanf(end, ") %*c %d %d %d", ret_parent, ret_pgrp, ret_session) == 3;
}

bool terminal_has_shell(void)
{
	pid_t pid = getppid(), parent, pgrp, session;

	while (pid > 0 && read_stat(pid, &parent, &pgrp, &session)) {
		if (session != getsid(0))
			return false;
		if (pgrp != getpgrp())
			return true;
		pid = parent; /* of our own group: whoever looks after it is further up */
	}
	return false;
}
