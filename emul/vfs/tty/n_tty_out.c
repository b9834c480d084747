/* SPDX-License-Identifier: MIT */
/*
 * The way to the screen: output processing (OPOST) and echo. drivers/tty/n_tty.c.
 * The discipline knows the column that the cursor is in, so that it can expand and erase tabs. Echoes wait as what is
 * to be done: what they become is known when there is room for them, from the settings and the column of then.
 */
#include "emul/vfs/tty/tty_internal.h"

#define TAB 8

/* --- letters ------------------------------------------------------------------------------------------------ */

static bool is_upper(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7);
}

/* With the two that have no capital in Latin-1, as in Linux. */
static bool is_lower(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7);
}

bool n_tty_is_letter(uint8_t c)
{
	return is_upper(c) || is_lower(c);
}

uint8_t n_tty_lower(uint8_t c)
{
	return is_upper(c) ? c + 0x20 : c;
}

uint8_t n_tty_upper(uint8_t c)
{
	return is_lower(c) ? c - 0x20 : c;
}

/* --- output processing ---------------------------------------------------------------------------------- */

static unsigned put_newline(struct tty *t, uint8_t o[OUT_SPARE])
{
	tcflag_t flags = t->termios.c_oflag;

	if (flags & ONLRET)
		t->n.column = 0;
	if (flags & ONLCR) {
		t->n.column = t->n.canon_column = 0;
		memcpy(o, "\r\n", 2);
		return 2;
	}
	t->n.canon_column = t->n.column;
	o[0] = '\n';
	return 1;
}

static unsigned put_return(struct tty *t, uint8_t o[OUT_SPARE])
{
	tcflag_t flags = t->termios.c_oflag;

	if ((flags & ONOCR) && t->n.column == 0)
		return 0;
	o[0] = flags & OCRNL ? '\n' : '\r';
	if (!(flags & OCRNL) || (flags & ONLRET))
		t->n.column = t->n.canon_column = 0;
	return 1;
}

static unsigned put_tab(struct tty *t, uint8_t o[OUT_SPARE])
{
	unsigned n = TAB - t->n.column % TAB;

	t->n.column += n;
	if ((t->termios.c_oflag & TABDLY) == XTABS) {
		memset(o, ' ', n);
		return n;
	}
	o[0] = '\t';
	return 1;
}

/* What c becomes on its way, 0 to 8 bytes, and where the cursor goes. */
static unsigned process(struct tty *t, uint8_t c, uint8_t o[OUT_SPARE])
{
	switch (c) {
	case '\n': return put_newline(t, o);
	case '\r': return put_return(t, o);
	case '\t': return put_tab(t, o);
	case '\b':
		if (t->n.column)
			t->n.column--;
		break;
	default:
		if (c < ' ' || c == 0x7f)
			break;
		if (t->termios.c_oflag & OLCUC)
			c = n_tty_upper(c);
		if (!utf8_tail(t, c))
			t->n.column++;
		break;
	}
	o[0] = c;
	return 1;
}

/* What c, shown with OPOST as it is set, becomes. */
static unsigned show(struct tty *t, uint8_t c, uint8_t o[OUT_SPARE])
{
	if (t->termios.c_oflag & OPOST) {
		unsigned n = process(t, c, o);

		if (!t->host_processes)
			return n;
	}
	o[0] = c;
	return 1;
}

size_t n_tty_out_room_locked(const struct tty *t)
{
	size_t room = byteq_room(&t->out);

	return t->stopped || room <= OUT_SPARE ? 0 : room - OUT_SPARE;
}

size_t n_tty_output_locked(struct tty *t, const uint8_t *p, size_t n)
{
	size_t done = 0, room;

	mutex_assert_held(&t->lock);
	n_tty_flush_echo_locked(t);
	if (!(t->termios.c_oflag & OPOST)) {
		done = MIN(n, n_tty_out_room_locked(t));
		byteq_put(&t->out, p, done);
	} else {
		for (; done < n && (room = n_tty_out_room_locked(t)); done++) {
			uint8_t o[OUT_SPARE];
			unsigned k = show(t, p[done], o);

			byteq_put(&t->out, o, k); /* the spare is for this */
		}
	}
	if (done) {
		tty_wake_master_locked(t, EPOLLIN | EPOLLRDNORM);
		tty_async_master_locked(t, POLL_IN);
	}
	return done;
}

