/* SPDX-License-Identifier: MIT */
/*
 * System V message queues: types and order, what is cut and what is refused, room and its waiters, signals, removal, what
 * msgctl(2) shows and sets. Every case removes its queues.
 */
#include "tests/lib/child.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct message { long type; char text[8192]; };

static int make(int mode)
{
	return (int)ASSERT_OK(msgget(IPC_PRIVATE, IPC_CREAT | mode));
}

static void remove_id(int id)
{
	ASSERT_OK(msgctl(id, IPC_RMID, NULL));
}

static int send_flags(int id, long type, const char *text, int flags)
{
	struct message m = { .type = type };

	strcpy(m.text, text);
	return msgsnd(id, &m, strlen(text), flags);
}

static void put(int id, long type, const char *text)
{
	ASSERT_OK(send_flags(id, type, text, IPC_NOWAIT));
}

/* The next message for `type` is this one. */
static void expect(int id, long type, int flags, long want_type, const char *want)
{
	struct message m = { .type = -1 };
	ssize_t n = ASSERT_OK(msgrcv(id, &m, sizeof(m.text), type, flags | IPC_NOWAIT));

	assert_int_equal(m.type, want_type);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(m.text, want, n);
}

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds ds;

	ASSERT_OK(msgctl(id, IPC_STAT, &ds));
	return ds;
}

static void keys_name_queues(void **state)
{
	key_t key = 0x564f0000 + (getpid() & 0xffff);
	struct msqid_ds ds;
	int id;

	ASSERT_ERR(msgget(key, 0600), ENOENT);
	id = (int)ASSERT_OK(msgget(key, IPC_CREAT | 0620));
	assert_int_equal(msgget(key, 0), id);
	ASSERT_ERR(msgget(key, IPC_CREAT | IPC_EXCL), EEXIST);
	ds = stat_of(id);
	assert_int_equal(ds.msg_perm.mode, 0620);
	assert_int_equal(ds.msg_perm.__key, key);
	assert_int_equal(ds.msg_qbytes, 16384);
	assert_int_equal(ds.msg_qnum, 0);
	assert_int_equal(ds.msg_stime, 0);
	assert_int_equal(ds.msg_rtime, 0);
	assert_int_equal(ds.msg_lspid, 0);
	assert_in_range(ds.msg_ctime, time(NULL) - 5, time(NULL));
	remove_id(id);
	ASSERT_ERR(msgctl(id, IPC_STAT, &ds), EINVAL);
	ASSERT_ERR(send_flags(id, 1, "x", 0), EINVAL);
}

static void types_choose(void **state)
{
	int id = make(0600);

	put(id, 3, "three");
	put(id, 5, "five");
	put(id, 2, "two");
	put(id, 3, "three again");
	put(id, 9, "nine");
	assert_int_equal(stat_of(id).msg_qnum, 5);
	expect(id, 5, 0, 5, "five");
	expect(id, -4, 0, 2, "two");          /* the lowest up to 4 */
	expect(id, -4, 0, 3, "three");        /* of equals the first */
	expect(id, 3, MSG_EXCEPT, 9, "nine");
	put(id, 1, "one");
	expect(id, 0, 0, 3, "three again");   /* whatever comes first */
	expect(id, LONG_MIN, 0, 1, "one");
	struct message m;
	ASSERT_ERR(msgrcv(id, &m, 10, 0, IPC_NOWAIT), ENOMSG);
	put(id, 7, "");
	ASSERT_ERR(msgrcv(id, &m, 10, 6, IPC_NOWAIT), ENOMSG);
	ASSERT_ERR(msgrcv(id, &m, 10, -6, IPC_NOWAIT), ENOMSG);
	ASSERT_ERR(msgrcv(id, &m, 10, 7, MSG_EXCEPT | IPC_NOWAIT), ENOMSG);
	expect(id, 7, 0, 7, "");
	remove_id(id);
}

