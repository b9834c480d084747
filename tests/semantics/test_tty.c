/* SPDX-License-Identifier: MIT */
/* The line discipline: what the screen shows and what the program reads of what is typed; what becomes of output. termios(3). */
#include "tests/lib/pty.h"

#include "tests/lib/file_bg.h"

/* Linux's, which POSIX does not have. */
#ifndef IUCLC
#define IUCLC 0001000
#endif
#ifndef OLCUC
#define OLCUC 0000002
#endif

/* --- canonical mode: one table ---------------------------------------------------------------------------- */

struct line_case {
	const char *what;
	struct pty_mode mode;
	const char *typed, *screen, *read;
	size_t read_len; /* 0: strlen(read) */
};

static const struct line_case lines[] = {
	{ "a line", { 0 }, "abc\n", "abc\r\n", "abc\n", 0 },
	{ "return is newline", { 0 }, "abc\r", "abc\r\n", "abc\n", 0 },
	{ "erase", { 0 }, "abc\177d\n", "abc\b \bd\r\n", "abd\n", 0 },
	{ "erase at the start", { 0 }, "\177\177x\n", "x\r\n", "x\n", 0 },
	{ "a control character", { 0 }, "\001b\177\177\n", "^Ab\b \b\b \b\b \b\r\n", "\n", 0 },
	{ "without ECHOCTL", { .l_off = ECHOCTL }, "\001b\177\177\n", "\001b\b \b\r\n", "\n", 0 },
	{ "kill", { 0 }, "abc\025d\n", "abc\b \b\b \b\b \bd\r\n", "d\n", 0 },
	{ "kill without ECHOKE", { .l_off = ECHOKE }, "abc\025d\n", "abc^U\r\nd\r\n", "d\n", 0 },
	{ "kill without ECHOK", { .l_off = ECHOK | ECHOKE }, "abc\025d\n", "abc^Ud\r\n", "d\n", 0 },
	{ "word erase", { 0 }, "one two\027x\n", "one two\b \b\b \b\b \bx\r\n", "one x\n", 0 },
	{ "word erase over blanks", { 0 }, "one two  \027x\n", "one two  \b \b\b \b\b \b\b \b\b \bx\r\n", "one x\n", 0 },
	{ "word erase stops at signs", { 0 }, "a/b_1\027\n", "a/b_1\b \b\b \b\b \b\r\n", "a/\n", 0 },
	{ "word erase knows Latin letters", { 0 }, "b \344\327\344\001\344\027\n", "b \344\327\344^A\344\b \b\r\n", "b \344\327\344\001\n", 0 },
	{ "no word erase without IEXTEN", { .l_off = IEXTEN }, "a\027\n", "a^W\r\n", "a\027\n", 0 },
	{ "reprint", { 0 }, "ab\022c\n", "ab^R\r\nabc\r\n", "abc\n", 0 },
	{ "literal next", { 0 }, "\026\003\n", "^\b^C\r\n", "\003\n", 0 },
	{ "literal erase", { 0 }, "a\026\177\n", "a^\b^?\r\n", "a\177\n", 0 },
	{ "literal newline", { 0 }, "a\026\nb\n", "a^\b^Jb\r\n", "a\nb\n", 0 },
	{ "no literal without IEXTEN", { .l_off = IEXTEN }, "\026a\n", "^Va\r\n", "\026a\n", 0 },
	{ "end of line character", { .cc = { { VEOL, 'x' } } }, "abx", "abx", "abx", 0 },
	{ "second end of line character", { .cc = { { VEOL2, 'y' } } }, "aby", "aby", "aby", 0 },
	{ "end of file in a line", { 0 }, "ab\004", "ab", "ab", 0 },
	{ "erase a tab", { 0 }, "a\tb\177\177c\n", "a\tb\b \b\b\b\b\b\b\b\bc\r\n", "ac\n", 0 },
	{ "erase a tab after a tab", { 0 }, "\t\t\177x\n", "\t\t\b\b\b\b\b\b\b\bx\r\n", "\tx\n", 0 },
	{ "erase a tab after a control", { 0 }, "\001\t\177x\n", "^A\t\b\b\b\b\b\bx\r\n", "\001x\n", 0 },
	{ "erase a long character", { .i_on = IUTF8 }, "a\303\251\177x\n", "a\303\251\b \bx\r\n", "ax\n", 0 },
	{ "erase bytes without IUTF8", { .i_off = IUTF8 }, "\303\251\177x\n", "\303\251\b \bx\r\n", "\303x\n", 0 },
	{ "kill long characters", { .i_on = IUTF8 }, "\303\251b\025x\n", "\303\251b\b \b\b \bx\r\n", "x\n", 0 },
	{ "ECHOPRT", { .l_on = ECHOPRT }, "abc\177\177d\n", "abc\\cb/d\r\n", "ad\n", 0 },
	{ "ECHOPRT to the start", { .l_on = ECHOPRT }, "ab\177\177d\n", "ab\\ba/d\r\n", "d\n", 0 },
	{ "without ECHOE", { .l_off = ECHOE }, "ab\177c\n", "ab^?c\r\n", "ac\n", 0 },
	{ "without ECHO", { .l_off = ECHO }, "ab\177c\n", "", "ac\n", 0 },
	{ "ECHONL", { .l_off = ECHO, .l_on = ECHONL }, "abc\n", "\r\n", "abc\n", 0 },
	{ "IGNCR", { .i_on = IGNCR }, "a\rb\n", "ab\r\n", "ab\n", 0 },
	{ "without ICRNL", { .i_off = ICRNL }, "a\rb\n", "a^Mb\r\n", "a\rb\n", 0 },
	{ "INLCR", { .i_off = ICRNL, .i_on = INLCR }, "a\n\004", "a^M", "a\r", 0 },
	{ "ISTRIP", { .i_on = ISTRIP }, "\341b\n", "ab\r\n", "ab\n", 0 },
	{ "IUCLC", { .i_on = IUCLC }, "AbC\n", "abc\r\n", "abc\n", 0 },
	{ "IUCLC in Latin", { .i_on = IUCLC }, "\304\327\n", "\344\327\r\n", "\344\327\n", 0 },
	{ "OLCUC in Latin, but not the last", { .o_on = OLCUC }, "\344\377\n", "\304\377\r\n", "\344\377\n", 0 },
	{ "what a signal flushed took no columns", { .l_off = ECHOCTL }, "\001b\003\t\177x\n", "\003\t\b\b\b\b\b\b\b\bx\r\n", "x\n", 0 },
	{ "PARMRK doubles 0377", { .i_on = PARMRK }, "\377\n", "\377\r\n", "\377\377\n", 0 },
	{ "another erase character", { .cc = { { VERASE, '#' } } }, "ab#\177\n", "ab\b \b^?\r\n", "a\177\n", 0 },
	{ "interrupt flushes, echoes too", { 0 }, "abc\003d\n", "^Cd\r\n", "d\n", 0 },
	{ "NOFLSH", { .l_on = NOFLSH }, "abc\003d\n", "abc^Cd\r\n", "abcd\n", 0 },
	{ "quit flushes", { 0 }, "abc\034d\n", "^\\d\r\n", "d\n", 0 },
	{ "suspend flushes", { 0 }, "abc\032d\n", "^Zd\r\n", "d\n", 0 },
	{ "without ISIG", { .l_off = ISIG }, "a\003\n", "a^C\r\n", "a\003\n", 0 },
	{ "stop and start are not read", { 0 }, "a\023\021b\n", "ab\r\n", "ab\n", 0 },
	{ "without IXON", { .i_off = IXON }, "\023\n", "^S\r\n", "\023\n", 0 },
	{ "bell and escape", { 0 }, "\a\033[A\n", "^G^[[A\r\n", "\a\033[A\n", 0 },
	{ "without OPOST", { .o_off = OPOST }, "ab\n", "ab\n", "ab\n", 0 },
	{ "EXTPROC", { .l_on = EXTPROC }, "a\177\003b", "", "a\177\003b", 0 },
};

