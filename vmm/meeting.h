/* SPDX-License-Identifier: MIT */
/*
 * Where commands and instances meet: a directory of this user's alone, $XDG_RUNTIME_DIR/vmrun, /run/user/UID/vmrun or
 * /tmp/vmrun-UID, with three files an instance:
 *
 *   NAME.sock  the instance listens here; without anybody behind it, it is what a killed instance left
 *   NAME.lock  flock(2)ed by who makes or removes NAME.sock; removed only by who has it locked, and looked at again by who waited
 *   NAME.log   what the instance had to say, at most LOG_MAX bytes, and as much before that in NAME.log.1; those of the last
 *              MEETING_LOGS ended ones stay
 */
#ifndef VMM_MEETING_H
#define VMM_MEETING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MEETING_NAME_MAX 48
#define MEETING_DIR_SIZE (108 - MEETING_NAME_MAX - 6) /* sockets' names are short */
#define MEETING_LOGS 16
#define MEETING_DEFAULT_NAME "default"

struct meeting {
	char sock[108], lock[108], log[108]; /* paths */
};

/* Letters, digits, '.', '_', '-', not beginning with '.' or '-'. */
bool meeting_name_ok(const char *name);
/* The directory, made if it is not there. 0, or -1 and a line in err. */
int meeting_dir(char ret[MEETING_DIR_SIZE], char *err, size_t err_size);
int meeting_of(const char *name, struct meeting *ret, char *err, size_t err_size);
/* Opens and locks NAME.lock (waiting for it). The descriptor: closing it unlocks; -errno. */
int meeting_lock(const struct meeting *m);
/* Removes NAME.lock, which lock is the descriptor of. */
void meeting_remove_lock(const struct meeting *m, int lock);
/* Removes what ended instances left, but for the logs of the last MEETING_LOGS of them. Whoever locks a name at the time keeps it. */
void meeting_tidy(void);
/*
 * A connection to the instance, of which its kernel keeps some in a queue until it takes them; wait_ms: for room there (-1: any time).
 * -ECONNREFUSED, -ENOENT: there is none; -EPERM: somebody else's; -ETIMEDOUT.
 */
int meeting_connect(const struct meeting *m, int wait_ms);
/* A listening socket; what is there is removed. Locked. -errno. */
int meeting_listen(const struct meeting *m);
/* The other end of a connection is of this user. *ret_pid may be NULL. */
bool meeting_peer_ok(int fd, pid_t *ret_pid);
const char *meeting_error(int e); /* what the negative e of these functions means */

#endif
