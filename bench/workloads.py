# SPDX-License-Identifier: MIT
"""What is measured: the tests of sysbench, applications, starts. Tables and the files that they need."""
import glob
import os
import random
import shutil
import subprocess

from peers import HERE

# kind: what bounds a test. "work" never sleeps, "wake" waits for another thread or process to run, "cpu" makes no calls natively
# and is in no mean.
# (group, test, kind, results with what they are)
SYSTEM = (
    ("calls", "getppid", "work", {"getppid": "getppid: the price of a call"}),
    ("calls", "gettime", "cpu", {"clock_gettime": "clock_gettime (vDSO)"}),
    ("calls", "read1", "work", {"read_zero_1": "read 1 byte, /dev/zero"}),
    ("calls", "write1", "work", {"write_null_1": "write 1 byte, /dev/null"}),
    ("calls", "getrandom", "work", {"getrandom_16": "getrandom, 16 bytes"}),
    ("calls", "epoll", "work", {"eventfd_epoll": "eventfd write, epoll_wait, read"}),
    ("calls", "cpu", "cpu", {"cpu_loop": "loop without calls"}),
    ("files", "pread", "work", {"pread_4k": "pread 4 KiB"}),
    ("files", "open", "work", {"open_close": "open and close"}),
    ("files", "stat", "work", {"stat": "stat, 4 names deep"}),
    ("files", "readdir", "work", {"readdir_500": "readdir of 500 names"}),
    ("files", "write_file", "work", {"write_file": "write a new file, 1 MiB blocks"}),
    ("files", "read_file", "work", {"read_file_4k": "read a file, 4 KiB blocks", "read_file_64k": "read a file, 64 KiB blocks"}),
    ("memory", "touch", "work", {"page_touch": "first touch of a 4 KiB page", "page_touch_huge": "the same, huge pages allowed"}),
    ("memory", "mmap", "work", {"mmap_munmap_64k": "mmap, touch, munmap 64 KiB"}),
    ("memory", "mprotect", "work", {"mprotect_toggle": "mprotect to and fro, touch"}),
    ("memory", "map_read", "work", {"map_read_first": "read a shared file map, first", "map_read_touched": "the same, touched before"}),
    ("memory", "signal", "work", {"signal_self": "signal to oneself"}),
    ("memory", "segv", "work", {"segv_mprotect": "fault, handled by mprotect"}),
    ("wake-ups", "futex", "wake", {"futex_pingpong": "futex ping-pong, 2 threads"}),
    ("wake-ups", "thread", "wake", {"thread_create_join": "thread, create and join"}),
    ("wake-ups", "pipe", "wake", {"pipe_pingpong": "pipe ping-pong, 2 processes"}),
    ("wake-ups", "unix", "wake", {"unix_pingpong": "unix socket ping-pong"}),
    ("wake-ups", "tcp", "wake", {"tcp_pingpong": "TCP loopback ping-pong"}),
    ("wake-ups", "tcp_stream", "wake", {"tcp_stream": "TCP loopback stream"}),
    ("processes", "fork", "wake", {"fork_exit_wait": "fork, exit, wait", "fork_64M": "the same, 64 MiB touched"}),
    ("processes", "exec", "wake", {"fork_exec_wait": "fork, exec, wait (static)", "spawn_wait": "posix_spawn, wait (static)"}),
)

# Rates over networks: (test, results with what they are). "wire" leaves the sandbox, and is only for those that have a network.
NETWORK = (
    ("redis", {"redis_set": "redis: SET, 50 clients", "redis_get": "redis: GET, 50 clients",
               "redis_pipeline": "redis: GET, 50 clients, 16 requests at a time"}),
    ("wire", {"wire_send": "TCP to the host, MTU 1500", "wire_receive": "TCP from the host, MTU 1500"}),
)
# What is to be reached: (result, against whom, at most this cost, or None and at least this much).
GOALS = (
    ("tcp_stream", "gvisor", 1 / 1.5, None),
    ("tcp_pingpong", "gvisor", 3, None),
    ("redis_set", "gvisor", 1, None),
    ("redis_get", "gvisor", 1, None),
    ("wire_send", None, None, 1.0),
    ("wire_receive", None, None, 1.0),
)

