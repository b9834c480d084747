# SPDX-License-Identifier: MIT
"""Frames that no host would send, into the tap: the instance must answer the next good one."""
import random
import socket
import struct
import sys

from guest import Guest

MAC = bytes.fromhex("525400123456")


def ip(proto, payload, **change):
    f = dict(ver=0x45, tos=0, length=20 + len(payload), ident=1, frag=0, ttl=64, proto=proto, check=0)
    f.update(change)
    h = struct.pack("!BBHHHBBH4s4s", f["ver"], f["tos"], f["length"] & 0xffff, f["ident"], f["frag"], f["ttl"], f["proto"], f["check"],
                    socket.inet_aton("10.0.2.2"), socket.inet_aton("10.0.2.15"))
    if not f["check"]:
        s = sum(struct.unpack("!10H", h))
        while s >> 16:
            s = (s & 0xffff) + (s >> 16)
        h = h[:10] + struct.pack("!H", 0xffff - s) + h[12:]
    return h + payload


def frames(r):
    yield b""
    yield MAC
    yield MAC + b"\1" * 6 + b"\x08\x00"
    yield MAC + b"\1" * 6 + b"\x08\x06" + b"\0" * 3
    for proto in (1, 2, 6, 17, 58, 255):
        for n in (0, 1, 7, 8, 19, 20, 1400):
            body = r.randbytes(n)
            for change in ({}, {"ver": 0x4f}, {"ver": 0x41}, {"length": 65535}, {"length": 3}, {"frag": 0x2000}, {"frag": 0x1fff}, {"ttl": 0}):
                yield MAC + b"\1" * 6 + b"\x08\x00" + ip(proto, body, **change)
    for n in (0, 8, 20, 60):  # an ICMP error that quotes nonsense
        yield MAC + b"\1" * 6 + b"\x08\x00" + ip(1, struct.pack("!BBHI", 3, 3, 0, 0) + r.randbytes(n))
    for _ in range(2000):
        yield MAC + b"\1" * 6 + r.choice((b"\x08\x00", b"\x08\x06", b"\x86\xdd")) + bytes([r.choice((0x45, 0x60, r.randrange(256)))]) + \
            r.randbytes(r.randrange(0, 200))


g = Guest(sys.argv[1], ["--net", "tap"], """
import socket
s = socket.create_server(("0.0.0.0", 8080)); u = socket.socket(type=socket.SOCK_DGRAM); u.bind(("0.0.0.0", 7000)); print("up", flush=True)
c, a = s.accept(); c.sendall(b"alive"); c.close()""")
assert g.line() == "up"
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(("vmrun0", 0))
for f in frames(random.Random(1)):
    try:
        raw.send(f)
    except OSError:
        pass
c = socket.create_connection(("10.0.2.15", 8080), 60)
assert c.recv(9) == b"alive"
g.end()
