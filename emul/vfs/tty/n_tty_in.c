/* SPDX-License-Identifier: MIT */
/*
 * What is typed: translation, line editing, signals, flow control. termios(3); drivers/tty/n_tty.c for what it leaves open.
 *
 * A byte is special if a mode that is on gives it a meaning; a NUL never is, since it means "no such character" in c_cc.
 * In canonical mode bytes become readable line by line: `canon` follows `head` when a line ends. An end-of-file
 * character ends a line and is kept as a NUL that is marked as an end, which a read drops.
 */
#include <signal.h>

#include "emul/vfs/tty/tty_internal.h"

static bool lflag(const struct tty *t, tcflag_t bits) { return t->termios.c_lflag & bits; }
static bool iflag(const struct tty *t, tcflag_t bits) { return t->termios.c_iflag & bits; }
static bool is_char(const struct tty *t, uint8_t c, int which) { return c == t->termios.c_cc[which]; }
static uint8_t at(const struct tty *t, size_t pos) { return t->n.buf[pos % N_TTY_SIZE]; }
static bool is_control(uint8_t c) { return c < ' ' || c == 0x7f; }

/* --- the buffer ------------------------------------------------------------------------------------------ */

static void reset(struct n_tty *n)
{
	n->head = n->tail = n->canon = 0;
	n->erasing = false;
	memset(n->ends, 0, sizeof(n->ends));
}

void n_tty_init(struct tty *t)
{
	reset(&t->n);
	t->n.canonical = lflag(t, ICANON);
}

void n_tty_flush_input_locked(struct tty *t)
{
	mutex_assert_held(&t->lock);
	reset(&t->n);
	tty_status_locked(t, 0, TIOCPKT_FLUSHREAD);
}

static void put(struct tty *t, uint8_t c)
{
	t->n.buf[t->n.head++ % N_TTY_SIZE] = c;
}

/* 0377 begins the marks of PARMRK, so a real one is doubled. At the end of a line that is too long it has the last two places. */
static void put_mark(struct tty *t, uint8_t c)
{
	if (c != 0377 || !iflag(t, PARMRK))
		return;
	t->n.head = MIN(t->n.head, t->n.tail + N_TTY_SIZE - 2);
	put(t, c);
}

static void put_marked(struct tty *t, uint8_t c)
{
	put_mark(t, c);
	put(t, c);
}

static void end_line(struct tty *t, uint8_t c)
{
	size_t pos = t->n.head % N_TTY_SIZE;

	t->n.ends[pos / 8] |= (uint8_t)(1 << pos % 8);
	put(t, c);
	t->n.canon = t->n.head;
}

/* --- echo --------------------------------------------------------------------------------------------------- */

static void finish_erasing(struct tty *t)
{
	if (!t->n.erasing)
		return;
	n_tty_echo_raw_locked(t, '/');
	t->n.erasing = false;
}

/* Tabs of a line are erased from where its first character was shown. */
static void note_line_start(struct tty *t)
{
	if (t->n.canon == t->n.head)
		n_tty_note_line_start_locked(t);
}

static void echo_typed(struct tty *t, uint8_t c)
{
	if (!lflag(t, ECHO))
		return;
	finish_erasing(t);
	note_line_start(t);
	n_tty_echo_locked(t, c);
}

/* --- editing -------------------------------------------------------------------------------------------------- */

/* Columns before `end` since the line began or since its last tab. */
static unsigned columns_before(const struct tty *t, size_t end, bool *ret_after_tab)
{
	unsigned n = 0;

	*ret_after_tab = false;
	while (end != t->n.canon) {
		uint8_t c = at(t, --end);

		if (c == '\t') {
			*ret_after_tab = true;
			break;
		}
		if (is_control(c))
			n += lflag(t, ECHOCTL) ? 2 : 0;
		else if (!utf8_tail(t, c))
			n++;
	}
	return n;
}