IMPORTS = "argparse ast asyncio base64 bz2 calendar cmd codecs collections concurrent.futures configparser contextlib csv ctypes " \
    "dataclasses datetime decimal difflib doctest email.message fractions ftplib gzip hashlib heapq html.parser http.client " \
    "http.server inspect ipaddress json logging.config lzma mimetypes multiprocessing.pool optparse pathlib pdb pickle pydoc " \
    "queue random secrets shelve shlex smtplib socketserver sqlite3 ssl statistics subprocess tarfile tempfile timeit " \
    "tokenize typing unittest.mock urllib.request uuid wsgiref.simple_server xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipfile"

APPS = (
    ("sqlite", "sqlite: 400 transactions of 25 inserts, an index"),
    ("python", "python3: import of 70 modules"),
    ("node", "node: start, 2000 small files written and read"),
    ("xz", "xz -6 of 3 MB"),
    ("ffmpeg", "ffmpeg: 4 s of test picture 640x360 to H.264"),
    ("tar", "tar of python's library, 2000 files"),
    ("gcc", "gcc -O2 -c of 400 functions"),
    ("sh", "sh: 200 times /bin/true"),
)
STARTS = (
    ("true-static", "static program that returns"),
    ("true-dynamic", "/bin/true (dynamic)"),
    ("python-0", "python3 -c 0"),
)
MEMORY = "resident"


def results():
    """Every result's name: (group, kind, title)."""
    table = {name: (group, kind, title) for group, _, kind, names in SYSTEM for name, title in names.items()}
    table |= {name: ("network", "net", title) for _, names in NETWORK for name, title in names.items()}
    table |= {name: ("applications", "app", title) for name, title in APPS}
    table |= {name: ("starts", "start", title) for name, title in STARTS}
    table[MEMORY] = ("starts", "memory", "memory of a static program that waits")
    return table


def groups():
    return list(dict.fromkeys(group for group, _, _ in results().values()))


def compile_programs(work):
    flags = ["-O2", "-static", "-w"]
    sources = sorted(glob.glob(os.path.join(HERE, "sysbench", "*.c")))
    for name, args in (("sysbench", sources + ["-lpthread"]), ("timed", [os.path.join(HERE, "timed.c")]),
                       ("wire", [os.path.join(HERE, "wire.c")])):
        subprocess.run(["gcc"] + flags + ["-o", os.path.join(work, name)] + args, check=True)
    for name, text in (("true", "int main(void) { return 0; }"),
                       ("pause", "#include <unistd.h>\nint main(void) { return pause(); }")):
        subprocess.run(["gcc"] + flags + ["-o", os.path.join(work, name), "-xc", "-"], input=text.encode(), check=True)


def write_inputs(work):
    """The files that applications read; the same ones in every run."""
    def put(name, text):
        with open(os.path.join(work, name), "w") as f:
            f.write(text)

    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghij klmnop", k=rng.randint(3, 12))) for _ in range(5000)]
    put("text", " ".join(rng.choices(words, k=360000))[:3000000])
    put("inserts.sql", "PRAGMA journal_mode=wal; PRAGMA synchronous=off;\nDROP TABLE IF EXISTS t; CREATE TABLE t(a INTEGER, b TEXT);\n" +
        "".join("BEGIN;%s COMMIT;\n" % "".join("INSERT INTO t VALUES(%d, '%s');" % (rng.randint(0, 10**6), rng.choice(words))
                                              for _ in range(25)) for _ in range(400)) +
        "CREATE INDEX i ON t(b); SELECT count(*), max(b) FROM t;\n")
    put("functions.c", "#include <stdio.h>\n#include <string.h>\n" + "".join(
        "int f%d(int n, char *s)\n{\n\tint sum = %d;\n\tfor (int i = 0; i < n; i++)\n\t\tsum += s[i] * %d ^ (sum >> %d);\n"
        "\tif (sum > %d)\n\t\tprintf(\"%%d %%zu\\n\", sum, strlen(s));\n\treturn sum;\n}\n"
        % (i, i, i * 7 + 1, i % 13 + 1, i * 100) for i in range(400)))
    put("files.js", "const fs = require('fs'); const d = fs.mkdtempSync('/tmp/node-');\n"
        "for (let i = 0; i < 2000; i++) fs.writeFileSync(d + '/' + i, 'x'.repeat(i));\n"
        "let n = 0; for (const f of fs.readdirSync(d)) n += fs.readFileSync(d + '/' + f).length;\n"
        "if (n !== 1999000) process.exit(1);\nfs.rmSync(d, { recursive: true });\n")


