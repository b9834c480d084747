# SPDX-License-Identifier: MIT
"""--net tap, from the host's side, within a network namespace made for it."""
import os
import socket
import struct
import subprocess
import sys
import threading
import time

from guest import Guest, recv_all

VMRUN = sys.argv[1]
TAP = ["--net", "tap"]


def serve_echo(port, kind=socket.SOCK_STREAM):
    l = socket.socket(type=kind)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(("0.0.0.0", port))
    if kind == socket.SOCK_DGRAM:
        def loop():
            while True:
                d, w = l.recvfrom(70000)
                l.sendto(d, w)
    else:
        l.listen(128)

        def echo(c):
            while d := c.recv(65536):
                c.sendall(d)
            c.close()

        def loop():
            while True:
                threading.Thread(target=echo, args=(l.accept()[0],), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def reaches_host():
    """Both interfaces at once, without loss."""
    serve_echo(6142)
    g = Guest(VMRUN, TAP, """
import socket, threading
s = socket.create_server(("127.0.0.1", 8080))
def echo():
    c, _ = s.accept()
    while d := c.recv(65536): c.sendall(d)
threading.Thread(target=echo, daemon=True).start()
h = socket.create_connection(("10.0.2.2", 6142), 60); l = socket.create_connection(("127.0.0.1", 8080)); ok = 0
def all(c, n):
    a = b""
    while len(a) < n: a += c.recv(n - len(a))
    return a
for i in range(200):
    m = bytes([i]) * 5000; l.sendall(m); h.sendall(m); ok += all(l, 5000) == all(h, 5000) == m
print(ok, h.getsockname()[0], h.getpeername()[0])""")
    assert g.end() == "200 10.0.2.15 10.0.2.2"


def host_reaches():
    g = Guest(VMRUN, TAP, """
import socket
s = socket.create_server(("", 8080), family=socket.AF_INET6, dualstack_ipv6=True); print("up", flush=True)
c, a = s.accept(); print(a[0], c.recv(9).decode(), c.getsockname()[0]); c.sendall(b"ok"); c.close()""")
    assert g.line() == "up"
    try:
        socket.create_connection(("10.0.2.15", 8081), 60)
        raise SystemExit("nobody listens there")
    except ConnectionRefusedError:
        pass
    c = socket.create_connection(("10.0.2.15", 8080), 60)
    c.sendall(b"ping")
    assert c.recv(9) == b"ok" and c.recv(9) == b""
    assert g.end() == "::ffff:10.0.2.2 ping ::ffff:10.0.2.15"


def udp():
    serve_echo(6143, socket.SOCK_DGRAM)
    g = Guest(VMRUN, TAP, """
import socket
u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(60)
for n in (0, 1, 1472, 1473, 9000):
    m = bytes(i % 251 for i in range(n)); u.sendto(m, ("10.0.2.2", 6143)); assert u.recvfrom(70000) == (m, ("10.0.2.2", 6143)), n
r = socket.socket(type=socket.SOCK_DGRAM); r.settimeout(60); r.connect(("10.0.2.2", 9)); r.send(b"x")
try: r.recv(1)
except ConnectionRefusedError: print("refused")
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("0.0.0.0", 7000)); s.settimeout(60); print("up", flush=True)
d, w = s.recvfrom(99); s.sendto(d + d, w)""")
    assert g.line() == "refused"
    assert g.line() == "up"
    c = socket.socket(type=socket.SOCK_DGRAM)
    c.settimeout(60)
    c.sendto(b"ab", ("10.0.2.15", 7000))
    assert c.recvfrom(99) == (b"abab", ("10.0.2.15", 7000))
    c.connect(("10.0.2.15", 7001))
    c.send(b"x")
    try:
        c.recv(1)
        raise SystemExit("nobody is there")
    except ConnectionRefusedError:
        pass
    g.end()


def ping():
    g = Guest(VMRUN, TAP, """
import socket, struct
def ping(to):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); s.settimeout(60)
    s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"data", (to, 0)); d, w = s.recvfrom(99)
    return d[0] == 0 and d[8:] == b"data" and w[0] == to
print(ping("127.0.0.1"), ping("10.0.2.15"), ping("10.0.2.2"), flush=True)
input()""")
    assert g.line() == "True True True"
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.settimeout(60)
    p = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
    p = struct.pack("!BBHHH", 8, 0, 0xffff - sum(struct.unpack("!4H", p)), 77, 1)
    s.sendto(p, ("10.0.2.15", 0))
    while True:
        d, w = s.recvfrom(200)
        if w[0] == "10.0.2.15" and d[20] == 0:
            break
    g.p.stdin.write("\n")
    g.end()


def many_connections():
    serve_echo(6144)
    g = Guest(VMRUN, TAP, """
import socket
cs = [socket.create_connection(("10.0.2.2", 6144), 60) for _ in range(300)]
for i, c in enumerate(cs): c.sendall(b"%d" % i)
print(sum(int(c.recv(9)) for c in cs))""")
    assert g.end() == str(sum(range(300)))


def bulk():
    """Both directions at once; what comes must be what was sent."""
    n = 64 << 20
    l = socket.create_server(("0.0.0.0", 6145))
    g = Guest(VMRUN, TAP, f"""
import socket, threading, time, hashlib
c = socket.create_connection(("10.0.2.2", 6145), 60); n = {n}
block = bytes(range(256)) * 1024
def send():
    for _ in range(n // len(block)): c.sendall(block)
    c.shutdown(1)
t = threading.Thread(target=send); t.start()
h = hashlib.sha256(); got = 0
while d := c.recv(1 << 20): h.update(d); got += len(d)
t.join(); print(got, h.hexdigest())""")
    c, _ = l.accept()
    block = bytes(range(256)) * 1024
    import hashlib
    want = hashlib.sha256()
    for _ in range(n // len(block)):
        want.update(block)

    def send():
        for _ in range(n // len(block)):
            c.sendall(block)
        c.shutdown(1)
    t = threading.Thread(target=send)
    start = time.time()
    t.start()
    got, h = 0, hashlib.sha256()
    while d := c.recv(1 << 20):
        got += len(d)
        h.update(d)
    t.join()
    print(f"{2 * n / (time.time() - start) * 8 / 1e6:.0f} Mbit/s both ways")
    assert got == n and h.hexdigest() == want.hexdigest()
    assert g.end() == f"{n} {want.hexdigest()}"


def second_instance():
    """The default network: the second one finds the tap in use and falls back to user mode."""
    code = "import socket; s = socket.create_server(('0.0.0.0', 80)); print('up', flush=True); input()"
    a = Guest(VMRUN, ["--verbose"], code)
    assert a.line() == "up"
    b = Guest(VMRUN, ["--verbose"], code)
    assert b.line() == "up"
    for name in "tap", "tap=vmrun0":
        r = start(["--net", name])
        assert r.returncode == 125 and "use" in r.stderr and r.stderr.count("\n") == 1, r
    for g, word in ((a, "network: tap"), (b, "network: user mode")):
        out, err = g.p.communicate("\n", timeout=90)
        assert word in err, err


def start(options, how="--new"):
    return subprocess.run([VMRUN, how, *options, "true"], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=180)


def refused():
    """What cannot be is said at the start, in one line; a correct command of the same name is not told another's mistake."""
    kept = f"/tmp/vmrun-kept-{os.getpid()}"
    open(kept, "w").write("kept")
    subprocess.run(["ip", "tuntap", "add", "tun8", "mode", "tun"], check=True)
    for how in "--new", f"--name=refused{os.getpid()}":
        for options, word in (
            (["--net", "tap=lo", "--pcap", kept], "lo is no tap"),
            (["--net", "tap=tun8"], "tun8 is no tap"),
            (["--net", "tap", "--pcap", "/nowhere/file"], "/nowhere/file cannot be written"),
            (["--net", "tap", "--pcap", "/tmp"], "Is a directory"),
        ):
            r = start(options, how)
            assert r.returncode == 125 and word in r.stderr and r.stderr.count("\n") == 1, r
        assert start([], how).returncode == 0
    for _ in range(12):  # each finds the device of the one before gone
        r = start(["--net", "tap"], f"--name=refused{os.getpid()}")
        assert r.returncode == 0, r
    assert open(kept).read() == "kept"
    os.unlink(kept)


def capture():
    serve_echo(6146)
    name = f"/tmp/vmrun-capture-{os.getpid()}"
    g = Guest(VMRUN, TAP + ["--pcap", name], "import socket; c = socket.create_connection(('10.0.2.2', 6146), 60); c.sendall(b'seen'); print(c.recv(9))")
    g.end()
    data = open(name, "rb").read()
    os.unlink(name)
    assert data[:4] == struct.pack("<I", 0xa1b23c4d) and data.count(b"seen") == 2


def vanishes():
    """The host takes the device away: time-outs, no crash, loopback goes on."""
    serve_echo(6147)
    g = Guest(VMRUN, TAP, """
import socket
c = socket.create_connection(("10.0.2.2", 6147), 60); c.sendall(b"a"); c.recv(1); print("up", flush=True); input()
c.settimeout(1); c.sendall(b"b")
try: c.recv(1); print("?")
except TimeoutError: pass
u = socket.socket(type=socket.SOCK_DGRAM); assert u.sendto(b"c", ("10.0.2.2", 9)) == 1
assert open("/proc/net/dev").read().count("eth0") == 1 and "NO-CARRIER" in __import__("os").popen("ip link show eth0").read()
l = socket.create_server(("127.0.0.1", 0)); socket.create_connection(l.getsockname()).close(); print("alive")""")
    assert g.line() == "up"
    subprocess.run(["ip", "link", "del", "vmrun0"], check=True)
    out, err = g.p.communicate("\n", timeout=90)
    assert out.strip() == "alive" and "has been removed" in err, (out, err)


def multicast():
    g = Guest(VMRUN, TAP, """
import socket
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("", 7100)); s.settimeout(60)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("10.0.2.15"))
print("up", flush=True); d, w = s.recvfrom(9); print(d.decode(), w[0])""")
    assert g.line() == "up"
    u = socket.socket(type=socket.SOCK_DGRAM)
    u.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.2.2"))
    u.sendto(b"group", ("239.1.2.3", 7100))
    assert g.end() == "group 10.0.2.2"


def neighbours():
    """ip neigh knows the host by both families, as soon as it has answered."""
    g = Guest(VMRUN, TAP, """
import os, socket, sys, time
s = socket.create_server(("", 8080)); print("up", flush=True); host6 = input(); text = ""
for family, to in (socket.AF_INET, ("10.0.2.2", 9)), (socket.AF_INET6, (host6, 9, 0, socket.if_nametoindex("eth0"))):
    u = socket.socket(family, socket.SOCK_DGRAM); u.sendto(b"a", to)
for _ in range(300):
    text = os.popen("ip neigh show nud reachable; ip -6 neigh show nud reachable nud stale nud delay nud probe").read()
    if text.count("10.0.2.2 dev eth0 lladdr") and text.count(host6 + " dev eth0 lladdr"): break
    time.sleep(0.1)
print(text.count(host6) and text.split("lladdr ")[1].split()[0])""")
    assert g.line() == "up"
    with open("/sys/class/net/vmrun0/address") as f:
        mac = f.read().strip()
    host6 = None
    while not host6:
        with open("/proc/net/if_inet6") as f:
            for w in map(str.split, f):
                if w[5] == "vmrun0" and not int(w[4], 16) & 0x40:
                    host6 = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(w[0]))
        time.sleep(0.1)
    g.p.stdin.write(host6 + "\n")
    g.p.stdin.flush()
    assert g.end() == mac


def named():
    global TAP
    TAP = ["--net", "tap=vt7"]
    reaches_host()


globals()[sys.argv[2]]()