static void lines_are_edited(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct line_case *c = &lines[i];
		struct pair p;

		pty_open(&p);
		pty_mode(p.s, &c->mode);
		pty_type(&p, c->typed);
		pty_screen_at(&p, c->screen, c->what, __FILE__, __LINE__);
		pty_read_at(p.s, c->read, strlen(c->read), c->what, __FILE__, __LINE__);
		pty_close(&p);
	}
}

static void a_nul_is_never_special(void **state)
{
	struct pair p;

	pty_open(&p); /* VEOL is 0: none */
	pty_put(p.m, "a\0b\n", 4);
	PTY_SCREEN(&p, "a^@b\r\n");
	PTY_READ(&p, "a\0b\n");
	pty_close(&p);
}

static void a_read_takes_one_line(void **state)
{
	char buf[16];
	struct pair p;

	pty_open(&p);
	pty_type(&p, "one\ntwo\n\004three\004");
	PTY_SCREEN(&p, "one\r\ntwo\r\nthree");
	assert_int_equal(pty_count(p.s, FIONREAD), 13); /* ends of file do not count */
	assert_int_equal(read(p.s, buf, 2), 2);
	PTY_READ(&p, "e\n");
	PTY_READ(&p, "two\n");
	PTY_READ(&p, "");
	PTY_READ(&p, "three");
	PTY_SILENT(p.s);
	assert_int_equal(pty_count(p.s, FIONREAD), 0);
	pty_close(&p);
}

