/* SPDX-License-Identifier: MIT */
/* ioctl(2) on sockets: what is not the family's own. sock_ioctl() and dev_ioctl() of Linux. */
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "emul/net/netif_info.h"
#include "emul/net/sock.h"
#include "emul/proc/task.h"

/* --- interfaces ------------------------------------------------------------------------------------------- */

/* The first IPv4 address of an interface; -EADDRNOTAVAIL. */
static int ipv4_of(const struct netif_info *i, const struct netif_addr **ret)
{
	for (unsigned k = 0; k < i->naddrs; k++)
		if (i->addr[k].family == AF_INET) {
			*ret = &i->addr[k];
			return 0;
		}
	return -EADDRNOTAVAIL;
}

static void put_inet(struct sockaddr *sa, const uint8_t addr[4])
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	memcpy(&in.sin_addr, addr, 4);
	memcpy(sa, &in, sizeof(in));
}

static void netmask(uint8_t prefix, uint8_t out[4])
{
	uint32_t mask = htonl(prefix ? ~0u << (32 - prefix) : 0);

	memcpy(out, &mask, 4);
}

static int inet_fact(const struct netif_info *i, unsigned cmd, struct ifreq *rq)
{
	const struct netif_addr *a;
	uint8_t out[4];
	int r = ipv4_of(i, &a);

	if (r < 0)
		return r;
	memcpy(out, cmd == SIOCGIFBRDADDR ? a->broadcast : a->addr, 4);
	if (cmd == SIOCGIFNETMASK)
		netmask(a->prefix, out);
	put_inet(&rq->ifr_addr, out);
	return 0;
}

static int device_fact(const struct netif_info *i, unsigned cmd, struct ifreq *rq)
{
	switch (cmd) {
	case SIOCGIFFLAGS:
		rq->ifr_flags = (short)i->flags;
		return 0;
	case SIOCGIFINDEX:
		rq->ifr_ifindex = i->index;
		return 0;
	case SIOCGIFMTU:
		rq->ifr_mtu = (int)i->mtu;
		return 0;
	case SIOCGIFMETRIC:
		rq->ifr_metric = 0;
		return 0;
	case SIOCGIFTXQLEN:
		rq->ifr_qlen = (int)i->txqlen;
		return 0;
	case SIOCGIFHWADDR:
		memset(&rq->ifr_hwaddr, 0, sizeof(rq->ifr_hwaddr));
		rq->ifr_hwaddr.sa_family = i->type;
		memcpy(rq->ifr_hwaddr.sa_data, i->hwaddr, sizeof(i->hwaddr));
		return 0;
	case SIOCGIFMAP:
		memset(&rq->ifr_map, 0, sizeof(rq->ifr_map));
		return 0;
	default:
		return inet_fact(i, cmd, rq);
	}
}

/* An alias ("eth0:1") is its interface: as Linux cuts it. */
static long interface_call(unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct netif_info i;
	struct ifreq rq;
	char *colon;
	int r;

	if (guest_read(c->mm, &rq, arg) < 0)
		return -EFAULT;
	rq.ifr_name[IFNAMSIZ - 1] = '\0';
	if (cmd == SIOCGIFNAME) {
		r = netif_info_by_index(rq.ifr_ifindex, &i);
		if (r == 0)
			memcpy(rq.ifr_name, i.name, IFNAMSIZ);
	} else {
		char name[IFNAMSIZ];

		memcpy(name, rq.ifr_name, sizeof(name));
		colon = strchr(name, ':');
		if (colon)
			*colon = '\0';
		r = netif_info_by_name(name, &i);
		if (r == 0)
			r = device_fact(&i, cmd, &rq);
	}
	return r < 0 ? r : guest_write(c->mm, arg, &rq);
}

/* SIOCETHTOOL: what there is to say of interfaces without hardware. dev_ethtool() */
static long ethtool_call(gva_t arg, const struct ioctl_ctx *c)
{
	struct netif_info i;
	struct ifreq rq;
	uint32_t cmd;
	gva_t data;

	if (guest_read(c->mm, &rq, arg) < 0)
		return -EFAULT;
	rq.ifr_name[IFNAMSIZ - 1] = 0;
	if (netif_info_by_name(rq.ifr_name, &i) < 0)
		return -ENODEV;
	data = (gva_t)(uintptr_t)rq.ifr_data;
	if (guest_read(c->mm, &cmd, data) < 0)
		return -EFAULT;
	if (cmd == ETHTOOL_GDRVINFO && !(i.flags & IFF_LOOPBACK)) {
		struct ethtool_drvinfo d = { .cmd = cmd, .driver = "vmrun" };

		return guest_write(c->mm, data, &d);
	}
	if (cmd == ETHTOOL_GLINK) {
		struct ethtool_value v = { .cmd = cmd, .data = i.flags & IFF_RUNNING ? 1 : 0 };

		return guest_write(c->mm, data, &v);
	}
	if (cmd == ETHTOOL_GET_TS_INFO) {
		struct ethtool_ts_info ts = { .cmd = cmd, .phc_index = -1 };

		ts.so_timestamping = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
		return guest_write(c->mm, data, &ts);
	}
	return -EOPNOTSUPP;
}

