# SPDX-License-Identifier: MIT
"""What the users of these programs do with them, and what they then see. usage: drive.py PROGRAMS CASE [VMRUN ARG...]
Prints a transcript: with VMRUN (and its arguments) the programs run in one instance, each by a command of its own; without, natively."""
import hashlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

PROGRAMS, CASE, VMRUN = sys.argv[1], sys.argv[2], sys.argv[3:]
HOST = "10.0.2.2" if VMRUN else "127.0.0.1"
LIMIT = 120
running = []


def shown(data):
    return repr(data.decode(errors="backslashreplace")) if len(data) < 1000 else f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


class Program:
    """One program. On a terminal its output is what the terminal shows, echo included; else a pipe, input too."""

    def __init__(self, *argv, terminal=False, name=None):
        self.name = name or os.path.basename(argv[0])
        self.seen, self.at, self.terminal = b"", 0, terminal
        if "/" not in argv[0] and os.path.exists(f"{PROGRAMS}/{argv[0]}"):
            argv = (f"{PROGRAMS}/{argv[0]}",) + argv[1:]
        argv = VMRUN + list(argv)
        if terminal:
            self.fd, slave = pty.openpty()
            self.p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                      preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
            os.close(slave)
            while VMRUN and termios.tcgetattr(self.fd)[3] & termios.ECHO and self.p.poll() is None:
                time.sleep(0.01)  # what is typed before vmrun has made the terminal raw is echoed by both
        else:
            self.p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.fd = self.p.stdout.fileno()
        running.append(self)

    def _more(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            raise TimeoutError
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        self.seen += data
        return data != b""

    def expect(self, text, times=1):
        """Waits until TEXT was seen, behind what earlier calls waited for."""
        end = time.time() + LIMIT
        for _ in range(times):
            while (n := self.seen.find(text.encode(), self.at)) < 0:
                if time.time() > end or not self._more(end - time.time()):
                    raise SystemExit(f"{self.name}: no {text!r} in {self.seen[-300:]!r}")
            self.at = n + len(text.encode())
        return self

    def type(self, keys):
        os.write(self.fd if self.terminal else self.p.stdin.fileno(), keys.encode())
        return self

    def end_of_input(self):
        if self.terminal:
            self.type("\x04")
        else:
            self.p.stdin.close()
        return self

    def finish(self):
        """Waits for the end; prints what was seen and the exit status."""
        try:
            while self._more(LIMIT):
                pass
            status = self.p.wait(LIMIT)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise SystemExit(f"{self.name} does not end; it said {self.seen[-300:]!r}")
        running.remove(self)
        print(f"--- {self.name}: {status}\n{shown(self.seen)}")
        return self

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{self.name} does not end with SIGTERM")
        while self._more(LIMIT):
            pass
        running.remove(self)
        status = -self.p.returncode if self.p.returncode < 0 else self.p.returncode - 128  # vmrun ends as a shell says it
        print(f"--- {self.name} stopped by signal {status}\n{shown(self.seen)}")


def server(*argv):
    return Program(*argv).expect("listening on ").expect("\n")


def chat():
    s = server("chat")
    names = ["anna", "bert", "carl"]
    people = {}
    for n in names:
        people[n] = Program("connect", "127.0.0.1:6142", terminal=True, name=n).expect("your name?\r\n")
        people[n].type(n + "\n").expect(f"welcome, {n}: {len(people)} here\r\n")
        for other in names[:len(people) - 1]:
            people[other].expect(f"{n} came\r\n")
        s.expect(f"{n} came\n")
    for n, line in [("anna", "hello all"), ("bert", "hi anna"), ("carl", "grüße"), ("anna", "mistyped\x15corrected\x7fd")]:
        people[n].type(line + "\n")
        if "\x15" not in line:
            people[n].expect(line + "\r\n")
        for other in names:
            if other != n:
                people[other].expect(f"{n}: {'corrected' if chr(0x15) in line else line}\r\n")
    for n in names:
        people[n].end_of_input().finish()
        for other in names[names.index(n) + 1:]:
            people[other].expect(f"{n} went\r\n")
        s.expect(f"{n} went\n")
    s.stop()


def hello_world():
    host = subprocess.Popen(["busybox", "nc", "-l", "-p", "6142"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    while subprocess.run("grep -q ':17FE 0*:0000 0A' /proc/net/tcp /proc/net/tcp6", shell=True).returncode:  # until it listens
        time.sleep(0.05)
    try:
        Program("hello_world", f"{HOST}:6142").finish()
        print(host.communicate(timeout=LIMIT)[0])
    finally:
        host.kill()
    p = Program("hello_world", f"{HOST}:6142")  # nobody listens there any more
    p.finish()


def tinyhttp():
    s = server("tinyhttp")
    for path in ["plaintext", "json", "nothing"]:
        Program("busybox", "wget", "-q", "-O", "-", f"http://127.0.0.1:8080/{path}").finish()
    c = Program("connect", "127.0.0.1:8080")  # several requests on one connection, one in two pieces
    c.type("GET /json HTTP/1.1\r\nHost: x\r\n\r\nGET /plaintext HTTP/1.1\r\n\r\n").expect("message").expect("Hello")
    c.type("PUT / HTTP/1.1\r\nX: ").expect("World!").type("y\r\n\r\n").expect("no PUT")
    c.type("GET /plaintext HTTP/1.0\r\n\r\n").expect("World!").finish()
    s.stop()


def print_each_packet():
    s = server("print_each_packet")
    c = Program("connect", terminal=True)
    s.expect("a client\n")
    for line in ["first", "second", "ü"]:
        c.type(line + "\n").expect(line + "\r\n")
        s.expect("packet: ").expect("\n")
    c.end_of_input().finish()
    s.expect("end of file\n").stop()


def echo_udp():
    s = server("echo-udp")
    c = Program("udp-client")
    c.type("x" * 2500).end_of_input().expect("500 bytes").finish()
    c = Program("connect", "127.0.0.1:8080", "--udp", terminal=True)
    for line in ["one", "two"]:
        c.type(line + "\n").expect(line + "\r\n", times=2)
    c.end_of_input().finish()
    s.stop()


def echo():
    s = server("echo")
    cs = [Program("connect", name=f"client {i}") for i in range(3)]
    for c in cs:
        c.type(f"{c.name}\n")
    for c in cs:
        c.expect(f"{c.name}\n")
    for c in cs:
        c.type("y" * 100000 + "end\n").expect("end\n")
        c.end_of_input().finish()
    Program("connect", terminal=True).type("abc\x7fd\n").expect("abd\r\n").end_of_input().finish()
    s.stop()


def echo_outside():
    """The server is a program of the host; echo in the instance is busy meanwhile."""
    host = subprocess.Popen([f"{PROGRAMS}/echo", "0.0.0.0:6142"], stdout=subprocess.PIPE)
    host.stdout.readline()
    try:
        s = server("echo")
        inside = Program("connect", "127.0.0.1:8080", name="inside")
        outside = Program("connect", f"{HOST}:6142", name="outside")
        for i in range(20):
            inside.type(f"inside {i} " + "i" * 2000 + "\n")
            outside.type(f"outside {i} " + "o" * 2000 + "\n")
            inside.expect(f"inside {i} ").expect("\n")
            outside.expect(f"outside {i} ").expect("\n")
        for c in [inside, outside]:
            c.end_of_input().finish()
        s.stop()
    finally:
        host.kill()


def proxy():
    e, p = server("echo"), server("proxy")
    c = Program("connect", "127.0.0.1:8081", terminal=True).type("through both\n").expect("through both\r\n", times=2)
    d = Program("connect", "127.0.0.1:8081").type("z" * 200000 + "\n").expect("z\n")
    for x in [c, d]:
        x.end_of_input().finish()
        p.expect(" bytes there, ").expect(" back\n")
    e.stop()
    Program("connect", "127.0.0.1:8081").finish()  # nobody behind the proxy any more
    p.expect("failed: ").expect("\n").stop()


def tinydb():
    s = server("tinydb")
    c = Program("connect", "127.0.0.1:8080", terminal=True)
    for line, answer in [("GET first", "first = there from the start"), ("SET a 1", "set a = 1"), ("GET a", "a = 1"), ("SET a 2 3", "set a = 2 3, before 1"),
                         ("GET nothing", "error: no name nothing"), ("GET a b", "error: GET has one name"), ("DROP", "error: what is")]:
        c.type(line + "\n").expect(line + "\r\n").expect(answer)
    c.type("GETT\x7f \x7f\x7f\x7f\x7fSET b x\x17y\n").expect("set b = y")  # edited before it is sent
    c.type("GET").expect("GET").type("\x04").type(" b\n").expect("b = y\r\n")  # pushed without a newline
    d = Program("connect", "127.0.0.1:8080")
    d.type("GET a\r\nGET b\n").expect("a = 2 3\n").expect("b = y\n").end_of_input().finish()
    c.type("\x04").finish()
    c = Program("connect", "127.0.0.1:8080", terminal=True).type("GET b\n").expect("b = y\r\n").type("\x03")
    c.p.wait(LIMIT)
    print(shown(c.seen), abs(c.p.returncode) % 128)
    running.remove(c)
    s.stop()


def udp_codec():
    p = Program("udp-codec")
    p.p.stdin.close()
    try:
        p.p.wait(LIMIT)
    except subprocess.TimeoutExpired:
        raise SystemExit("udp-codec does not end")
    while p._more(LIMIT):
        pass
    running.remove(p)
    for line in sorted(p.seen.decode().splitlines()):  # the two sides print when they please
        print(line)
    print(p.p.returncode)


def batch():
    p = Program("batch", f"{PROGRAMS}/echo 127.0.0.1:8080 --once", "127.0.0.1:8080")
    p.type("to the echo\n").expect("to the echo\n").end_of_input().finish()
    Program("batch", f"{PROGRAMS}/echo 127.0.0.1:8080 --once", "127.0.0.1:8080", terminal=True).expect("listening").type("typed\n").expect("typed\r\n", times=2).end_of_input().finish()
    Program("batch", "true", "127.0.0.1:1").expect("connect: ").finish()


def detached():
    """A server that a shell leaves in the background is there for later commands."""
    scratch = tempfile.mkdtemp(dir=os.getcwd())  # the working directory is the host's own under vmrun too
    log, pid = f"{scratch}/log", f"{scratch}/pid"
    Program("sh", "-c", f": > {log}; {PROGRAMS}/tinyhttp > {log} 2>&1 & echo $! > {pid}; while ! grep -q listening {log}; do sleep 0.05; done").finish()
    Program("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/json").finish()
    Program("sh", "-c", f"kill $(cat {pid}); while kill -0 $(cat {pid}) 2> /dev/null; do sleep 0.05; done; cat {log}").finish()
    shutil.rmtree(scratch)


try:
    {f.__name__: f for f in [chat, hello_world, tinyhttp, print_each_packet, echo_udp, echo, echo_outside, proxy, tinydb, udp_codec, batch, detached]}[CASE]()
finally:
    for p in list(running):
        p.p.kill()
