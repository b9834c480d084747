/* SPDX-License-Identifier: MIT */
#include "tools/vmrun/terminal.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int term = -1;               /* ours: the program may close or redirect 0 to 2 */
static struct termios2 saved;
static struct termios2 made;        /* what raw mode was, last time */
static _Atomic bool raw;

static pid_t session_of(int fd)
{
	pid_t sid;

	return ioctl(fd, TIOCGSID, &sid) < 0 ? -1 : sid;
}

int terminal_find(void)
{
	int found = -1;

	for (int fd = 0; fd < 3; fd++) {
		if (!isatty(fd))
			continue;
		if (session_of(fd) == getsid(0))
			return fd;
		if (found < 0)
			found = fd;
	}
	return found >= 0 ? found : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

bool terminal_is_controlling(int fd)
{
	return session_of(fd) == getsid(0);
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
	ioctl(term, TCSETS2, &saved);
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
	if (term < 0 || ioctl(term, TCGETS2, &saved) < 0)
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

bool terminal_stops_writers(void)
{
	struct termios2 now;

	return term >= 0 && !in_foreground() && ioctl(term, TCGETS2, &now) == 0 && (now.c_lflag & TOSTOP);
}

/* cfmakeraw(3) */
static void make_raw(struct termios2 *t, bool keep_output)
{
	t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	if (!keep_output)
		t->c_oflag &= ~(tcflag_t)OPOST;
	t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t->c_cflag = (t->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t->c_cc[VMIN] = 1;
	t->c_cc[VTIME] = 0;
}

/* A shell's line editor had it while we were in the background, say. */
static bool changed_by_others(void)
{
	struct termios2 now;

	if (ioctl(term, TCGETS2, &now) < 0 || !memcmp(&now, &saved, sizeof(now)) || !memcmp(&now, &made, sizeof(now)))
		return false;
	saved = now;
	return true;
}

/* Until it was raw, lines that were not complete could not be counted. */
static unsigned typed_ahead(void)
{
	int n;

	return (saved.c_lflag & ECHO) && ioctl(term, FIONREAD, &n) == 0 && n > 0 ? (unsigned)n : 0;
}

bool terminal_raw(bool keep_output, const struct termios2 **ret_changed, unsigned *ret_echoed)
{
	bool was = terminal_is_raw();

	*ret_changed = NULL;
	*ret_echoed = 0;
	if (term < 0 || !in_foreground())
		return false;
	if (changed_by_others())
		*ret_changed = &saved;
	made = saved;
	make_raw(&made, keep_output);
	atomic_store(&raw, true); /* first: a crash in between restores what is not changed yet */
	if (ioctl(term, TCSETS2, &made) < 0) {
		terminal_restore();
		return false;
	}
	if (!was)
		*ret_echoed = typed_ahead();
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
