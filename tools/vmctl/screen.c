/* SPDX-License-Identifier: MIT */
/* Lines on a terminal: cut to its width, as many as it has, and drawn anew when its size changes. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "tools/vmctl/vmctl.h"

bool screen_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize ws;

	if (ioctl(1, TIOCGWINSZ, &ws) < 0)
		return false;
	*ret_rows = ws.ws_row ? ws.ws_row : 24;
	*ret_columns = ws.ws_col ? ws.ws_col : 80;
	return true;
}

/* How many bytes of the line fit. Whatever the caller's locale is, what instances say is UTF-8. */
static size_t fitting(const char *line, size_t len, unsigned columns)
{
	mbstate_t state = { 0 };
	unsigned used = 0;
	size_t at = 0;

	while (at < len) {
		wchar_t c = 0;
		size_t n = mbrtowc(&c, line + at, len - at, &state);
		int width = n && n <= len - at ? wcwidth(c) : 1;

		if (n == 0 || n > len - at) {
			n = 1;
			memset(&state, 0, sizeof(state));
		}
		used += width < 0 ? 1 : (unsigned)width;
		if (used > columns)
			break;
		at += n;
	}
	return at;
}

static const char *put_line(const char *text, unsigned columns, const char *end)
{
	size_t len = strcspn(text, "\n");

	fwrite(text, 1, fitting(text, len, columns), stdout);
	fputs(end, stdout);
	return text + len + (text[len] == '\n');
}

/* Is there a screen that text is to be cut for? Else it has been written as it is. */
static bool has_screen(const char *text, unsigned *ret_rows, unsigned *ret_columns)
{
	if (!screen_size(ret_rows, ret_columns)) {
		fputs(text, stdout);
		return false;
	}
	setlocale(LC_CTYPE, "C.UTF-8");
	return true;
}

void screen_lines(const char *text)
{
	unsigned rows, columns;

	if (!has_screen(text, &rows, &columns))
		return;
	while (*text)
		text = put_line(text, columns, "\n");
}

void screen_draw(const char *text)
{
	unsigned rows, columns;

	if (!has_screen(text, &rows, &columns))
		return;
	fputs("\033[H", stdout);
	for (unsigned i = 1; *text && i < rows; i++)
		text = put_line(text, columns, "\033[K\n");
	fputs("\033[J", stdout);
}

void screen_wait(unsigned seconds)
{
	const struct timespec time = { .tv_sec = seconds };
	sigset_t resized;

	sigemptyset(&resized);
	sigaddset(&resized, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resized, NULL); /* and stays so: one that comes meanwhile is not lost */
	sigtimedwait(&resized, NULL, &time);
}