static void long_messages_are_refused_or_cut(void **state)
{
	int id = make(0600);
	struct message m;

	put(id, 1, "0123456789");
	ASSERT_ERR(msgrcv(id, &m, 4, 0, IPC_NOWAIT), E2BIG);
	assert_int_equal(stat_of(id).msg_qnum, 1);
	memset(&m, 'z', sizeof(m));
	assert_int_equal(msgrcv(id, &m, 4, 0, MSG_NOERROR), 4);
	assert_memory_equal(m.text, "0123z", 5);
	assert_int_equal(stat_of(id).msg_qnum, 0);
	assert_int_equal(stat_of(id).__msg_cbytes, 0);
	remove_id(id);
}

static void copies_leave_the_message(void **state)
{
	int id = make(0600);
	struct message m;

	put(id, 4, "first");
	put(id, 6, "second");
	memset(&m, 0, sizeof(m));
	assert_int_equal(msgrcv(id, &m, 100, 1, MSG_COPY | IPC_NOWAIT), 6);
	assert_int_equal(m.type, 6);
	assert_memory_equal(m.text, "second", 6);
	assert_int_equal(stat_of(id).msg_qnum, 2);
	assert_int_equal(stat_of(id).msg_lrpid, 0);
	ASSERT_ERR(msgrcv(id, &m, 100, 2, MSG_COPY | IPC_NOWAIT), ENOMSG);
	ASSERT_ERR(msgrcv(id, &m, 100, 0, MSG_COPY), EINVAL);
	ASSERT_ERR(msgrcv(id, &m, 100, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT), EINVAL);
	ASSERT_ERR(msgrcv(id, &m, 2, 0, MSG_COPY | IPC_NOWAIT), E2BIG);
	ASSERT_ERR(msgrcv(id, &m, 2, 0, MSG_COPY | MSG_NOERROR | IPC_NOWAIT), EINVAL);
	remove_id(id);
}

static void arguments_are_checked(void **state)
{
	int id = make(0600);
	struct message m = { .type = 1 };
	struct msqid_ds ds;

	ASSERT_ERR(send_flags(id, 0, "x", 0), EINVAL);
	ASSERT_ERR(send_flags(id, -1, "x", 0), EINVAL);
	ASSERT_ERR(msgsnd(id, &m, 8193, 0), EINVAL);
	ASSERT_ERR(msgsnd(id, &m, (size_t)-1, 0), EINVAL);
	ASSERT_ERR(msgsnd(-1, &m, 1, 0), EINVAL);
	ASSERT_ERR(msgsnd(id, (void *)1, 1, 0), EFAULT);
	ASSERT_ERR(msgrcv(id, &m, (size_t)-1, 0, IPC_NOWAIT), EINVAL);
	ASSERT_ERR(msgrcv(-1, &m, 1, 0, IPC_NOWAIT), EINVAL);
	ASSERT_ERR(msgctl(id, IPC_STAT, (void *)1), EFAULT);
	ASSERT_ERR(msgctl(id, IPC_SET, (void *)1), EFAULT);
	ASSERT_ERR(msgctl(id, 99, &ds), EINVAL);
	ASSERT_ERR(msgctl(-1, IPC_STAT, &ds), EINVAL);
	put(id, 1, "lost");
	ASSERT_ERR(msgrcv(id, (void *)1, 100, 0, 0), EFAULT);
	assert_int_equal(stat_of(id).msg_qnum, 0);
	remove_id(id);
}

static void queues_have_room(void **state)
{
	int id = make(0600);
	struct message m = { .type = 1 };

	ASSERT_OK(msgsnd(id, &m, 8192, IPC_NOWAIT));
	ASSERT_OK(msgsnd(id, &m, 8192, IPC_NOWAIT));
	assert_int_equal(stat_of(id).__msg_cbytes, 16384);
	assert_int_equal(stat_of(id).msg_lspid, getpid());
	ASSERT_ERR(msgsnd(id, &m, 1, IPC_NOWAIT), EAGAIN);
	ASSERT_OK(msgsnd(id, &m, 0, IPC_NOWAIT)); /* needs none */
	pid_t pid = fork();
	if (pid == 0)
		_exit(msgsnd(id, &m, 5000, 0) ? 1 : 0);
	wait_asleep(pid);
	assert_int_equal(stat_of(id).msg_qnum, 3);
	assert_int_equal(msgrcv(id, &m, 8192, 0, 0), 8192);
	assert_int_equal(child_status(pid), 0);
	assert_int_equal(stat_of(id).__msg_cbytes, 8192 + 5000);
	assert_int_equal(stat_of(id).msg_lspid, pid);
	assert_int_equal(stat_of(id).msg_lrpid, getpid());
	remove_id(id);
}