static void an_end_of_file_goes_with_a_full_read(void **state)
{
	char buf[4];
	struct pair p;

	pty_open(&p);
	pty_type(&p, "abcd\004");
	PTY_SCREEN(&p, "abcd");
	assert_int_equal(read(p.s, buf, 4), 4);
	PTY_SILENT(p.s);
	pty_close(&p);
}

static void a_part_of_a_line_cannot_be_read(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "abc");
	PTY_SILENT(p.s);
	assert_int_equal(pty_count(p.s, FIONREAD), 0);
	fcntl(p.s, F_SETFL, O_NONBLOCK);
	ASSERT_ERR(read(p.s, (char[4]){ 0 }, 4), EAGAIN);
	pty_type(&p, "\n");
	PTY_READ(&p, "abc\n");
	pty_close(&p);
}

/* --- the longest line -------------------------------------------------------------------------------------- */

static void a_line_has_at_most_4095_bytes_and_its_end(void **state)
{
	static char text[6000], got[8192];
	struct pair p;
	ssize_t n;

	pty_open(&p);
	pty_mode(p.s, &(struct pty_mode){ .l_off = ECHO });
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(text); i += 1000)
		pty_put(p.m, text + i, 1000);
	PTY_SILENT(p.s);
	pty_type(&p, "\n");
	assert_true(pty_ready(p.s, POLLIN, PTY_LIMIT_MS) & POLLIN);
	n = ASSERT_OK(read(p.s, got, sizeof(got)));
	assert_int_equal(n, 4096);
	assert_int_equal(got[4095], '\n');
	assert_memory_equal(got, text, 4095);
	pty_close(&p);
}

static void the_end_of_the_longest_line_is_counted(void **state)
{
	static char got[8192];
	struct pair p;

	pty_open(&p);
	pty_mode(p.s, &(struct pty_mode){ .l_off = ECHO });
	memset(got, 'x', 4095);
	for (size_t i = 0; i < 4095; i += 1365)
		pty_put(p.m, got + i, 1365);
	PTY_SILENT(p.s);
	pty_type(&p, "\004");
	assert_true(pty_ready(p.s, POLLIN, PTY_LIMIT_MS) & POLLIN);
	assert_int_equal(pty_count(p.s, FIONREAD), 4096);
	assert_int_equal(read(p.s, got, sizeof(got)), 4095);
	assert_int_equal(pty_count(p.s, FIONREAD), 0);
	pty_close(&p);
}