static void show_in_erased_list(struct tty *t, size_t pos, size_t len)
{
	if (!t->n.erasing) {
		n_tty_echo_raw_locked(t, '\\');
		t->n.erasing = true;
	}
	n_tty_echo_locked(t, at(t, pos));
	while (--len > 0)
		n_tty_echo_tail_locked(t, at(t, ++pos));
}

/* The character at pos (len bytes) has been taken out of the line: off the screen with it. */
static void show_erased(struct tty *t, size_t pos, size_t len, bool one)
{
	uint8_t c = at(t, pos);
	bool after_tab;
	unsigned used;

	if (!lflag(t, ECHO))
		return;
	if (lflag(t, ECHOPRT)) {
		show_in_erased_list(t, pos, len);
	} else if (one && !lflag(t, ECHOE)) {
		n_tty_echo_locked(t, t->termios.c_cc[VERASE]);
	} else if (c == '\t') {
		used = columns_before(t, pos, &after_tab);
		n_tty_erase_tab_locked(t, used, after_tab);
	} else if (!is_control(c)) {
		n_tty_erase_echo_locked(t, 1);
	} else if (lflag(t, ECHOCTL)) {
		n_tty_erase_echo_locked(t, 2);
	}
}

/* Takes the last character out of the line; false: there is none. */
static bool last_character(const struct tty *t, size_t *ret_pos)
{
	size_t pos = t->n.head;

	do {
		if (pos == t->n.canon)
			return false;
		pos--;
	} while (utf8_tail(t, at(t, pos)));
	*ret_pos = pos;
	return true;
}

static void erase(struct tty *t, bool one, bool word)
{
	bool in_word = false;
	size_t pos;

	while (last_character(t, &pos)) {
		size_t len = t->n.head - pos;
		uint8_t c = at(t, pos);

		if (word && (n_tty_is_letter(c) || (c >= '0' && c <= '9') || c == '_'))
			in_word = true;
		else if (word && in_word)
			break;
		t->n.head = pos;
		show_erased(t, pos, len, one);
		if (one)
			break;
	}
	if (t->n.head == t->n.canon && lflag(t, ECHO))
		finish_erasing(t);
}

static void kill_line(struct tty *t)
{
	if (lflag(t, ECHO) && lflag(t, ECHOK) && lflag(t, ECHOKE) && lflag(t, ECHOE)) {
		erase(t, false, false);
		return;
	}
	t->n.head = t->n.canon;
	if (!lflag(t, ECHO))
		return;
	finish_erasing(t);
	n_tty_echo_locked(t, t->termios.c_cc[VKILL]);
	if (lflag(t, ECHOK))
		n_tty_echo_raw_locked(t, '\n');
}

static void reprint(struct tty *t, uint8_t c)
{
	finish_erasing(t);
	n_tty_echo_locked(t, c);
	n_tty_echo_raw_locked(t, '\n');
	for (size_t pos = t->n.canon; pos != t->n.head; pos++)
		n_tty_echo_locked(t, at(t, pos));
}

/* --- one byte ---------------------------------------------------------------------------------------------------- */

static void start(struct tty *t)
{
	tty_start_locked(t);
	n_tty_flush_echo_locked(t);
}

static void signal_typed(struct tty *t, uint8_t c, int sig)
{
	tty_raise_locked(t, sig);
	if (!lflag(t, NOFLSH)) {
		n_tty_drop_echo_locked(t);
		n_tty_flush_output_locked(t);
		n_tty_flush_input_locked(t);
	}
	if (iflag(t, IXON))
		tty_start_locked(t);
	if (lflag(t, ECHO))
		n_tty_echo_locked(t, c);
	else
		n_tty_flush_echo_locked(t);
}

/* IXON, ISIG. true: c is done with. */
static bool control_typed(struct tty *t, uint8_t c)
{
	if (iflag(t, IXON) && (is_char(t, c, VSTART) || is_char(t, c, VSTOP))) {
		if (is_char(t, c, VSTART))
			start(t);
		else
			tty_stop_locked(t);
		return true;
	}
	if (!lflag(t, ISIG))
		return false;
	if (is_char(t, c, VINTR))
		signal_typed(t, c, SIGINT);
	else if (is_char(t, c, VQUIT))
		signal_typed(t, c, SIGQUIT);
	else if (is_char(t, c, VSUSP))
		signal_typed(t, c, SIGTSTP);
	else
		return false;
	return true;
}