static void receivers_get_what_they_wait_for(void **state)
{
	int id = make(0600);
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			struct message m;
			ssize_t n = msgrcv(id, &m, 100, i + 1, 0);

			_exit(n == 1 && m.type == i + 1 && m.text[0] == 'a' + i ? 0 : 1);
		}
		wait_asleep(pid[i]);
	}
	put(id, 9, "for nobody");
	put(id, 3, "c");
	put(id, 1, "a");
	put(id, 2, "b");
	for (int i = 0; i < 3; i++)
		assert_int_equal(child_status(pid[i]), 0);
	assert_int_equal(stat_of(id).msg_qnum, 1);
	remove_id(id);
}

static void a_short_buffer_is_the_receivers_error(void **state)
{
	int id = make(0600);
	pid_t pid = fork();

	if (pid == 0) {
		struct message m;

		_exit(msgrcv(id, &m, 2, 0, 0) == -1 && errno == E2BIG ? 0 : 1);
	}
	wait_asleep(pid);
	put(id, 1, "longer");
	assert_int_equal(child_status(pid), 0);
	expect(id, 0, 0, 1, "longer");
	remove_id(id);
}

static void removal_wakes(void **state)
{
	int id = make(0600), full = make(0600);
	struct message m = { .type = 1 };
	pid_t r, s;

	ASSERT_OK(msgsnd(full, &m, 8192, 0));
	ASSERT_OK(msgsnd(full, &m, 8192, 0));
	r = fork();
	if (r == 0)
		_exit(msgrcv(id, &m, 100, 0, 0) == -1 && errno == EIDRM ? 0 : 1);
	s = fork();
	if (s == 0)
		_exit(msgsnd(full, &m, 100, 0) == -1 && errno == EIDRM ? 0 : 1);
	wait_asleep(r);
	wait_asleep(s);
	remove_id(id);
	remove_id(full);
	assert_int_equal(child_status(r), 0);
	assert_int_equal(child_status(s), 0);
}

static void nothing(int sig)
{
}

static void signals_end_the_sleep(void **state)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	int id = make(0600);
	struct message m;
	pid_t pid = fork();

	if (pid == 0) {
		sigaction(SIGUSR1, &sa, NULL);
		_exit(msgrcv(id, &m, 100, 0, 0) == -1 && errno == EINTR ? 0 : 1);
	}
	wait_asleep(pid);
	kill(pid, SIGUSR1);
	assert_int_equal(child_status(pid), 0);
	put(id, 1, "still there"); /* nobody waits any more */
	expect(id, 0, 0, 1, "still there");
	remove_id(id);
}

static void owners_change_limits(void **state)
{
	int id = make(0600);
	struct msqid_ds ds = stat_of(id);
	struct message m = { .type = 1 };
	pid_t pid;

	ds.msg_qbytes = 100;
	ds.msg_perm.mode = 0666;
	ASSERT_OK(msgctl(id, IPC_SET, &ds));
	assert_int_equal(stat_of(id).msg_perm.mode, 0666);
	ASSERT_ERR(msgsnd(id, &m, 101, IPC_NOWAIT), EAGAIN);
	ASSERT_OK(msgsnd(id, &m, 100, IPC_NOWAIT));
	pid = fork();
	if (pid == 0)
		_exit(msgsnd(id, &m, 100, 0) ? 1 : 0);
	wait_asleep(pid);
	ds.msg_qbytes = 200;
	ASSERT_OK(msgctl(id, IPC_SET, &ds)); /* now there is room */
	assert_int_equal(child_status(pid), 0);
	ds.msg_perm.uid = (uid_t)-1;
	ASSERT_ERR(msgctl(id, IPC_SET, &ds), EINVAL);
	remove_id(id);
}

