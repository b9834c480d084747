/* SPDX-License-Identifier: MIT */
/*
 * --net tap: a tap device of the host. A device of this name that exists already (made by the administrator, perhaps in a bridge) is
 * attached to and left as it is found, but for an address if it has none; a new one is made, gets 10.0.2.2/24, and goes with us.
 * Only the network namespace that we are in is touched.
 */
/* host syscalls: openat ioctl socket readv writev dup3 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emul/base/auto.h"
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/base/loop.h"
#include "emul/net/lwip_port.h"
#include "emul/net/offload.h"
#include "emul/net/route.h"

#define PER_TURN 256 /* frames, then the reactor's other work gets its turn */
#define ROOM (OFFLOAD_MAX + 64)
#define DEFAULT_NAME "vmrun%d"

static int tap_fd = -1;
static struct loop_watch watch;

/* --- frames, each behind a struct virtio_net_hdr ------------------------------------------------------------------------------------------------------------- */

/* What the host says about a frame is checked as the frame is. */
static void take(const struct virtio_net_hdr *h, uint8_t *frame, size_t len)
{
	if (len > OFFLOAD_MAX)
		return; /* forwarded, and larger than the host's own may be: it is sent again in parts */
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !offload_complete(frame, len, h->csum_start, h->csum_offset))
		return;
	eth_receive(frame, len);
}

/* What read(2) says; *ret_len: of the frame. */
static ssize_t read_frame(struct virtio_net_hdr *h, uint8_t *frame, size_t *ret_len)
{
	struct iovec iov[2] = { { h, sizeof(*h) }, { frame, ROOM } };
	ssize_t n = readv(tap_fd, iov, 2);

	*ret_len = (size_t)MAX(n - (ssize_t)sizeof(*h), 0);
	return n;
}

/* The administrator, or whoever made it, has removed the device: a cable that was pulled. Nothing brings it back. */
static void lose_device(void)
{
	if (!route_eth_lost())
		log_write("error", "the tap device has been removed: no network but loopback until the instance is started anew");
}

/* Edge-triggered: to the last frame, or once more soon. */
static void drain(void *arg)
{
	static uint8_t frame[ROOM]; /* only the reactor */
	struct virtio_net_hdr h;
	size_t len;

	(void)arg;
	for (int i = 0; i < PER_TURN; i++) {
		ssize_t n;

		n = read_frame(&h, frame, &len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EBADFD)
			lose_device();
		if (n <= 0)
			return;
		take(&h, frame, len);
	}
	loop_post(drain, NULL);
}

static void on_readable(struct loop_watch *w, uint32_t events)
{
	(void)w;
	(void)events;
	drain(NULL);
}

static int tap_send(const void *frame, size_t len, const struct large_frame *l)
{
	struct virtio_net_hdr h = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)frame, len } };
	ssize_t n;

	if (l)
		h = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = l->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
			.hdr_len = l->headers,
			.gso_size = l->segment,
			.csum_start = l->tcp,
			.csum_offset = offsetof(struct tcphdr, check),
		};
	n = HOST(writev(tap_fd, iov, 2));
	return n == (ssize_t)(sizeof(h) + len) || n == -EBADFD /* as on a wire that leads nowhere */ ? 0 : -ENOBUFS;
}

/* --- the device --------------------------------------------------------------------------------------------------------- */

/* Somebody else has the subnet on another interface: a second one would break that. */
static bool subnet_taken(const char *but_for, char *ret_who, size_t size)
{
	struct ifaddrs *all;
	bool taken = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i && !taken; i = i->ifa_next) {
		struct sockaddr_in *in = (struct sockaddr_in *)i->ifa_addr, *mask = (struct sockaddr_in *)i->ifa_netmask;
		uint32_t a, m;

		if (!in || in->sin_family != AF_INET || !mask || !strcmp(i->ifa_name, but_for))
			continue;
		a = ntohl(in->sin_addr.s_addr);
		m = ntohl(mask->sin_addr.s_addr) & 0xffffff00u;
		taken = (a & m) == (ETH_ADDR4 & m) && m;
		if (taken)
			snprintf(ret_who, size, "%s", i->ifa_name);
	}
	freeifaddrs(all);
	return taken;
}

static void fill(struct ifreq *rq, const char *name)
{
	memset(rq, 0, sizeof(*rq));
	snprintf(rq->ifr_name, sizeof(rq->ifr_name), "%s", name);
}

static int set_address(int s, const char *name, unsigned cmd, uint32_t addr)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct ifreq rq;

	fill(&rq, name);
	in.sin_addr.s_addr = htonl(addr);
	memcpy(&rq.ifr_addr, &in, sizeof(in));
	return (int)HOST(ioctl(s, cmd, &rq));
}