static void a_raw_terminal_keeps_everything(void **state)
{
	static char got[20000];
	size_t sent = 0, seen = 0;
	struct pair p;

	pty_open(&p);
	pty_raw(p.s, 1, 0);
	fcntl(p.m, F_SETFL, O_NONBLOCK);
	for (;;) {
		char c = (char)('a' + sent % 26);

		if (write(p.m, &c, 1) != 1)
			break;
		sent++;
		if (sent % 512 == 0)
			sleep_ms(1);
		if (sent == sizeof(got))
			break;
	}
	assert_true(sent >= 4095);
	while (seen < sent) {
		assert_true(pty_ready(p.s, POLLIN, PTY_LIMIT_MS) & POLLIN);
		seen += (size_t)ASSERT_OK(read(p.s, got + seen, sizeof(got) - seen));
	}
	for (size_t i = 0; i < sent; i++)
		assert_int_equal(got[i], 'a' + i % 26);
	assert_true(pty_ready(p.m, POLLOUT, PTY_LIMIT_MS) & POLLOUT);
	pty_close(&p);
}

/* --- output ------------------------------------------------------------------------------------------------- */

static const struct { const char *what; struct pty_mode mode; const char *written, *screen; } outputs[] = {
	{ "ONLCR", { 0 }, "a\nb\n", "a\r\nb\r\n" },
	{ "no OPOST", { .o_off = OPOST }, "a\nb\n", "a\nb\n" },
	{ "OCRNL", { .o_off = ONLCR, .o_on = OCRNL }, "a\rb", "a\nb" },
	{ "ONOCR", { .o_on = ONOCR }, "\ra\r", "a\r" },
	{ "ONLRET", { .o_off = ONLCR, .o_on = ONLRET | ONOCR }, "a\n\rb", "a\nb" },
	{ "newline keeps the column", { .o_off = ONLCR, .o_on = ONOCR }, "a\n\rb", "a\n\rb" },
	{ "XTABS", { .o_on = XTABS }, "ab\tc\td\n", "ab      c       d\r\n" },
	{ "XTABS after backspace", { .o_on = XTABS }, "ab\b\tc", "ab\b       c" },
	{ "XTABS after a control", { .o_on = XTABS }, "a\001\tc", "a\001       c" },
	{ "XTABS and UTF-8", { .i_on = IUTF8, .o_on = XTABS }, "\303\251\tc", "\303\251       c" },
	{ "OLCUC", { .o_on = OLCUC }, "aBc", "ABC" },
	{ "OLCUC in Latin", { .o_on = OLCUC }, "\344\337\367\377", "\304\277\367\337" },
	{ "tabs stay", { 0 }, "\tx", "\tx" },
};

static void output_is_processed(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
		struct pair p;

		pty_open(&p);
		pty_mode(p.s, &outputs[i].mode);
		pty_put(p.s, outputs[i].written, strlen(outputs[i].written));
		pty_screen_at(&p, outputs[i].screen, outputs[i].what, __FILE__, __LINE__);
		pty_close(&p);
	}
}

static void a_tab_is_erased_from_where_the_line_began(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_put(p.s, "$ ", 2);
	PTY_SCREEN(&p, "$ ");
	pty_type(&p, "a\t\177");
	PTY_SCREEN(&p, "a\t\b\b\b\b\b");
	pty_close(&p);
}

static void a_newline_in_raw_echo_is_shown_as_a_control(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_mode(p.s, &(struct pty_mode){ .l_off = ICANON });
	pty_type(&p, "a\nb\r");
	PTY_SCREEN(&p, "a^Jb\r\n");
	PTY_READ(&p, "a\nb\n");
	pty_close(&p);
}

/* --- flow control --------------------------------------------------------------------------------------------- */