/* Canonical mode: editing and ends of lines. true: c is done with. */
static bool edit_typed(struct tty *t, uint8_t c)
{
	bool more = lflag(t, IEXTEN), echo = lflag(t, ECHO);

	if (is_char(t, c, VERASE)) {
		erase(t, true, false);
	} else if (more && is_char(t, c, VWERASE)) {
		erase(t, false, true);
	} else if (is_char(t, c, VKILL)) {
		if (t->n.head != t->n.canon)
			kill_line(t);
	} else if (more && is_char(t, c, VLNEXT)) {
		t->n.literal = true;
		if (echo) {
			finish_erasing(t);
			if (lflag(t, ECHOCTL)) {
				n_tty_echo_raw_locked(t, '^');
				n_tty_echo_raw_locked(t, '\b');
			}
		}
	} else if (more && echo && is_char(t, c, VREPRINT)) {
		reprint(t, c);
	} else if (c == '\n') {
		if (echo || lflag(t, ECHONL))
			n_tty_echo_raw_locked(t, '\n');
		end_line(t, c);
	} else if (is_char(t, c, VEOF)) {
		end_line(t, TTY_DISABLED);
	} else if (is_char(t, c, VEOL) || (more && is_char(t, c, VEOL2))) {
		if (echo) {
			note_line_start(t);
			n_tty_echo_locked(t, c);
		}
		put_mark(t, c);
		end_line(t, c);
	} else {
		return false;
	}
	return true;
}

static bool is_special(const struct tty *t, uint8_t c)
{
	if (c == TTY_DISABLED)
		return false;
	if (c == '\r' && iflag(t, IGNCR | ICRNL))
		return true;
	if (c == '\n' && (iflag(t, INLCR) || t->n.canonical))
		return true;
	if (iflag(t, IXON) && (is_char(t, c, VSTART) || is_char(t, c, VSTOP)))
		return true;
	if (lflag(t, ISIG) && (is_char(t, c, VINTR) || is_char(t, c, VQUIT) || is_char(t, c, VSUSP)))
		return true;
	if (!t->n.canonical)
		return false;
	if (is_char(t, c, VERASE) || is_char(t, c, VKILL) || is_char(t, c, VEOF) || is_char(t, c, VEOL))
		return true;
	return lflag(t, IEXTEN) && (is_char(t, c, VWERASE) || is_char(t, c, VLNEXT) || is_char(t, c, VEOL2) ||
				    (is_char(t, c, VREPRINT) && lflag(t, ECHO)));
}

static void start_by_any(struct tty *t)
{
	if (t->stopped && !t->stopped_by_call && iflag(t, IXON) && iflag(t, IXANY))
		start(t);
}

