#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The two interfaces: tap inside a network namespace of its own, the user-mode network. Needs (Debian): python3 iproute2 tcpdump iputils-ping; root for the tap part.
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
PY=/usr/bin/python3
export PYTHONPATH="$here/network"

for c in reaches_host publishes resolves; do holds "user-$c" timeout 180 $PY -m user "$VMRUN" $c; done
holds loopback-only sh -c "'$VMRUN' --new --net loopback $PY -c '
import socket
l = socket.create_server((\"127.0.0.1\", 0)); socket.create_connection(l.getsockname()).close()
try: socket.create_connection((\"10.0.2.2\", 1), 5); raise SystemExit(1)
except OSError as e: raise SystemExit(e.errno != 101)'"
without_libslirp() {
	mkdir -p "$scratch/lib"; echo nothing > "$scratch/lib/libslirp.so.0"
	LD_LIBRARY_PATH=$scratch/lib timeout 180 "$VMRUN" --new --net user $PY -c '
import socket
try: socket.create_connection(("10.0.2.2", 1), 5); raise SystemExit(1)
except OSError as e: raise SystemExit(e.errno != 101)' 2> "$scratch/err" || return 1
	grep -q -- '--net user: it needs libslirp' "$scratch/err"
}
holds user-without-libslirp without_libslirp
# tcpdump in the instance sees what passes eth0, and conversations on lo. A pair of lines for each ping.
sees() { # interface, address
	timeout 60 "$VMRUN" --new --net user sh -c "
		timeout 20 tcpdump -l -n -i $1 -c 4 icmp > seen 2> said &
		for i in 1 2 3 4 5 6 7 8 9 10; do grep -q listening said && break; sleep 0.3; done
		ping -n -c 4 -i 0.2 $2 > /dev/null; wait"
	[ "$(grep -c "> $2: ICMP echo request" seen)" -ge 2 ] && [ "$(grep -c "$2 > .*: ICMP echo reply" seen)" -ge 2 ]
}
if command -v tcpdump > /dev/null && command -v ping > /dev/null; then
	cd "$scratch"
	holds tcpdump-eth0 sees eth0 10.0.2.2
	holds tcpdump-lo sees lo 127.0.0.1
	cd - > /dev/null
fi
holds pcap-loopback sh -c "'$VMRUN' --net loopback --pcap '$scratch/c' true 2>&1 | grep -q 'nothing passes' && [ ! -e '$scratch/c' ]"
holds pcap-fifo sh -c "mkfifo '$scratch/f'; timeout 180 '$VMRUN' --new --pcap '$scratch/f' true 2>&1 | grep -q 'nobody reads'"
holds wrong-kind sh -c "'$VMRUN' --net bridge true 2>&1 | grep -q 'give tap, tap=NAME, user or loopback'"
holds busy-port timeout 180 $PY -c '
import socket, subprocess, sys
for kind, how in ((socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "/udp")):
    s = socket.socket(type=kind); s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
    if not how: s.listen()
    r = subprocess.run([sys.argv[1], "--new", "--publish", f"127.0.0.1:{port}:80{how}", "true"], stderr=subprocess.PIPE, text=True)
    assert r.returncode == 125 and f"port {port} cannot be had" in r.stderr and r.stderr.count("\n") == 1, r' "$VMRUN"
holds wrong-port sh -c "'$VMRUN' --publish 70000:1 true 2>&1 | grep -q publish"

if [ "$(id -u)" = 0 ] && [ -e /dev/net/tun ]; then
	ns=vmrunnet$$
	ip netns add $ns
	trap 'ip netns del $ns; rm -rf "$scratch"' EXIT
	ip -n $ns link set lo up
	for c in reaches_host host_reaches udp ping many_connections bulk second_instance refused capture vanishes multicast; do
		holds "tap-$c" timeout 200 ip netns exec $ns $PY -m tap "$VMRUN" $c
	done
	holds tap-malformed timeout 200 ip netns exec $ns $PY -m malformed "$VMRUN"
	holds tap-under-fire timeout 200 ip netns exec $ns $PY -m under_fire "$VMRUN"
	holds tap-leaves-nothing sh -c "! ip -n $ns link show vmrun0"
	holds tap-persistent sh -c "ip -n $ns tuntap add vt7 mode tap && timeout 180 ip netns exec $ns $PY -m tap '$VMRUN' named && ip -n $ns link show vt7"
else
	echo "skipped the tap: not root, or no /dev/net/tun"
fi
finish