static long write_more(void *arg)
{
	return write(((struct pair *)arg)->s, "more", 4);
}

static void stop_holds_output_until_start(void **state)
{
	struct pair p;
	struct bg bg;

	pty_open(&p);
	pty_type(&p, "\023");
	PTY_SILENT(p.m);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	bg_start(&bg, write_more, &p);
	assert_true(bg_blocks(&bg));
	PTY_SILENT(p.m);
	pty_type(&p, "a"); /* echoed when it may be */
	PTY_SILENT(p.m);
	pty_type(&p, "\021");
	assert_int_equal(bg_end(&bg), 4);
	PTY_SCREEN(&p, "amore");
	pty_close(&p);
}

static void echoes_that_wait_obey_later_settings(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "\023");
	PTY_SILENT(p.m);
	pty_type(&p, "a\tb");
	PTY_SILENT(p.m);
	pty_mode(p.s, &(struct pty_mode){ .o_on = XTABS });
	pty_type(&p, "\021");
	PTY_SCREEN(&p, "a       b");
	pty_close(&p);
}

static void any_character_starts_with_ixany(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_mode(p.s, &(struct pty_mode){ .i_on = IXANY });
	pty_type(&p, "\023");
	PTY_SILENT(p.m);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	pty_type(&p, "x");
	PTY_SCREEN(&p, "x");
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), POLLOUT);
	pty_close(&p);
}

static void tcflow_stops_and_starts(void **state)
{
	struct pair p;

	pty_open(&p);
	ASSERT_OK(tcflow(p.s, TCOOFF));
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	pty_type(&p, "\021"); /* what a call stopped only a call starts */
	PTY_SILENT(p.m);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	ASSERT_OK(tcflow(p.s, TCOON));
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), POLLOUT);
	ASSERT_OK(tcflow(p.s, TCIOFF));
	PTY_SCREEN(&p, "\023");
	ASSERT_OK(tcflow(p.s, TCION));
	PTY_SCREEN(&p, "\021");
	ASSERT_ERR(tcflow(p.s, 9), EINVAL);
	pty_close(&p);
}

/* A terminal's own STOP goes past what was typed to stop it, and not past a call. */
static void tcflow_sends_through_a_stopped_terminal(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "\023");
	PTY_SILENT(p.m);
	ASSERT_OK(tcflow(p.s, TCIOFF));
	PTY_SCREEN(&p, "\023");
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	ASSERT_OK(tcflow(p.s, TCOOFF));
	ASSERT_OK(tcflow(p.s, TCIOFF));
	PTY_SILENT(p.m);
	pty_close(&p);
}

static void tcflow_of_the_master_stops_what_is_typed(void **state)
{
	struct pair p;

	pty_open(&p);
	ASSERT_OK(tcflow(p.m, TCOOFF));
	ASSERT_OK(tcflow(p.m, TCIOFF));
	assert_int_equal(pty_ready(p.m, POLLOUT, 0), 0);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), POLLOUT);
	ASSERT_OK(tcflow(p.m, TCOON));
	assert_int_equal(pty_ready(p.m, POLLOUT, 0), POLLOUT);
	ASSERT_OK(tcflow(p.m, TCIOFF)); /* as if it were typed */
	PTY_SILENT(p.m);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	pty_close(&p);
}

static void clearing_ixon_starts(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "\023");
	PTY_SILENT(p.m);
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), 0);
	pty_mode(p.s, &(struct pty_mode){ .i_off = IXON });
	assert_int_equal(pty_ready(p.s, POLLOUT, 0), POLLOUT);
	pty_close(&p);
}

/* --- raw reads: VMIN and VTIME ------------------------------------------------------------------------------------- */

static long read_ten(void *arg)
{
	char buf[10];

	return read(((struct pair *)arg)->s, buf, sizeof(buf));
}

