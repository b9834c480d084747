# SPDX-License-Identifier: MIT
"""Runs Python code inside an instance."""
import subprocess


class Guest:
    def __init__(self, vmrun, options, code):
        self.p = subprocess.Popen([vmrun, "--new", *options, "/usr/bin/python3", "-c", code], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def line(self):
        return self.p.stdout.readline().strip()

    def end(self, timeout=120):
        out, err = self.p.communicate(timeout=timeout)
        assert self.p.returncode == 0, f"exit {self.p.returncode}: {out[-300:]} {err[-300:]}"
        return out.strip()


def recv_all(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            break
        data += part
    return data
