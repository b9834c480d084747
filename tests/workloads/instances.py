# SPDX-License-Identifier: MIT
"""Parts of instances.sh: nonsense on the control socket; a terminal. usage: instances.py garbage VMRUN DIR | looks VMRUN | terminal VMRUN"""
import array, fcntl, json, os, pty, random, select, signal, socket, struct, subprocess, sys, termios, time


def wait_for(what, seconds=60):
    end = time.time() + seconds
    while time.time() < end:
        if what():
            return
        time.sleep(0.05)
    raise SystemExit("timeout")


def message(json, blob=b"", nfds=0, json_len=None):
    return struct.pack("<IIII", 0x6e727631, len(json) if json_len is None else json_len, len(blob), nfds) + json + blob


def garbage(vmrun, directory):
    keeper = subprocess.Popen([vmrun, "--name", "m", "sleep", "1000"])
    path = directory + "/m.sock"
    rng = random.Random(1)
    inputs = [b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 16, message(b"{}"), message(b"[]"), message(b"{", b""), message(b'{"op":7}'),
              message(b'{"op":"no"}'), message(b'{"op":"run"}'), message(b'{"op":"run","version":1,"argc":1}'),
              message(b'{"op":"run","version":1,"argc":1,"envc":0,"numbers":[]}', b"/\0\0"),
              message(b'{"op":"run","version":1,"argc":2,"envc":-1,"numbers":[]}', b"/\0\0a\0"),
              message(b'{"op":"run","version":1,"argc":9000000000,"envc":1,"numbers":[]}', b"/\0\0a\0"),
              message(b'{"op":"run","version":1,"argc":1,"envc":0,"numbers":[0,1,2]}', b"/\0\0true\0"),
              message(b'{"op":"run","version":1,"argc":1,"envc":0,"numbers":["a"],"terminal":true}', b"/\0\0true\0"),
              message(b'{"op":"run","version":1,"argc":1,"envc":0,"numbers":[],"given":7}', b"/\0\0true\0"),
              message(b'{"op":"run","version":1,"argc":1,"envc":0,"numbers":[],"given":{"--memory":[{}]}}', b"/\0\0true\0"),
              message(b'{"op":"kill","pid":-1,"signal":9}'), message(b'{"op":"kill","pid":1,"signal":9}'), message(b'{"op":"kill"}'),
              message(b"{}", json_len=0xffffffff), message(b"{" * 100000), b"\x31\x76\x72\x6e" + b"\xff" * 12]
    inputs += [bytes(rng.randrange(256) for _ in range(rng.randrange(64))) for _ in range(100)]

    def connect():
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(path)
        except OSError:
            s.close()
            return None
        return s

    wait_for(lambda: (lambda s: s and (s.close() or True))(connect()))
    hung = [connect() for _ in range(20)]  # say nothing, and hold nobody up
    hung[0].sendall(message(b"{}")[:7])
    for data in inputs:
        s = connect()
        s.settimeout(60)
        try:
            r = array.array("i", [0, 1]) if len(data) % 3 == 0 else array.array("i")
            if data:
                s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, r)] if r else [])
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
        s.close()
    for s in hung:
        s.close()
    assert subprocess.run([vmrun, "--name", "m", "echo", "well"], capture_output=True, timeout=60).stdout == b"well\n"
    assert keeper.poll() is None
    keeper.terminate()
    assert keeper.wait(60) == -signal.SIGTERM


