/* SPDX-License-Identifier: MIT */
/* The settings of a terminal in their shapes, and what setting them checks. termios(3), ioctl_tty(2). */
#include "tests/lib/pty.h"

/* The kernel's shapes, whose header does not go together with the library's. */
struct raw_termios { tcflag_t i, o, c, l; cc_t line, cc[19]; };
struct raw_termios2 { struct raw_termios t; speed_t in, out; };
#define RAW_TCGETS2 _IOR('T', 0x2A, struct raw_termios2)
#define RAW_TCSETS2 _IOW('T', 0x2B, struct raw_termios2)
#define RAW_TCSETSW2 _IOW('T', 0x2C, struct raw_termios2)
#define RAW_TCSETSF2 _IOW('T', 0x2D, struct raw_termios2)
#define RAW_BOTHER 0010000
#define RAW_CBAUD 0010017

static void a_new_terminal_has_the_usual_settings(void **state)
{
	static const cc_t cc[19] = { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0 };
	struct raw_termios t;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TCGETS, &t));
	assert_int_equal(t.i, ICRNL | IXON);
	assert_int_equal(t.o, OPOST | ONLCR);
	assert_int_equal(t.c, B38400 | CS8 | CREAD);
	assert_int_equal(t.l, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	assert_int_equal(t.line, 0);
	assert_memory_equal(t.cc, cc, sizeof(cc));
	pty_close(&p);
}

static void the_master_shows_the_slave_s_settings(void **state)
{
	struct raw_termios a, b;
	struct pair p;

	pty_open(&p);
	pty_raw(p.m, 7, 3); /* sets the slave's */
	ASSERT_OK(ioctl(p.s, TCGETS, &a));
	ASSERT_OK(ioctl(p.m, TCGETS, &b));
	assert_int_equal(a.l & (ICANON | ECHO), 0);
	assert_int_equal(a.cc[VMIN], 7);
	assert_memory_equal(&a, &b, sizeof(a));
	pty_close(&p);
}

static void a_pair_has_no_parity(void **state)
{
	struct termios t;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(tcgetattr(p.s, &t));
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | CREAD)) | CS7 | PARENB | HUPCL | CLOCAL;
	ioctl(p.s, TCSETS, &t);
	ASSERT_OK(tcgetattr(p.s, &t));
	assert_int_equal(t.c_cflag & (CSIZE | PARENB | CREAD | HUPCL | CLOCAL), CS8 | CREAD | HUPCL | CLOCAL);
	pty_close(&p);
}

static void unknown_bits_are_kept(void **state)
{
	struct raw_termios t, got;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TCGETS, &t));
	t.i |= 0x40000000;
	t.o |= 0x40000000;
	t.cc[17] = 77;
	ASSERT_OK(ioctl(p.s, TCSETSW, &t));
	ASSERT_OK(ioctl(p.s, TCGETS, &got));
	assert_memory_equal(&t, &got, sizeof(t));
	pty_close(&p);
}

static void speeds_are_kept(void **state)
{
	struct raw_termios2 t;
	struct termios s;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(ioctl(p.s, RAW_TCGETS2, &t));
	assert_int_equal(t.in, 38400);
	assert_int_equal(t.out, 38400);
	ASSERT_OK(tcgetattr(p.s, &s));
	cfsetspeed(&s, B115200);
	ASSERT_OK(tcsetattr(p.s, TCSANOW, &s));
	ASSERT_OK(ioctl(p.s, RAW_TCGETS2, &t));
	assert_int_equal(t.in, 115200);
	assert_int_equal(t.out, 115200);
	t.t.c = (t.t.c & ~(tcflag_t)RAW_CBAUD) | RAW_BOTHER;
	t.out = 12345;
	ASSERT_OK(ioctl(p.s, RAW_TCSETS2, &t));
	ASSERT_OK(ioctl(p.s, RAW_TCGETS2, &t));
	assert_int_equal(t.out, 12345);
	ASSERT_OK(ioctl(p.s, RAW_TCSETSW2, &t));
	ASSERT_OK(ioctl(p.s, RAW_TCSETSF2, &t));
	pty_close(&p);
}