/* What the master's side has already taken in stays: it may have read it. */
void n_tty_flush_output_locked(struct tty *t)
{
	if (byteq_used(&t->out) > N_TTY_ROOM)
		t->out.head = t->out.tail + N_TTY_ROOM;
	tty_status_locked(t, 0, TIOCPKT_FLUSHWRITE);
	tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM);
}

/* --- echo -------------------------------------------------------------------------------------------------- */

enum {
	ECHO_CHAR,       /* as if it were written */
	ECHO_CONTROL,    /* as ^X */
	ECHO_AS_IS,      /* past output processing */
	ECHO_LINE_START, /* tabs are erased from here */
	ECHO_BACK,       /* the last byte took no column of its own */
	ECHO_ERASE_TAB,  /* columns used before it; TAB: and since another tab */
};

/* While there is no room the latest echoes count: old ones give way. */
static void add(struct tty *t, uint8_t what, uint8_t c)
{
	struct byteq *q = &t->n.echo;
	uint8_t pair[2] = { what, c };

	if (byteq_room(q) < sizeof(pair))
		q->tail += sizeof(pair);
	byteq_put(q, pair, sizeof(pair));
}

static void one_back(struct tty *t)
{
	if (t->n.column)
		t->n.column--;
}

static unsigned erase_tab(struct tty *t, uint8_t used, uint8_t o[OUT_SPARE])
{
	unsigned n = TAB - (used & TAB ? used : used + t->n.canon_column) % TAB;

	memset(o, '\b', n);
	for (unsigned i = 0; i < n; i++)
		one_back(t);
	return n;
}

static unsigned perform(struct tty *t, uint8_t what, uint8_t c, uint8_t o[OUT_SPARE])
{
	switch (what) {
	case ECHO_CHAR: return show(t, c, o);
	case ECHO_ERASE_TAB: return erase_tab(t, c, o);
	case ECHO_LINE_START: t->n.canon_column = t->n.column; return 0;
	case ECHO_BACK: one_back(t); return 0;
	case ECHO_CONTROL:
		t->n.column += 2;
		o[0] = '^';
		o[1] = c ^ 0100;
		return 2;
	default:
		t->n.column++;
		o[0] = c;
		return 1;
	}
}

void n_tty_flush_echo_locked(struct tty *t)
{
	uint8_t pair[2], o[OUT_SPARE];
	size_t before = t->out.head;

	while (n_tty_out_room_locked(t) && byteq_get(&t->n.echo, pair, sizeof(pair))) {
		unsigned n = perform(t, pair[0], pair[1], o); /* always: columns count */

		if (!t->echoed)
			byteq_put(&t->out, o, n);
	}
	if (t->out.head != before) {
		tty_wake_master_locked(t, EPOLLIN | EPOLLRDNORM);
		tty_async_master_locked(t, POLL_IN);
	}
}

void n_tty_drop_echo_locked(struct tty *t)
{
	t->n.echo.tail = t->n.echo.head;
}

void n_tty_echo_raw_locked(struct tty *t, uint8_t c)
{
	add(t, c == 0377 ? ECHO_AS_IS : ECHO_CHAR, c);
}

void n_tty_echo_locked(struct tty *t, uint8_t c)
{
	if ((t->termios.c_lflag & ECHOCTL) && c != '\t' && (c < ' ' || c == 0x7f))
		add(t, ECHO_CONTROL, c);
	else
		n_tty_echo_raw_locked(t, c);
}

void n_tty_echo_tail_locked(struct tty *t, uint8_t c)
{
	n_tty_echo_raw_locked(t, c);
	add(t, ECHO_BACK, 0);
}

void n_tty_note_line_start_locked(struct tty *t)
{
	add(t, ECHO_LINE_START, 0);
}

void n_tty_erase_echo_locked(struct tty *t, unsigned columns)
{
	while (columns--) {
		n_tty_echo_raw_locked(t, '\b');
		n_tty_echo_raw_locked(t, ' ');
		n_tty_echo_raw_locked(t, '\b');
	}
}

void n_tty_erase_tab_locked(struct tty *t, unsigned used, bool after_tab)
{
	add(t, ECHO_ERASE_TAB, (uint8_t)(used % TAB | (after_tab ? TAB : 0)));
}
