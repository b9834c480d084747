#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A TCP stream each way through the network of a sandbox, MTU 1500, in network namespaces of its own.

usage: wire.py WIRE SECONDS [SANDBOX COMMAND...]     WIRE: the program of wire.c
Without a sandbox between two namespaces of the host (veth), as the native figure; with one through its tap: the host's side is 10.0.2.2.
Prints what wire.c prints. Needs root."""
import os
import subprocess
import sys

WIRE, SECONDS, SANDBOX = sys.argv[1], sys.argv[2], sys.argv[3:]
PORT = "6199"
HOST, PEER = ("vmrunwire%d%s" % (os.getpid(), x) for x in "hp")


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def inside(ns, argv, **how):
    return subprocess.Popen(["ip", "netns", "exec", ns] + argv, **how)


def main():
    server = None
    try:
        ip("netns", "add", HOST)
        ip("-n", HOST, "link", "set", "lo", "up")
        if not SANDBOX:
            ip("netns", "add", PEER)
            ip("-n", HOST, "link", "add", "w0", "type", "veth", "peer", "name", "w1", "netns", PEER)
            ip("-n", HOST, "addr", "add", "10.0.2.2/24", "dev", "w0")
            ip("-n", PEER, "addr", "add", "10.0.2.15/24", "dev", "w1")
            ip("-n", HOST, "link", "set", "w0", "up")
            ip("-n", PEER, "link", "set", "w1", "up")
        server = inside(HOST, [WIRE, "serve", PORT], stdout=subprocess.PIPE)
        server.stdout.readline()
        for what in ("send", "receive"):
            client = inside(HOST if SANDBOX else PEER, SANDBOX + [WIRE, what, "10.0.2.2", PORT, SECONDS])
            if client.wait(60):
                sys.exit(1)
    finally:
        if server:
            server.kill()
            server.wait()
        for ns in (HOST, PEER):
            subprocess.run(["ip", "netns", "del", ns], stderr=subprocess.DEVNULL, check=False)


main()