/* SIOCGIFCONF: the interfaces that have an IPv4 address. */
static long interface_list(gva_t arg, const struct ioctl_ctx *c)
{
	struct netif_info i;
	struct ifconf conf;
	int done = 0;

	if (guest_read(c->mm, &conf, arg) < 0)
		return -EFAULT;
	for (int index = 1; netif_info_next(&index, &i); index++) {
		for (unsigned k = 0; k < i.naddrs; k++) {
			struct ifreq rq = { 0 };

			if (i.addr[k].family != AF_INET)
				continue;
			memcpy(rq.ifr_name, i.name, IFNAMSIZ);
			put_inet(&rq.ifr_addr, i.addr[k].addr);
			if (conf.ifc_buf) {
				if (conf.ifc_len - done < (int)sizeof(rq))
					goto out;
				if (guest_write(c->mm, (gva_t)(uintptr_t)conf.ifc_buf + (gva_t)done, &rq) < 0)
					return -EFAULT;
			}
			done += (int)sizeof(rq);
		}
	}
out:
	conf.ifc_len = done;
	return guest_write(c->mm, arg, &conf);
}

/* Interfaces are configured when the instance starts, and stay as they are. */
static long refuse_change(const struct ioctl_ctx *c)
{
	return cred_capable(c->fsc->cred, CAP_NET_ADMIN) ? -EOPNOTSUPP : -EPERM;
}

/* ifconfig lo up */
static long set_flags(gva_t arg, const struct ioctl_ctx *c)
{
	struct netif_info i;
	struct ifreq rq;

	if (guest_read(c->mm, &rq, arg) < 0)
		return -EFAULT;
	rq.ifr_name[IFNAMSIZ - 1] = 0;
	if (!cred_capable(c->fsc->cred, CAP_NET_ADMIN))
		return -EPERM;
	if (netif_info_by_name(rq.ifr_name, &i) < 0)
		return -ENODEV;
	return ((unsigned)rq.ifr_flags ^ i.flags) & (IFF_UP | IFF_PROMISC | IFF_NOARP) ? -EOPNOTSUPP : 0;
}

/* --- owner of SIGIO ----------------------------------------------------------------------------------------------- */

static long get_owner(struct file *f, gva_t arg, const struct ioctl_ctx *c)
{
	int pid;

	mutex_lock(&f->own_lock);
	pid = f->own.type == F_OWNER_PGRP ? -f->own.pid : f->own.pid;
	mutex_unlock(&f->own_lock);
	return guest_write(c->mm, arg, &pid);
}

static long set_owner(struct file *f, gva_t arg, const struct ioctl_ctx *c)
{
	int pid;

	if (guest_read(c->mm, &pid, arg) < 0)
		return -EFAULT;
	if (pid == INT32_MIN)
		return -EINVAL;
	mutex_lock(&f->own_lock);
	f->own.type = pid < 0 ? F_OWNER_PGRP : F_OWNER_PID;
	f->own.pid = pid < 0 ? -pid : pid;
	f->own.uid = pid ? c->fsc->cred->uid : 0;
	f->own.euid = pid ? c->fsc->cred->euid : 0;
	mutex_unlock(&f->own_lock);
	return 0;
}

/* sock_gettstamp(): when the last packet came. */
static long get_stamp(struct sock *s, gva_t arg, bool ns, const struct ioctl_ctx *c)
{
	int64_t stamp = s->stamp, val[2];

	if (s->family != AF_INET && s->family != AF_INET6 && s->family != AF_PACKET)
		return -ENOTTY;
	if (!stamp)
		return -ENOENT;
	val[0] = stamp / 1000000000;
	val[1] = stamp % 1000000000 / (ns ? 1 : 1000);
	return guest_write(c->mm, arg, &val);
}

long sock_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct sock *s = sock_of_file(f);
	long r = s->ops->ioctl ? s->ops->ioctl(s, cmd, arg, c) : -ENOIOCTLCMD;

	if (r != -ENOIOCTLCMD)
		return r;
	switch (cmd) {
	case FIOSETOWN:
	case SIOCSPGRP: return set_owner(f, arg, c);
	case FIOGETOWN:
	case SIOCGPGRP: return get_owner(f, arg, c);
	case SIOCGSTAMP_OLD:
	case SIOCGSTAMP_NEW: return get_stamp(s, arg, false, c);
	case SIOCGSTAMPNS_OLD:
	case SIOCGSTAMPNS_NEW: return get_stamp(s, arg, true, c);
	case SIOCETHTOOL: return ethtool_call(arg, c);
	case SIOCGIFCONF: return interface_list(arg, c);
	case SIOCGIFNAME:
	case SIOCGIFFLAGS:
	case SIOCGIFINDEX:
	case SIOCGIFMTU:
	case SIOCGIFMETRIC:
	case SIOCGIFTXQLEN:
	case SIOCGIFHWADDR:
	case SIOCGIFMAP:
	case SIOCGIFADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFNETMASK: return interface_call(cmd, arg, c);
	case SIOCSIFFLAGS: return set_flags(arg, c);
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFMTU:
	case SIOCSIFHWADDR:
	case SIOCSIFNAME:
	case SIOCSIFTXQLEN:
	case SIOCADDRT:
	case SIOCDELRT: return refuse_change(c);
	default: return -ENOTTY;
	}
}