static void vmin_waits_for_so_many(void **state)
{
	struct pair p;
	struct bg bg;

	pty_open(&p);
	pty_raw(p.s, 3, 0);
	pty_type(&p, "ab");
	PTY_SILENT(p.s); /* poll counts VMIN too */
	bg_start(&bg, read_ten, &p);
	assert_true(bg_blocks(&bg));
	pty_type(&p, "c");
	assert_int_equal(bg_end(&bg), 3);
	pty_type(&p, "defg");
	assert_true(pty_ready(p.s, POLLIN, PTY_LIMIT_MS) & POLLIN);
	assert_int_equal(read_ten(&p), 4);
	pty_type(&p, "hi");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 2));
	assert_int_equal(read(p.s, (char[2]){ 0 }, 2), 2); /* as many as were asked for */
	pty_close(&p);
}

static long ms_of(long (*fn)(void *), void *arg, long *ret)
{
	int64_t before = clock_ns(CLOCK_MONOTONIC);

	*ret = fn(arg);
	return (long)((clock_ns(CLOCK_MONOTONIC) - before) / 1000000);
}

static void vtime_without_vmin_is_a_limit(void **state)
{
	struct pair p;
	long n, ms;

	pty_open(&p);
	pty_raw(p.s, 0, 2);
	ms = ms_of(read_ten, &p, &n);
	assert_int_equal(n, 0);
	assert_true(ms >= 190 && ms < PATIENCE_MS);
	pty_raw(p.s, 0, 250);
	pty_type(&p, "a");
	ms = ms_of(read_ten, &p, &n);
	assert_int_equal(n, 1);
	assert_true(ms < 24900);
	pty_close(&p);
}

static void vtime_with_vmin_is_between_bytes(void **state)
{
	struct pair p;
	struct bg bg;
	long n, ms;

	pty_open(&p);
	pty_raw(p.s, 5, 2);
	bg_start(&bg, read_ten, &p);
	sleep_ms(300); /* no byte yet: no time yet */
	assert_true(bg_blocks(&bg));
	pty_type(&p, "abcde");
	assert_int_equal(bg_end(&bg), 5);
	pty_type(&p, "ab");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 2));
	ms = ms_of(read_ten, &p, &n);
	assert_int_equal(n, 2);
	assert_true(ms >= 190 && ms < PATIENCE_MS);
	pty_close(&p);
}

static void neither_returns_at_once(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_raw(p.s, 0, 0);
	assert_int_equal(read_ten(&p), 0);
	pty_type(&p, "abc");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 3));
	assert_int_equal(read_ten(&p), 3);
	fcntl(p.s, F_SETFL, O_NONBLOCK);
	assert_int_equal(read_ten(&p), 0); /* not EAGAIN */
	pty_raw(p.s, 1, 0);
	ASSERT_ERR(read_ten(&p), EAGAIN);
	pty_close(&p);
}

/* --- queues ------------------------------------------------------------------------------------------------------- */

static void tcflush_drops_input(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "abc\nde");
	PTY_SCREEN(&p, "abc\r\nde");
	ASSERT_OK(tcflush(p.s, TCIFLUSH));
	PTY_SILENT(p.s);
	pty_type(&p, "f\n");
	PTY_READ(&p, "f\n");
	ASSERT_OK(tcflush(p.s, TCOFLUSH));
	ASSERT_OK(tcflush(p.s, TCIOFLUSH));
	ASSERT_ERR(tcflush(p.s, 9), EINVAL);
	pty_close(&p);
}

static void tcsaflush_drops_input(void **state)
{
	struct termios t;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(tcgetattr(p.s, &t));
	pty_type(&p, "abc\n");
	PTY_SCREEN(&p, "abc\r\n");
	ASSERT_OK(tcsetattr(p.s, TCSADRAIN, &t));
	assert_int_equal(pty_count(p.s, FIONREAD), 4);
	ASSERT_OK(tcsetattr(p.s, TCSAFLUSH, &t));
	assert_int_equal(pty_count(p.s, FIONREAD), 0);
	pty_close(&p);
}

