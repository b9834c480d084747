/* SPDX-License-Identifier: MIT */
/*
 * SO_ATTACH_REUSEPORT_CBPF: a program says which of the sockets that share an address by SO_REUSEPORT gets a datagram or a connection.
 * It sees what is behind the transport header, and its result is the number of the socket in the order of their coming (the last takes the
 * place of who leaves). All sockets of a group have the program; who comes later takes it over when it is next run.
 * net/core/sock_reuseport.c.
 */
#ifndef EMUL_NET_INET_REUSEPORT_H
#define EMUL_NET_INET_REUSEPORT_H

#include "emul/net/dgram.h"

int inet_reuseport_attach(struct sock *s, const struct sock_optval *v); /* -EINVAL: not with SO_REUSEPORT; and as filter_read() */
int inet_reuseport_detach(struct sock *s);                              /* -EINVAL, -ENOENT */
/* Found is who would get it without a program: a reference, which is given back if it is another. */
struct inet_sock *inet_reuseport_udp(struct inet_sock *found, const struct dgram *g, uint8_t ip_protocol);
struct inet_sock *inet_reuseport_tcp(struct inet_sock *found, const struct endpoint *to, const struct endpoint *from, int ifindex);

#endif