static void tables_are_told(void **state)
{
	int id = make(0600), last;
	struct msginfo info;
	bool found = false;
	struct msqid_ds ds;
	char line[256];

	put(id, 1, "abc");
	last = msgctl(0, IPC_INFO, (struct msqid_ds *)&info);
	assert_true(last >= 0);
	assert_int_equal(info.msgmax, 8192);
	assert_int_equal(info.msgmnb, 16384);
	assert_int_equal(info.msgmni, 32000);
	assert_int_equal(info.msgssz, 16);
	assert_int_equal(info.msgseg, 0xffff);
	assert_int_equal(info.msgpool, 512000);
	assert_int_equal(msgctl(0, MSG_INFO, (struct msqid_ds *)&info), last);
	assert_true(info.msgpool >= 1);
	assert_true(info.msgmap >= 1);
	assert_true(info.msgtql >= 3);
	for (int i = 0; i <= last; i++)
		if (msgctl(i, MSG_STAT, &ds) == id) {
			assert_int_equal(ds.msg_qnum, 1);
			found = true;
		}
	assert_true(found);
	found = false;
	FILE *f = fopen("/proc/sysvipc/msg", "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
				  "      stime      rtime      ctime\n");
	while (fgets(line, sizeof(line), f)) {
		unsigned long bytes, n;
		int key, msqid, pid;
		unsigned mode;

		assert_int_equal(sscanf(line, "%d %d %o %lu %lu %d", &key, &msqid, &mode, &bytes, &n, &pid), 6);
		if (msqid == id) {
			assert_int_equal(bytes, 3);
			assert_int_equal(n, 1);
			assert_int_equal(pid, getpid());
			found = true;
		}
	}
	fclose(f);
	assert_true(found);
	remove_id(id);
}

static int as_nobody(int id)
{
	struct msqid_ds ds;
	struct message m;

	if (setgid(65534) || setuid(65534))
		return 1;
	if (send_flags(id, 1, "x", IPC_NOWAIT) != -1 || errno != EACCES)
		return 2;
	if (msgrcv(id, &m, 100, 0, IPC_NOWAIT) != -1 || errno != ENOMSG)
		return 3;
	if (msgctl(id, IPC_STAT, &ds) || msgctl(id, IPC_SET, &ds) != -1 || errno != EPERM)
		return 4;
	if (msgctl(id, IPC_RMID, NULL) != -1 || errno != EPERM)
		return 5;
	id = msgget(IPC_PRIVATE, 0600);
	if (msgctl(id, IPC_STAT, &ds))
		return 6;
	ds.msg_qbytes = 16385;
	if (msgctl(id, IPC_SET, &ds) != -1 || errno != EPERM)
		return 7;
	return msgctl(id, IPC_RMID, NULL) ? 8 : 0;
}

static void others_have_their_rights(void **state)
{
	pid_t pid;
	int id;

	if (geteuid() != 0)
		skip();
	id = make(0644);
	pid = fork();
	if (pid == 0)
		_exit(as_nobody(id));
	assert_int_equal(child_status(pid), 0);
	remove_id(id);
}

static void streams_of_messages_arrive(void **state)
{
	int id = make(0600), back = make(0600);
	struct message m;
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 500; i++) {
			if (msgrcv(id, &m, sizeof(m.text), 0, 0) != 100)
				_exit(1);
			m.type++;
			if (msgsnd(back, &m, 100, 0))
				_exit(2);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		m.type = i + 1;
		memset(m.text, i, 100);
		ASSERT_OK(msgsnd(id, &m, 100, 0));
		assert_int_equal(msgrcv(back, &m, sizeof(m.text), 0, 0), 100);
		assert_int_equal(m.type, i + 2);
		assert_int_equal((unsigned char)m.text[99], (unsigned char)i);
	}
	assert_int_equal(child_status(pid), 0);
	remove_id(id);
	remove_id(back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_name_queues),
		cmocka_unit_test(types_choose),
		cmocka_unit_test(long_messages_are_refused_or_cut),
		cmocka_unit_test(copies_leave_the_message),
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(queues_have_room),
		cmocka_unit_test(receivers_get_what_they_wait_for),
		cmocka_unit_test(a_short_buffer_is_the_receivers_error),
		cmocka_unit_test(removal_wakes),
		cmocka_unit_test(signals_end_the_sleep),
		cmocka_unit_test(owners_change_limits),
		cmocka_unit_test(tables_are_told),
		cmocka_unit_test(others_have_their_rights),
		cmocka_unit_test(streams_of_messages_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
