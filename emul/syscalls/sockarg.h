/* SPDX-License-Identifier: MIT */
/* Arguments of the socket calls, for socket.c and sockmsg.c. */
#ifndef EMUL_SYSCALLS_SOCKARG_H
#define EMUL_SYSCALLS_SOCKARG_H

#include "emul/net/sock.h"
#include "emul/syscalls/handler.h"

/* Declares a socket argument: its file's reference goes with the scope. */
#define SOCK_ARG(name)                   \
	struct sock *name = NULL;        \
	AUTO(file) name##_file = NULL

/* The socket that fd names, with its file's reference. -EBADF, -ENOTSOCK. */
int arg_sock(struct task *t, int fd, struct sock **ret, struct file **ret_file);
/* move_addr_to_kernel(): -EINVAL (length), -EFAULT. */
int arg_sockaddr(struct task *t, gva_t at, int len, struct sock_addr *ret);
/* move_addr_to_user(): cut to the caller's room; the whole length is told. -EFAULT, -EINVAL. */
int put_sockaddr(struct task *t, gva_t at, gva_t len_at, const struct sock_addr *a);

#endif