static void special_typed(struct tty *t, uint8_t c)
{
	if (control_typed(t, c))
		return;
	start_by_any(t);
	if (c == '\r') {
		if (iflag(t, IGNCR))
			return;
		if (iflag(t, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(t, INLCR)) {
		c = '\r';
	}
	if (t->n.canonical && edit_typed(t, c))
		return;
	if (c == '\n' && lflag(t, ECHO)) { /* not as ^J */
		finish_erasing(t);
		n_tty_echo_raw_locked(t, c);
	} else {
		echo_typed(t, c);
	}
	put_marked(t, c);
}

static void typed(struct tty *t, uint8_t c)
{
	if (iflag(t, ISTRIP))
		c &= 0x7f;
	if (iflag(t, IUCLC) && lflag(t, IEXTEN))
		c = n_tty_lower(c);
	if (lflag(t, EXTPROC)) { /* the other side has done it all */
		put(t, c);
	} else if (!t->n.literal && is_special(t, c)) {
		special_typed(t, c);
	} else {
		t->n.literal = false;
		start_by_any(t);
		echo_typed(t, c);
		put_marked(t, c);
	}
}

/* --- taking in ---------------------------------------------------------------------------------------------------- */

/*
 * Bytes that fit. A line that is too long and not ended keeps its first 4095 bytes: what comes next replaces
 * the last place, until a byte ends the line there.
 */
static size_t room(struct tty *t)
{
	struct n_tty *n = &t->n;
	ssize_t left = (ssize_t)(N_TTY_SIZE - (n->head - n->tail));

	if (iflag(t, PARMRK))
		left = (left + 2) / 3;
	if (--left > 0)
		return (size_t)left;
	if (!n->canonical || n->canon != n->tail)
		return 0;
	n->head = MIN(n->head, n->tail + N_TTY_SIZE - 1);
	return 1;
}

static bool is_raw(const struct tty *t)
{
	return !iflag(t, ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK) && !lflag(t, ISIG | ECHO) && !t->n.canonical;
}

/* EXTPROC, and nothing that is done all the same. */
static bool is_processed_outside(const struct tty *t)
{
	return lflag(t, EXTPROC) && !iflag(t, ISTRIP) && !(iflag(t, IUCLC) && lflag(t, IEXTEN));
}

void n_tty_tell_readers_locked(struct tty *t)
{
	if (t->untold)
		tty_wake_readers_locked(t, EPOLLIN | EPOLLRDNORM);
	if (t->untold_async)
		tty_async_slaves_locked(t, POLL_IN);
	t->untold = t->untold_async = false;
}

void n_tty_receive_locked(struct tty *t)
{
	uint8_t buf[256];
	size_t n, before = byteq_used(&t->in), lines = t->n.canon;
	bool any = false;

	mutex_assert_held(&t->lock);
	while (byteq_used(&t->in) && (n = room(t))) {
		n = byteq_get(&t->in, buf, MIN(n, is_raw(t) ? sizeof(buf) : 1));
		for (size_t i = 0; i < n; i++)
			typed(t, buf[i]);
		any = true;
		if (byteq_used(&t->n.echo) >= TTY_ECHO_MANY)
			n_tty_flush_echo_locked(t);
	}
	if (!any)
		return;
	if (lflag(t, ECHO | ECHONL) && !is_raw(t) && !is_processed_outside(t))
		n_tty_flush_echo_locked(t);
	t->untold |= n_tty_readable_locked(t, false);
	t->untold_async |= t->n.canonical ? t->n.canon != lines : n_tty_readable_locked(t, false);
	if (!t->giving)
		n_tty_tell_readers_locked(t);
	if (before >= t->in.size / 2)
		tty_wake_master_locked(t, EPOLLOUT | EPOLLWRNORM);
}

/* What is in the buffer and was not read yet becomes one line, or no longer is lines. */
static void change_canonical(struct tty *t)
{
	struct n_tty *n = &t->n;

	memset(n->ends, 0, sizeof(n->ends));
	n->canon = n->tail;
	if (lflag(t, ICANON) && n->head != n->tail) {
		size_t pos = (n->head - 1) % N_TTY_SIZE;

		n->ends[pos / 8] |= (uint8_t)(1 << pos % 8);
		n->canon = n->head;
	}
	n->erasing = false;
	n->literal = false;
}

void n_tty_mode_changed_locked(struct tty *t, const struct termios2 *old)
{
	mutex_assert_held(&t->lock);
	if ((old->c_lflag ^ t->termios.c_lflag) & (ICANON | EXTPROC))
		change_canonical(t);
	t->n.canonical = lflag(t, ICANON);
	if (!iflag(t, IXON) && (old->c_iflag & IXON) && !t->stopped_by_call)
		start(t);
	n_tty_receive_locked(t);
	tty_wake_readers_locked(t, EPOLLIN | EPOLLRDNORM);
	tty_wake_writers_locked(t, EPOLLOUT | EPOLLWRNORM);
}