class Terminal:
    def __init__(self, argv, rows=24, cols=80):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            for sig in (signal.SIGINT, signal.SIGQUIT):  # whatever our caller ignores
                signal.signal(sig, signal.SIG_DFL)
            os.execv(argv[0], argv)
        self.resize(rows, cols)
        self.seen = b""

    def resize(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, data):
        os.write(self.fd, data)

    def expect(self, text, seconds=60, keep=False):
        end = time.time() + seconds
        while text not in self.seen:
            if time.time() > end or not select.select([self.fd], [], [], max(0, end - time.time()))[0]:
                raise SystemExit("expected %r, saw %r" % (text, self.seen[-300:]))
            try:
                self.seen += os.read(self.fd, 4096)
            except OSError:
                raise SystemExit("expected %r before the end, saw %r" % (text, self.seen[-300:]))
        self.seen = self.seen if keep else self.seen[self.seen.index(text) + len(text):]

    def local_flags(self):
        return termios.tcgetattr(self.fd)[3]

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def looks(vmrun):
    """vmctl top on terminals of any size, and ps: whole characters, no control characters of a guest's, no line too long."""
    ctl = [os.path.join(os.path.dirname(vmrun), "vmctl"), "--name", "x"]
    odd = b"caf\xc3\xa9 \xff \x1b[31m \xc2\x9b \xe6\x97\xa5 " + b"y" * 300
    subprocess.run([vmrun, "--name", "x", "sh", "-c", 'sh -c "while :; do sleep 1000; done" "$0" > /dev/null 2>&1 &', odd], check=True, timeout=60)
    command = [p["command"] for p in json.loads(subprocess.run(ctl + ["--json", "ps"], stdout=subprocess.PIPE, timeout=60).stdout) if "caf" in p["command"]]
    assert "caf\u00e9 ? ?[31m ? \u65e5 yyy" in command[0], command
    out = subprocess.run(ctl + ["ps", "-f"], stdout=subprocess.PIPE, timeout=60).stdout.decode()
    assert "y" * 300 in out, out
    for rows, cols in ((5, 20), (9, 59), (24, 110)):
        t = Terminal(ctl + ["top"], rows, cols)
        t.expect(b"instance")  # of whatever size it was when it began
        t.resize(rows, cols + 1)
        t.expect(b"\x1b[J")
        t.expect(b"\x1b[H")
        t.expect(b"\x1b[J", keep=True)
        lines = t.seen[:t.seen.index(b"\x1b[J")].decode().replace("\x1b[K", "").split("\r\n")
        assert len(lines) <= rows and max(map(len, lines)) <= cols + 1, (rows, cols, lines)
        assert (cols < 100) or any("caf\u00e9" in line for line in lines), lines
        os.kill(t.pid, signal.SIGTERM)
        t.status()
    subprocess.run(ctl + ["stop"], check=True, timeout=60)


def terminal(vmrun):
    run = [vmrun, "--name", "n"]
    a = Terminal(run + ["sh", "-c", "trap 'echo interrupted' INT; tty; while :; do read line || continue; echo \"<$line>\"; [ \"$line\" = end ] && exit 5; "
                        "[ \"$line\" = size ] && stty size; done"])
    a.expect(b"/dev/pts/")
    b = Terminal(run + ["sh", "-c", "echo up; sleep 1000"])
    b.expect(b"up")
    a.type(b"hello\r")
    a.expect(b"<hello>")
    assert not a.local_flags() & termios.ICANON  # in our hands
    a.resize(33, 77)  # the signal takes its time
    end = time.time() + 60
    while b"33 77" not in a.seen:
        assert time.time() < end, a.seen
        a.type(b"size\r")
        a.expect(b"<size>")
        time.sleep(0.1)
        a.type(b"mark\r")
        a.expect(b"<mark>", keep=True)
    a.seen = b""
    b.type(b"\x03")  # reaches its own session only
    got = b.status()
    assert got == -signal.SIGINT, (got, b.seen)
    assert b.local_flags() & termios.ICANON
    a.type(b"\x03")
    a.expect(b"interrupted")
    a.type(b"end\r")
    a.expect(b"<end>")
    assert a.status() == 5
    assert a.local_flags() & termios.ICANON

    # A killed client: SIGHUP inside, and the terminal is as it was.
    keeper = subprocess.Popen(run + ["sleep", "1000"])
    c = Terminal(run + ["sh", "-c", "trap 'echo > /tmp/hung-up; exit' HUP; echo ready; while :; do sleep 0.1; done"])
    c.expect(b"ready")
    wait_for(lambda: not c.local_flags() & termios.ICANON)
    os.kill(c.pid, signal.SIGKILL)
    c.status()
    wait_for(lambda: subprocess.run(run + ["test", "-e", "/tmp/hung-up"]).returncode == 0)
    assert c.local_flags() & termios.ICANON

    # What a command leaves behind lives on, and its terminal is let go.
    d = Terminal(run + ["sh", "-c", "sleep 1000 < /dev/null > /dev/null 2>&1 & echo left"])
    d.expect(b"left")
    assert d.status() == 0
    try:
        while os.read(d.fd, 4096):
            pass
    except OSError:
        pass  # the last slave is closed
    ps = subprocess.run([os.path.dirname(vmrun) + "/vmctl", "--name", "n", "ps", "-f"], capture_output=True, text=True).stdout
    assert "sleep 1000" in ps, ps
    keeper.terminate()
    keeper.wait()
    subprocess.run([os.path.dirname(vmrun) + "/vmctl", "--name", "n", "stop"])


if sys.argv[1] == "garbage":
    garbage(sys.argv[2], sys.argv[3])
else:
    terminal(sys.argv[2])
