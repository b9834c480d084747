# SPDX-License-Identifier: MIT
"""--net user: no privileges are needed."""
import socket
import sys

from guest import Guest

VMRUN = sys.argv[1]


def reaches_host():
    l = socket.create_server(("127.0.0.1", 0))
    l.settimeout(60)
    g = Guest(VMRUN, ["--net", "user"], f"""
import socket
c = socket.create_connection(("10.0.2.2", {l.getsockname()[1]}), 60)
c.sendall(b"hello"); print(c.recv(9).decode(), c.getsockname()[0])""")
    c, _ = l.accept()
    assert c.recv(9) == b"hello"
    c.sendall(b"world")
    assert g.end() == "world 10.0.2.15"


def publishes():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    g = Guest(VMRUN, ["--publish", f"127.0.0.1:{port}:8080"], """
import socket
s = socket.create_server(("0.0.0.0", 8080)); print("up", flush=True)
c, _ = s.accept(); c.sendall(c.recv(9).upper()); c.close()""")
    assert g.line() == "up"
    c = socket.create_connection(("127.0.0.1", port), 60)
    c.sendall(b"ping")
    assert c.recv(9) == b"PING"
    g.end()


def resolves():
    g = Guest(VMRUN, ["--net", "user"], "print(open('/etc/resolv.conf').read())")
    assert g.end() == "nameserver 10.0.2.3"


globals()[sys.argv[2]]()
