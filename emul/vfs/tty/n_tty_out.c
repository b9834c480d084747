/* SPDX-License-Identifier: MIT */
/*
 * The way to the screen: output processing (OPOST) and echo. drivers/tty/n_tty.c.
 * The discipline knows the column that the cursor is in, so that it can expand and erase tabs.
 */
#include <ctype.h>

#include "emul/vfs/tty/tty_internal.h"

#define TAB 8

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
		if ((t->termios.c_oflag & OLCUC) && c < 0x80)
			c = (uint8_t)toupper(c);
		if (!utf8_tail(t, c))
			t->n.column++;
		break;
	}
	o[0] = c;
	return 1;
}

static bool processes(const struct tty *t)
{
	return (t->termios.c_oflag & OPOST) && !t->host_processes;
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
	if (!processes(t)) {
		done = MIN(n, n_tty_out_room_locked(t));
		byteq_put(&t->out, p, done);
	} else {
		for (; done < n && (room = n_tty_out_room_locked(t)); done++) {
			uint8_t o[OUT_SPARE];
			unsigned k = process(t, p[done], o);

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

/* While there is no room the latest echoes count: old ones give way. */
static void emit(struct tty *t, const uint8_t *o, size_t n)
{
	struct byteq *q = &t->n.echo;

	if (byteq_room(q) < n)
		q->tail = q->head - (q->size - n);
	byteq_put(q, o, n);
}

void n_tty_flush_echo_locked(struct tty *t)
{
	uint8_t buf[256];
	size_t n, moved = 0;

	while ((n = byteq_get(&t->n.echo, buf, MIN(sizeof(buf), n_tty_out_room_locked(t))))) {
		byteq_put(&t->out, buf, n);
		moved += n;
	}
	if (moved) {
		tty_wake_master_locked(t, EPOLLIN | EPOLLRDNORM);
		tty_async_master_locked(t, POLL_IN);
	}
}

void n_tty_echo_raw_locked(struct tty *t, uint8_t c)
{
	uint8_t o[OUT_SPARE] = { c };

	emit(t, o, processes(t) ? process(t, c, o) : 1);
}

void n_tty_echo_locked(struct tty *t, uint8_t c)
{
	uint8_t pair[2] = { '^', c ^ 0100 };

	if (!(t->termios.c_lflag & ECHOCTL) || c == '\t' || !(c < ' ' || c == 0x7f)) {
		n_tty_echo_raw_locked(t, c);
		return;
	}
	emit(t, pair, sizeof(pair));
	t->n.column += 2;
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
	unsigned n = TAB - (used + (after_tab ? 0 : t->n.canon_column)) % TAB;

	while (n--) {
		emit(t, (const uint8_t *)"\b", 1);
		if (t->n.column)
			t->n.column--;
	}
}