static void the_old_shape_changes_the_low_bits(void **state)
{
	struct raw_termios before, after;
	struct termio old;
	struct pair p;

	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TCGETS, &before));
	before.l |= EXTPROC; /* beyond 16 bits */
	ASSERT_OK(ioctl(p.s, TCSETS, &before));
	ASSERT_OK(ioctl(p.s, TCGETA, &old));
	assert_int_equal(old.c_lflag, before.l & 0xffff);
	assert_int_equal(old.c_iflag, before.i);
	assert_memory_equal(old.c_cc, before.cc, 8);
	old.c_lflag &= (unsigned short)~ECHO;
	old.c_cc[VERASE] = '#';
	ASSERT_OK(ioctl(p.s, TCSETA, &old));
	ASSERT_OK(ioctl(p.s, TCGETS, &after));
	assert_int_equal(after.l, before.l & ~(tcflag_t)ECHO);
	assert_int_equal(after.cc[VERASE], '#');
	assert_memory_equal(after.cc + 8, before.cc + 8, 11);
	ASSERT_OK(ioctl(p.s, TCSETAW, &old));
	ASSERT_OK(ioctl(p.s, TCSETAF, &old));
	pty_close(&p);
}

static void settings_can_be_locked(void **state)
{
	struct raw_termios mask = { .l = ECHO, .cc = { [VERASE] = 1 } }, t, got;
	struct pair p;

	if (geteuid() != 0)
		skip();
	pty_open(&p);
	ASSERT_OK(ioctl(p.s, TIOCSLCKTRMIOS, &mask));
	ASSERT_OK(ioctl(p.s, TIOCGLCKTRMIOS, &got));
	assert_int_equal(got.l, ECHO);
	ASSERT_OK(ioctl(p.s, TCGETS, &t));
	t.l &= ~(tcflag_t)(ECHO | ICANON);
	t.cc[VERASE] = '#';
	t.cc[VKILL] = '@';
	ASSERT_OK(ioctl(p.s, TCSETS, &t));
	ASSERT_OK(ioctl(p.s, TCGETS, &got));
	assert_int_equal(got.l & (ECHO | ICANON), ECHO);
	assert_int_equal(got.cc[VERASE], 127);
	assert_int_equal(got.cc[VKILL], '@');
	pty_close(&p);
}

static void the_carrier_may_be_ignored(void **state)
{
	struct termios t;
	struct pair p;
	int on = 1;

	pty_open(&p);
	assert_int_equal(pty_count(p.s, TIOCGSOFTCAR), 0);
	ASSERT_OK(ioctl(p.s, TIOCSSOFTCAR, &on));
	assert_int_equal(pty_count(p.s, TIOCGSOFTCAR), 1);
	ASSERT_OK(tcgetattr(p.s, &t));
	assert_true(t.c_cflag & CLOCAL);
	pty_close(&p);
}

static void bad_addresses_and_files_fail(void **state)
{
	static const unsigned long all[] = { TCGETS, TCSETS, TCSETSW, TCSETSF, TCGETA, TCSETA, TCSETAW, TCSETAF, RAW_TCGETS2, RAW_TCSETS2 };
	struct pair p;
	int fd[2];

	pty_open(&p);
	ASSERT_OK(pipe(fd));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		ASSERT_ERR(ioctl(p.s, all[i], (void *)8), EFAULT);
		ASSERT_ERR(ioctl(fd[0], all[i], (void *)8), ENOTTY);
	}
	close(fd[0]);
	close(fd[1]);
	pty_close(&p);
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_terminal_has_the_usual_settings),
		cmocka_unit_test(the_master_shows_the_slave_s_settings),
		cmocka_unit_test(a_pair_has_no_parity),
		cmocka_unit_test(unknown_bits_are_kept),
		cmocka_unit_test(speeds_are_kept),
		cmocka_unit_test(the_old_shape_changes_the_low_bits),
		cmocka_unit_test(settings_can_be_locked),
		cmocka_unit_test(the_carrier_may_be_ignored),
		cmocka_unit_test(bad_addresses_and_files_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