REDIS = """cd /tmp
redis-server --port 6399 --save '' --appendonly no --daemonize yes > /dev/null
until redis-cli -p 6399 ping > /dev/null 2>&1; do :; done
rate() { # NAME ARG...
	name=$1; shift
	redis-benchmark -p 6399 -c 50 -q "$@" | tr '\\r' '\\n' | sed -n "s|.*: \\([0-9.]*\\) requests per second.*|$name \\1 requests/s|p" | tail -n 1
}
rate redis_set -t set -n 20000
rate redis_get -t get -n 20000
rate redis_pipeline -t get -n 100000 -P 16
redis-cli -p 6399 shutdown nosave
"""


def networks(work):
    """(test, results, argv that runs inside, argv that runs outside with the sandbox's command behind it)."""
    with open(os.path.join(work, "redis.sh"), "w") as f:
        f.write(REDIS)
    for name, what in NETWORK:
        if name == "redis" and shutil.which("redis-server") and shutil.which("redis-benchmark"):
            yield name, what, ["/bin/sh", os.path.join(work, "redis.sh")], None
        if name == "wire" and os.geteuid() == 0 and os.access("/dev/net/tun", os.W_OK):
            yield name, what, None, [os.path.join(HERE, "wire.py"), os.path.join(work, "wire"), "2"]


def python_library():
    """The library of Debian's python3, without what other packages put there."""
    out = subprocess.run(["/usr/bin/python3", "-c", "import json, os; print(os.path.dirname(os.path.dirname(json.__file__)))"],
                         stdout=subprocess.PIPE, text=True, check=False).stdout
    return out.strip()


def applications(work):
    """(name, argv) of the applications that this machine has; absolute paths, since not every peer looks along PATH."""
    here = lambda name: os.path.join(work, name)
    lib = python_library()
    tree = [os.path.join(lib, d) for d in ("asyncio", "collections", "concurrent", "ctypes", "distutils", "email", "encodings",
                                           "html", "http", "importlib", "json", "lib2to3", "logging", "multiprocessing",
                                           "pydoc_data", "re", "sqlite3", "unittest", "urllib", "xml")]
    argv = {
        "sqlite": ["sqlite3", "/tmp/vmrun-bench.db", ".read " + here("inserts.sql")],
        "python": ["/usr/bin/python3", "-c", "import " + ", ".join(IMPORTS.split())],
        "node": ["node", here("files.js")],
        "xz": ["xz", "-6", "-T1", "-k", "-c", here("text")],
        "ffmpeg": ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=4:size=640x360:rate=25",
                   "-c:v", "libx264", "-preset", "veryfast", "-threads", "2", "-y", "/tmp/vmrun-bench.mp4"],
        "tar": ["tar", "-C", "/", "-cf", "/tmp/vmrun-bench.tar"] + [d.lstrip("/") for d in tree if os.path.isdir(d)],
        "gcc": ["gcc", "-O2", "-c", "-o", "/tmp/vmrun-bench.o", here("functions.c")],
        "sh": ["sh", "-c", "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"],
    }
    for name, _ in APPS:
        tool = shutil.which(argv[name][0])
        if tool:
            yield name, [tool] + argv[name][1:]


def starts(work):
    yield "true-static", [os.path.join(work, "true")]
    yield "true-dynamic", ["/bin/true"]
    yield "python-0", ["/usr/bin/python3", "-c", "0"]