static void input_survives_a_change_of_mode(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "abc"); /* no line yet */
	PTY_SCREEN(&p, "abc");
	pty_raw(p.s, 1, 0);
	PTY_READ(&p, "abc");
	pty_type(&p, "d\ne");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 3));
	pty_mode(p.s, &(struct pty_mode){ .l_on = ICANON });
	PTY_READ(&p, "d\ne"); /* what was there is a line */
	pty_close(&p);
}

static void queues_are_counted(void **state)
{
	struct pair p;

	pty_open(&p);
	pty_type(&p, "abc\n");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 4));
	assert_true(EVENTUALLY(pty_count(p.m, FIONREAD) == 5));
	assert_int_equal(pty_count(p.s, TIOCOUTQ), 0);
	ASSERT_ERR(ioctl(p.s, FIONREAD, (void *)8), EFAULT);
	pty_mode(p.s, &(struct pty_mode){ .l_on = EXTPROC }); /* lines end, but reads take all */
	pty_type(&p, "de");
	assert_true(EVENTUALLY(pty_count(p.s, FIONREAD) == 6));
	assert_int_equal(read(p.s, (char[5]){ 0 }, 5), 5);
	assert_int_equal(pty_count(p.s, FIONREAD), 1);
	pty_close(&p);
}

static void a_full_screen_holds_the_writer(void **state)
{
	static char text[1024], got[32768];
	size_t sent = 0, seen = 0;
	struct pair p;

	pty_open(&p);
	memset(text, 'y', sizeof(text));
	fcntl(p.s, F_SETFL, O_NONBLOCK);
	for (ssize_t n; (n = write(p.s, text, sizeof(text))) > 0;) {
		sent += (size_t)n;
		assert_true(sent < sizeof(got));
	}
	assert_int_equal(errno, EAGAIN);
	assert_true(sent >= 4096);
	while (seen < sent) {
		assert_true(pty_ready(p.m, POLLIN, PTY_LIMIT_MS) & POLLIN);
		seen += (size_t)ASSERT_OK(read(p.m, got + seen, sizeof(got) - seen));
	}
	assert_int_equal(pty_ready(p.s, POLLOUT, PTY_LIMIT_MS), POLLOUT);
	pty_close(&p);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_edited),
		cmocka_unit_test(a_nul_is_never_special),
		cmocka_unit_test(a_read_takes_one_line),
		cmocka_unit_test(an_end_of_file_goes_with_a_full_read),
		cmocka_unit_test(a_part_of_a_line_cannot_be_read),
		cmocka_unit_test(a_line_has_at_most_4095_bytes_and_its_end),
		cmocka_unit_test(the_end_of_the_longest_line_is_counted),
		cmocka_unit_test(a_raw_terminal_keeps_everything),
		cmocka_unit_test(output_is_processed),
		cmocka_unit_test(a_tab_is_erased_from_where_the_line_began),
		cmocka_unit_test(a_newline_in_raw_echo_is_shown_as_a_control),
		cmocka_unit_test(stop_holds_output_until_start),
		cmocka_unit_test(echoes_that_wait_obey_later_settings),
		cmocka_unit_test(any_character_starts_with_ixany),
		cmocka_unit_test(tcflow_stops_and_starts),
		cmocka_unit_test(tcflow_sends_through_a_stopped_terminal),
		cmocka_unit_test(tcflow_of_the_master_stops_what_is_typed),
		cmocka_unit_test(clearing_ixon_starts),
		cmocka_unit_test(vmin_waits_for_so_many),
		cmocka_unit_test(vtime_without_vmin_is_a_limit),
		cmocka_unit_test(vtime_with_vmin_is_between_bytes),
		cmocka_unit_test(neither_returns_at_once),
		cmocka_unit_test(tcflush_drops_input),
		cmocka_unit_test(tcsaflush_drops_input),
		cmocka_unit_test(input_survives_a_change_of_mode),
		cmocka_unit_test(queues_are_counted),
		cmocka_unit_test(a_full_screen_holds_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
