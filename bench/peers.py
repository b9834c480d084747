# SPDX-License-Identifier: MIT
"""What the benchmarks run under: each peer turns an argv into a result, and leaves nothing behind."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vmrun-bench")
MARK = "VMRUN_BENCH_RUN"
INSTALL = "bench/peers.sh installs it"


def our_processes(mark):
    """Ids of all processes that carry our mark in their environment, wherever they moved to."""
    wanted = ("%s=%s" % (MARK, mark)).encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if wanted in f.read().split(b"\0"):
                    yield int(pid)
        except OSError:
            pass  # gone, or a kernel thread


def kill_leftovers(mark, patience):
    """Ends what a cell left: a sandbox that outlived its command, a program that a time-out cut off."""
    deadline = time.monotonic() + patience
    while left := list(our_processes(mark)):
        if time.monotonic() > deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        time.sleep(0.05)


class Peer:
    """A sandbox, or none. Subclasses say how a command line is made and what cannot be measured."""
    name, about = "native", "no sandbox"
    why_absent = None
    batch = False           # one start for many commands
    skip = {}               # test name: why it means nothing here
    network = []            # what runs a program with a network to the host; None: there is none

    def __init__(self, work):
        self.work = work
        self.env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "TERM")}
        self.serial = 0

    def version(self):
        return ""

    def command(self, argv):
        return argv

    def timed_command(self, name, argv):
        """`argv` with its wall time printed under `name`, measured inside the sandbox."""
        return self.command([os.path.join(self.work, "timed"), name] + argv)

    def start(self, cmd, pin, **how):
        self.serial += 1
        mark = "%d-%s-%d" % (os.getpid(), self.name, self.serial)
        cmd = (["taskset", "-c", pin] if pin else []) + cmd
        return subprocess.Popen(cmd, env=self.env | {MARK: mark}, cwd=self.work, start_new_session=True,
                                stdin=subprocess.DEVNULL, **how), mark

    def output(self, cmd, pin, timeout):
        """(stdout, wall seconds) of a command line, stdout empty if it failed or took too long."""
        begin = time.monotonic()
        child, mark = self.start(cmd, pin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            out = child.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            out = b""
        finally:
            wall = time.monotonic() - begin
            self.finish(child, mark)
        return (out.decode(errors="replace") if child.returncode == 0 else ""), wall

    def finish(self, child, mark):
        """The end of a cell, whatever happened: nothing of it runs on."""
        in_time = child.poll() is not None
        if not in_time:
            os.killpg(child.pid, signal.SIGKILL)
        kill_leftovers(mark, 1.0 if in_time else 0)
        child.wait()
        if child.stdout:
            child.stdout.close()
        self.clean()

    def clean(self):
        """After each cell: state in files that killing does not remove."""

    def run(self, commands, pin, timeout):
        """Outputs of several command lines, each its own start."""
        return [self.output(c, pin, timeout)[0] for c in commands]


class Vmrun(Peer):
    name, about = "vmrun", "this project"

    def __init__(self, work, binary, flags):
        super().__init__(work)
        self.binary = os.path.abspath(binary)
        self.prefix = [self.binary, "--new"] + flags
        self.network = self.prefix + ["--net", "tap"]
        if not os.access(self.binary, os.X_OK):
            self.why_absent = "no %s; build it, or give --vmrun FILE" % binary

    def version(self):
        repo = ["git", "-C", HERE, "describe", "--always", "--dirty"]
        return " ".join([first_line(repo)] + self.prefix[2:])

    def command(self, argv):
        return self.prefix + argv


class Gvisor(Peer):
    name, about = "gvisor", "gVisor's runsc, platform systrap, no network but loopback"
    network = None

    def __init__(self, work):
        super().__init__(work)
        self.runsc = shutil.which("runsc") or os.path.join(CACHE, "bin", "runsc")
        self.state = os.path.join(work, "runsc")
        if not os.access(self.runsc, os.X_OK):
            self.why_absent = "no runsc; bench/peers.sh builds it from its Go module"

    def version(self):
        found = re.search(r"gvisor\.dev/gvisor\s+(\S+)", text_of(["go", "version", "-m", self.runsc]))
        return found[1] if found else first_line([self.runsc, "--version"])

    def command(self, argv):
        return [self.runsc, "--root=" + self.state, "--network=none", "--ignore-cgroups", "--platform=systrap", "do"] + argv

    def clean(self):
        for name in text_of([self.runsc, "--root=" + self.state, "list", "-quiet"]).split():
            subprocess.run([self.runsc, "--root=" + self.state, "delete", "-force", name],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False)
        shutil.rmtree(self.state, ignore_errors=True)


class Proot(Peer):
    name, about = "proot", "PRoot: system calls caught by ptrace, answered by the host's kernel; no isolation"
    network = None

    def __init__(self, work):
        super().__init__(work)
        self.tool = shutil.which("proot")
        if not self.tool:
            self.why_absent = "no proot; " + INSTALL

    def version(self):
        return debian_version("proot")

    def command(self, argv):
        return [self.tool] + argv


class Qemu(Peer):
    name, about = "qemu-user", "QEMU user mode: instructions translated, calls passed to the host's kernel; no isolation"
    skip = dict.fromkeys(("exec", "sh", "gcc", "redis"), "programs that it executes run natively")
    network = None

    def __init__(self, work):
        super().__init__(work)
        self.tool = shutil.which("qemu-x86_64-static")
        if not self.tool:
            self.why_absent = "no qemu-x86_64-static; " + INSTALL

    def version(self):
        return debian_version("qemu-user-static")

    def command(self, argv):
        return [self.tool] + argv

    def timed_command(self, name, argv):
        return [os.path.join(self.work, "timed"), name] + self.command(argv)


class Uml(Peer):
    """One start boots a kernel, so a group of commands shares one."""
    name, about = "uml", "user-mode Linux: a Linux kernel as a process, one processor; / by hostfs, /tmp in its memory"
    batch = True
    skip = {"redis": "its batches print no rates"}
    network = None

    def __init__(self, work):
        super().__init__(work)
        self.tool = shutil.which("linux.uml")
        self.env["HOME"] = work
        if not self.tool:
            self.why_absent = "no linux.uml; " + INSTALL

    def version(self):
        return "Linux " + first_line([self.tool, "--version"])

    def boot(self, lines):
        """A command line that boots, runs the lines of shell as its init, and halts."""
        script = os.path.join(self.work, "uml-init")
        with open(script, "w") as f:
            f.write("#!/bin/sh\nexport PATH=%s HOME=/tmp LANG=C\nmount -t proc proc /proc\nmount -t sysfs sysfs /sys\n"
                    "mount -t tmpfs tmpfs /tmp\nmount -t devtmpfs dev /dev\n"
                    "ip link set lo up\ncd /tmp\n%s\nhalt -f\n" % (self.env["PATH"], "\n".join(lines)))
        os.chmod(script, 0o755)
        return [self.tool, "root=/dev/root", "rootfstype=hostfs", "hostfs=/", "ro", "init=" + script, "mem=1024M",
                "con0=fd:0,fd:1", "con=null", "quiet", "uml_dir=" + self.work, "umid=%s%d" % (self.name, self.serial)]

    def command(self, argv):
        return self.boot([" ".join(map(quote, argv))])

    def timed_command(self, name, argv):
        return [os.path.join(self.work, "timed"), name] + argv

    def run(self, commands, pin, timeout):
        lines = []
        for c in commands:
            lines += ["echo; echo @begin", "timeout -s KILL %d %s </dev/null 2>/dev/null" % (timeout, " ".join(map(quote, c))),
                      "echo @end $?"]
        out = self.output(self.boot(lines), pin, timeout * len(commands) + 60)[0]
        cells = re.split(r"^@begin\s*$", out, flags=re.M)[1:]
        return [c if re.search(r"^@end 0\s*$", c, flags=re.M) else "" for c in cells]


class Other(Peer):
    """NAME=COMMAND from the command line."""

    def __init__(self, work, text):
        super().__init__(work)
        self.name, command = text.split("=", 1)
        self.about, self.prefix, self.network = "`%s`" % command, command.split(), None

    def command(self, argv):
        return self.prefix + argv


def quote(word):
    return "'" + word.replace("'", "'\\''") + "'"


def text_of(cmd):
    try:
        return subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=30, check=False).stdout
    except OSError:
        return ""


def first_line(cmd):
    return (text_of(cmd).splitlines() or ["?"])[0]


def debian_version(package):
    return first_line(["dpkg-query", "-W", "-f", "${Version}\n", package])


def find(work, vmrun, flags, others):
    """(peers that are here, lines about those that are not)."""
    everyone = [Peer(work), Vmrun(work, vmrun, flags)] + [Other(work, o) for o in others] + \
        [kind(work) for kind in (Gvisor, Uml, Proot, Qemu)]
    here = [p for p in everyone if not p.why_absent]
    return here, ["%s is left out: %s" % (p.name, p.why_absent) for p in everyone if p.why_absent]


def work_folder():
    """Not below /tmp, which sandboxes replace."""
    return tempfile.mkdtemp(prefix="vmrun-bench.", dir="/var/tmp")
