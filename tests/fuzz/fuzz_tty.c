/* SPDX-License-Identifier: MIT */
/*
 * Terminals: what is typed and written, read in pieces, while the settings change under it. An input is a row of steps; the bytes of each
 * are taken from it. What a terminal has to say about its queues must hold all the time.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdlib.h>

#include "emul/base/cred.h"
#include "emul/base/uio.h"
#include "emul/vfs/tty/tty_internal.h"

static void nothing(void *arg)
{
	(void)arg;
}

static const struct tty_console_ops ops = { nothing, nothing };

static struct tty *make(void)
{
	static struct cred *cred;
	struct fs_ctx c = { 0 };
	struct winsize ws = { .ws_row = 24, .ws_col = 80 };
	struct termios2 settings;
	struct tty *t;

	if (!cred)
		cred = cred_new(0);
	c.cred = cred;
	termios_default(&settings);
	if (!cred || tty_console_new(&c, &settings, &ws, &ops, NULL, &t) < 0)
		abort();
	return t;
}

/* As TCSETS does, whatever the bits are. */
static void set_mode(struct fuzz_in *in, struct tty *t)
{
	struct termios2 old;
	uint8_t cc;

	tty_lock(t);
	old = t->termios;
	t->termios.c_iflag = fuzz_u16(in);
	t->termios.c_oflag = fuzz_u16(in);
	t->termios.c_lflag = fuzz_u16(in);
	for (unsigned n = fuzz_u8(in) % 4; n; n--) {
		cc = fuzz_u8(in) % NCCS;
		t->termios.c_cc[cc] = fuzz_u8(in);
	}
	n_tty_mode_changed_locked(t, &old);
	tty_unlock(t);
}

static void read_some(struct file *f, size_t n)
{
	char *buf = malloc(n + 1); /* its own size, so that one byte too many is seen */
	struct uio u;
	ssize_t r;

	if (!buf)
		return;
	uio_init_host(&u, buf, n);
	r = f->ops->read(f, &u, NULL);
	if (r > (ssize_t)n)
		abort();
	uio_fini(&u);
	free(buf);
}

static void write_some(struct fuzz_in *in, struct file *f, size_t n)
{
	uint8_t buf[256];
	struct uio u;

	n = fuzz_bytes(in, buf, n);
	uio_init_host(&u, buf, n);
	if (n)
		(void)f->ops->write(f, &u, NULL);
	uio_fini(&u);
}

static void type_some(struct fuzz_in *in, struct tty *t, size_t n, unsigned times)
{
	uint8_t buf[256];

	n = fuzz_bytes(in, buf, n);
	while (n && times--) {
		if (tty_console_give(t, buf, n, n % 8 == 7) > n)
			abort();
		tty_console_given(t);
	}
}

static void take_some(struct tty *t, size_t n)
{
	uint8_t *buf = malloc(n + 1);

	if (buf && tty_console_take(t, buf, n) > n)
		abort();
	free(buf);
}

static void step(struct fuzz_in *in, struct tty *t, struct file *f)
{
	uint8_t op = fuzz_u8(in);

	switch (op % 10) {
	case 0:
	case 1: type_some(in, t, fuzz_u8(in), 1); break;
	case 2: type_some(in, t, fuzz_u8(in), 40); break;
	case 3:
	case 4: write_some(in, f, fuzz_u8(in)); break;
	case 5: read_some(f, fuzz_u16(in) % 5000); break;
	case 6: take_some(t, fuzz_u16(in) % 20000); break;
	case 7:
	case 8: set_mode(in, t); break;
	default:
		tty_lock(t);
		if (op & 0x10)
			n_tty_flush_input_locked(t);
		if (op & 0x20)
			n_tty_flush_output_locked(t);
		if (op & 0x40)
			tty_stop_locked(t);
		if (op & 0x80)
			tty_start_locked(t);
		if (n_tty_input_count_locked(t) > N_TTY_SIZE || t->n.head - t->n.tail > N_TTY_SIZE)
			abort();
		tty_unlock(t);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };
	struct tty *t = make();
	struct file *f;

	if (tty_open(t, NULL, O_RDWR | O_NONBLOCK, &f) < 0)
		abort();
	for (int n = 0; in.left && n < 200; n++)
		step(&in, t, f);
	tty_console_hangup(t);
	read_some(f, 100);
	file_put(f);
	tty_put(t);
	return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf)
{
	static const struct { const char *bytes; size_t len; } seeds[] = {
#define SEED(s) { s, sizeof(s) - 1 }
		SEED("\0\6hello\n\5\x40\0\6\x40\x1f"),                                    /* a line, read, its echo taken */
		SEED("\0\x0d" "a\tb\x7f\x7f\x17\x15 \x16\3\x12\n\5\x10\0\6\xff\xff"),       /* editing */
		SEED("\7\0\0\5\0\0\0\0\0\4abcd\5\2\0\7\0\5\5\0\x3b\x8a\0\5\x10\0"),          /* raw, then lines again */
		SEED("\3\x0c" "out\nput\r\t\b \f" "\6\x40\0\2\xc8" "0123456789\n\x11\x13\x1c"), /* output; more than the queue takes */
		SEED("\7\x02\x40\x05\0\x3b\x8a\0\0\7\xc3\xa4\xe2\x82\xac\x7f\x7f\x49\x89"),  /* UTF-8, erased */
	};

	if (n == sizeof(seeds) / sizeof(seeds[0])) { /* PARMRK, and a line of \377s that is longer than there is room */
		size_t at = fuzz_put(buf, 0, "\7\x08\0\0\0\2\0\0\2\xc8", 10);
		uint8_t line[200];

		memset(line, 0xff, sizeof(line));
		at = fuzz_put(buf, at, line, sizeof(line));
		return fuzz_put(buf, at, "\x09\5\x88\x13\x09", 5);
	}
	if (n > sizeof(seeds) / sizeof(seeds[0]))
		return 0;
	memcpy(buf, seeds[n].bytes, seeds[n].len);
	return seeds[n].len;
}