static int configure(const char *name, char *why, size_t size)
{
	AUTO_FD s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq rq;
	int r = s < 0 ? -errno : 0;
	bool has_address;

	fill(&rq, name);
	has_address = s >= 0 && ioctl(s, SIOCGIFADDR, &rq) == 0;
	if (r == 0 && !has_address)
		r = set_address(s, name, SIOCSIFADDR, ETH_GATEWAY4);
	if (r == 0 && !has_address)
		r = set_address(s, name, SIOCSIFNETMASK, 0xffffff00u);
	fill(&rq, name);
	if (r == 0)
		r = (int)HOST(ioctl(s, SIOCGIFFLAGS, &rq));
	if (r == 0 && (rq.ifr_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING)) {
		rq.ifr_flags |= IFF_UP | IFF_RUNNING;
		r = (int)HOST(ioctl(s, SIOCSIFFLAGS, &rq));
	}
	if (r < 0)
		snprintf(why, size, "%s cannot be configured: %s: do it beforehand (ip addr add 10.0.2.2/24 dev %s; ip link set %s up)", name, strerror(-r),
			 name, name);
	return r;
}

/* Without the host's consent frames are as on the wire, behind their header. */
static void use_large(int fd)
{
	int size = sizeof(struct virtio_net_hdr), little = 1;

	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) < 0)
		log_dbg(NET, "tap: no large frames: %s", strerror(errno));
}

/* The name in *rq is what it became. */
static int open_device(struct ifreq *rq, char *why, size_t size)
{
	int fd = (int)HOST(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)), r;

	if (fd < 0) {
		snprintf(why, size, "/dev/net/tun: %s: %s, or give --net user", strerror(-fd),
			 fd == -ENOENT || fd == -ENODEV || fd == -ENXIO ? "load the module tun" : "permit reading and writing");
		return fd;
	}
	rq->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	r = (int)HOST(ioctl(fd, TUNSETIFF, rq));
	if (r == 0) {
		use_large(fd);
		return fd;
	}
	if (r == -EBUSY)
		snprintf(why, size, "%s is used by another instance or program: give another, or --net user", rq->ifr_name);
	else if (r == -EPERM)
		snprintf(why, size, "no permission: it takes CAP_NET_ADMIN, or a device made for you (ip tuntap add NAME mode tap user YOU; --net tap=NAME)");
	else if (r == -EINVAL)
		snprintf(why, size, "%s is no tap device, nor a name for one: make one (ip tuntap add NAME mode tap), or give another", rq->ifr_name);
	else
		snprintf(why, size, "%s: %s", rq->ifr_name, strerror(-r));
	close(fd);
	return r;
}

bool tap_is_likely(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	char who[IFNAMSIZ];

	return syscall(SYS_capget, &head, caps) == 0 && (caps[0].effective >> CAP_NET_ADMIN & 1) &&
	       access("/dev/net/tun", R_OK | W_OK) == 0 && !subnet_taken("", who, sizeof(who));
}

static int tap_start(const struct net_config *cfg, char *why, size_t size)
{
	char who[IFNAMSIZ];
	struct ifreq rq;
	int r;

	if (cfg->tap && (strlen(cfg->tap) >= IFNAMSIZ || !cfg->tap[0] || strchr(cfg->tap, '/'))) {
		snprintf(why, size, "'%s' is no interface name", cfg->tap);
		return -EINVAL;
	}
	if (subnet_taken(cfg->tap ? cfg->tap : "", who, sizeof(who))) {
		snprintf(why, size, "10.0.2.0/24 is in use on %s: end what has it, or give --net user", who);
		return -EBUSY;
	}
	fill(&rq, cfg->tap ? cfg->tap : DEFAULT_NAME);
	tap_fd = open_device(&rq, why, size);
	if (tap_fd < 0)
		return tap_fd;
	r = configure(rq.ifr_name, why, size);
	if (r == 0)
		r = loop_watch_add(&watch, tap_fd, EPOLLIN, on_readable);
	if (r < 0) {
		close(tap_fd);
		tap_fd = -1;
		return r;
	}
	snprintf(why, size, "%s 10.0.2.2/24", rq.ifr_name);
	loop_post(drain, NULL); /* what came before the watch */
	return 0;
}

/*
 * A device that stays is as it was; another one goes now, and not some time after our process: who starts the next instance is to find
 * its name free. The number stays taken, for the reactor.
 */
static void tap_leave(void)
{
	AUTO_FD null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)ioctl(tap_fd, TUNSETOFFLOAD, 0ul);
	if (null >= 0)
		(void)dup3(null, tap_fd, O_CLOEXEC);
}

const struct eth_backend tap_backend = { .name = "tap", .start = tap_start, .send = tap_send, .leave = tap_leave, .takes_large = true };
