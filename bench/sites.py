#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Surveys the shapes of `syscall` sites in real binaries: what a rewriter of sites meets.

usage: bench/sites.py [--list] [--hot] [ELF...]
Needs Debian's python3-capstone and python3-pyelftools (bench/peers.sh installs them).
Without files: the C library, loader, and programs of this machine, and samples that are built here.

A site is an instruction `syscall` (0f 05) found by decoding its function from the start (symbols or unwind
tables); the same two bytes inside another instruction are counted apart. A jump (`e9 rel32`, 5 bytes) fits by rule
  A  mov $nr,%eax; syscall                     7 bytes, from the mov
  B  xor %eax,%eax; syscall; more              4 bytes + whole instructions that can move, to 5 or more
  C  syscall; more                             2 bytes + whole instructions that can move, to 5 or more
  D  one or more that can move; syscall        whole instructions up to and with the syscall, 5 bytes or more
"Can move": neither branch nor call nor relative to rip; `ret` can end the run, with padding behind it.
In all rules no byte of the patch but its first may be the target of a direct branch; for A and D this includes
the `syscall` itself. Targets are those of the function's own branches and of every 4-byte displacement in the
section that could be a branch (more than there are). Indirect branches are not seen."""
import argparse
import bisect
import collections
import os
import re
import struct
import subprocess
import sys
import tempfile

import capstone
from capstone import x86
from elftools.elf.elffile import ELFFile

SYSCALL = b"\x0f\x05"
JUMP_LEN = 5
RAX = {x86.X86_REG_RAX, x86.X86_REG_EAX, x86.X86_REG_AX, x86.X86_REG_AL}
BRANCHES = {capstone.CS_GRP_JUMP, capstone.CS_GRP_CALL, capstone.CS_GRP_INT}
RULES = "ABCD"
HOT = ("read", "write", "pread64", "openat", "open", "close", "fstat", "fstatat", "ioctl", "poll", "epoll_wait", "recv",
       "recvfrom", "send", "sendto", "sendmsg", "recvmsg", "lseek", "mmap", "munmap", "mprotect", "futex", "syscall", "clone3",
       "getpid", "getrandom", "nanosleep", "sched_yield", "rt_sigprocmask", "lll_lock", "pthread", "cond", "Syscall6", "gettid")


class Site:
    """One `syscall`: what is before and after it, and the rules by which it can be patched."""

    def __init__(self, addr, func, before, after, targets):
        self.addr, self.func, self.before, self.after, self.targets = addr, func, before, after, targets
        self.is_target = addr in targets
        self.number, self.setter = find_number(before, targets, self.is_target)
        self.follow = follow_shape(after)
        self.rules = "".join(r for r in RULES if fits(r, self))


class Code:
    """An executable section with the starts of its functions."""

    def __init__(self, addr, data, starts):
        self.addr, self.data = addr, data
        self.starts = sorted(s for s in starts if addr <= s < addr + len(data)) or [addr]
        self.far = None

    def bounds(self, addr):
        i = bisect.bisect_right(self.starts, addr) - 1
        low = self.starts[i] if i >= 0 else self.addr
        high = self.starts[i + 1] if i + 1 < len(self.starts) else self.addr + len(self.data)
        if addr - low > 65536:  # no function known: decoding falls into step after a few instructions
            low = addr - 1024
        return low, min(high, addr + 65536)

    def far_targets(self):
        """Where any 4-byte displacement behind an opcode of a jump or call would lead; a superset."""
        if self.far is None:
            self.far = set()
            for m in re.finditer(rb"(?=([\xe8\xe9]|\x0f[\x80-\x8f]))", self.data):
                at = m.start() + len(m.group(1))
                if at + 4 <= len(self.data):
                    self.far.add(self.addr + at + 4 + struct.unpack_from("<i", self.data, at)[0])
        return self.far


def decoder():
    md = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    md.syntax = capstone.CS_OPT_SYNTAX_ATT
    md.detail = True
    return md


def function_starts(elf):
    """Starts and names of functions: symbols, and the unwind tables of stripped files."""
    names = {}
    for section in (".symtab", ".dynsym"):
        table = elf.get_section_by_name(section)
        if not table:
            continue
        strings, data = table.stringtable.data(), table.data()
        for name, info, _, shndx, value, _ in struct.iter_unpack("<IBBHQQ", data[:len(data) // 24 * 24]):
            if info & 15 == 2 and shndx:
                text = strings[name:strings.index(b"\0", name)].decode(errors="replace")
                names[value] = min(names.get(value, text), text, key=lambda s: (s.startswith("_"), len(s)))
    starts = set(names) | eh_frame_starts(elf)
    return starts, names


def eh_frame_starts(elf):
    """The search table of .eh_frame_hdr: pairs of 4-byte offsets from its start (gcc and clang write no other form)."""
    hdr = elf.get_section_by_name(".eh_frame_hdr")
    data = hdr.data() if hdr and hdr["sh_type"] != "SHT_NOBITS" else b""
    if len(data) < 12 or data[2] != 0x03 or data[3] != 0x3B:
        return set()
    count = struct.unpack_from("<I", data, 8)[0]
    return {hdr["sh_addr"] + struct.unpack_from("<i", data, 12 + 8 * i)[0] for i in range(min(count, (len(data) - 12) // 8))}


def sites_of(path, md):
    """All sites of one file, and how often the bytes are not an instruction."""
    sites, false = [], 0
    with open(path, "rb") as f:
        elf = ELFFile(f)
        starts, names = function_starts(elf)
        for sec in elf.iter_sections():
            if not sec["sh_flags"] & 4 or sec["sh_type"] == "SHT_NOBITS":
                continue
            code = Code(sec["sh_addr"], sec.data(), starts)
            at = code.data.find(SYSCALL)
            while at >= 0:
                site = site_at(code, code.addr + at, names, md)
                sites += [site] if site else []
                false += site is None
                at = code.data.find(SYSCALL, at + 1)
    return sites, false


def site_at(code, addr, names, md):
    low, high = code.bounds(addr)
    if all(a != addr or size != 2 for a, size in quick_decode(md, code, low, addr)):
        return None
    insns = list(decode(md, code, low, min(high + 16, code.addr + len(code.data))))
    index = next((i for i, n in enumerate(insns) if n.address == addr), None)
    if index is None or insns[index].bytes != SYSCALL:
        return None
    near = {n.operands[0].imm for n in insns if is_branch(n) and n.operands and n.operands[0].type == x86.X86_OP_IMM}
    window = range(addr - 32, addr + 32)
    return Site(addr, names.get(low, "%x" % low), insns[max(0, index - 12):index], insns[index + 1:index + 9],
                (near | code.far_targets() | {low, high}) & set(window))


def decode(md, code, low, high):
    """Instructions of [low, high); bytes that are none are stepped over."""
    while low < high:
        for n in md.disasm(code.data[low - code.addr:high - code.addr], low):
            yield n
            low = n.address + n.size
        low += 1


def quick_decode(md, code, low, addr):
    """Addresses and sizes only, up to and with `addr`: most false hits end here."""
    while low <= addr:
        for at, size, _, _ in md.disasm_lite(code.data[low - code.addr:addr + 16 - code.addr], low):
            yield at, size
            low = at + size
        low += 1


def is_branch(n):
    return any(g in BRANCHES for g in n.groups)


def writes_rax(n):
    return any(r in RAX for r in n.regs_access()[1])


def can_move(n):
    """May this instruction run at another address? `ret` may, but only as the last one."""
    if is_branch(n) or n.bytes == SYSCALL:
        return False
    return not any(o.type == x86.X86_OP_MEM and o.mem.base == x86.X86_REG_RIP for o in n.operands)


def is_ret(n):
    return capstone.CS_GRP_RET in n.groups


def is_padding(n):
    return n.mnemonic.startswith(("nop", "int3")) or n.bytes in (b"\x66\x90", b"\xcc")


def find_number(before, targets, target):
    """The call's number if the code says it, and the shape of what sets it."""
    if target:
        return None, "syscall is a branch target"
    for back, n in enumerate(reversed(before)):
        if is_branch(n) or is_ret(n):
            return None, "set before a branch or call"
        if writes_rax(n):
            where = "directly before" if back == 0 else "earlier, %s between" % ("1" if back == 1 else "2 or more")
            number, kind = setter_kind(n)
            return number, kind + ", " + where
        if n.address in targets:
            return None, "set before a branch target"
    return None, "not found"


def setter_kind(n):
    src = n.operands[0] if n.operands else None
    if n.bytes in (b"\x31\xc0", b"\x33\xc0"):
        return 0, "xor %eax,%eax"
    if n.bytes[0] == 0xB8 and n.size == 5:
        return src.imm, "mov $nr,%eax"
    if n.mnemonic.startswith("mov") and src.type == x86.X86_OP_IMM:
        return src.imm, "mov $nr,%rax"
    if n.mnemonic.startswith("mov"):
        return None, "mov %reg,%eax" if src.type == x86.X86_OP_REG else "mov mem,%eax"
    return None, "other (%s)" % n.mnemonic


def follow_shape(after):
    if not after:
        return "end"
    n = after[0]
    if n.bytes[:2] == b"\x48\x3d":
        return "cmp $imm32,%rax"
    if n.bytes[:1] == b"\x3d":
        return "cmp $imm32,%eax"
    if is_ret(n):
        return "ret"
    if is_branch(n):
        return "call" if n.mnemonic.startswith("call") else "jump"
    if not can_move(n):
        return "relative to rip"
    return n.mnemonic.rstrip("lqwb") if n.mnemonic.startswith(("mov", "test", "cmp", "xor", "neg")) else n.mnemonic


def run_after(site, have):
    """Length of the patch that starts `have` bytes before the end of the syscall and takes in what follows."""
    ended = False
    for n in site.after:
        if have >= JUMP_LEN:
            return have
        if n.address in site.targets or not (is_padding(n) if ended else can_move(n)):
            return 0
        ended = ended or is_ret(n)
        have += n.size
    return have if have >= JUMP_LEN else 0


def fits(rule, site):
    """Is the site patchable by this rule? (usage text)"""
    last = site.before[-1] if site.before else None
    if rule == "C":
        return bool(run_after(site, 2))
    if site.is_target or not last:
        return False
    if rule == "A":
        return last.size == 5 and last.bytes[0] == 0xB8
    if rule == "B":
        return last.bytes in (b"\x31\xc0", b"\x33\xc0") and bool(run_after(site, 4))
    have = 2
    for n in reversed(site.before):
        if not can_move(n) or is_ret(n):
            return False
        have += n.size
        if have >= JUMP_LEN:
            return True
        if n.address in site.targets:
            return False
    return False


def hexed(n):
    return n.bytes.hex(" ")


def exact_shape(site):
    """The bytes of the instruction before and of the one after, immediates kept."""
    before = hexed(site.before[-1]) if site.before else "-"
    if site.before and site.before[-1].bytes[0] == 0xB8:
        before = "b8 imm32"
    return "%-22s | 0f 05 | %s" % (before, " ; ".join(hexed(n) for n in enough_after(site)))


def enough_after(site):
    have = 2
    for n in site.after:
        if have >= JUMP_LEN:
            return
        have += n.size
        yield n


def build_samples(folder):
    """Static programs of each C library and language that this machine can build."""
    c = "#include <pthread.h>\n#include <netdb.h>\n#include <unistd.h>\nstatic void *f(void *u) { return u; }\n" \
        "int main(void) { pthread_t t; struct addrinfo *a; pthread_create(&t, 0, f, 0); pthread_join(t, 0);" \
        " getaddrinfo(\"localhost\", \"80\", 0, &a); return write(1, \"x\", 1) != 1; }\n"
    go = "package main\nimport (\"net\"; \"net/http\"; \"os/exec\")\nfunc main() { l, _ := net.Listen(\"tcp\", \"127.0.0.1:0\");" \
         " go http.Serve(l, nil); exec.Command(\"true\").Run() }\n"
    rust = "use std::{net::TcpListener, process::Command, thread};\nfn main() { thread::spawn(|| ()).join().unwrap();" \
           " let l = TcpListener::bind(\"127.0.0.1:0\"); println!(\"{:?} {:?}\", l, Command::new(\"true\").status()); }\n"
    for name, text, cmd in (
            ("t.c", c, ["gcc", "-O2", "-static", "-w", "-o", "glibc-static", "t.c", "-lpthread"]),
            ("t.c", c, ["musl-gcc", "-O2", "-static", "-o", "musl-static", "t.c"]),
            ("main.go", go, ["go", "build", "-o", "go-static", "main.go"]),
            ("t.rs", rust, ["rustc", "-O", "--target", "x86_64-unknown-linux-musl", "-o", "rust-musl-static", "t.rs"])):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
        try:
            subprocess.run(cmd, cwd=folder, env=os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off"}, check=True,
                           stderr=subprocess.DEVNULL, timeout=300)
            yield os.path.join(folder, cmd[cmd.index("-o") + 1])
        except (OSError, subprocess.SubprocessError) as e:
            print("left out %s: %s" % (cmd[-1], e), file=sys.stderr)


def default_files():
    lib = "/usr/lib/x86_64-linux-gnu/"
    fixed = [lib + "libc.so.6", lib + "ld-linux-x86-64.so.2", "/usr/lib/x86_64-linux-musl/libc.so", "/bin/busybox",
             "/usr/bin/python3", "/usr/bin/node", "/usr/bin/ffmpeg", "/usr/local/go/bin/go"]
    found = subprocess.run("ldd /usr/bin/ffmpeg | awk '{print $3}' | grep ^/", shell=True, text=True,
                           stdout=subprocess.PIPE).stdout.split() if os.path.exists("/usr/bin/ffmpeg") else []
    return [f for f in fixed if os.path.exists(f)], found


def survey(paths, md):
    result = {}
    for path in paths:
        try:
            sites, false = sites_of(path, md)
        except Exception as e:  # a damaged ELF file: say so and go on
            print("left out %s: %s" % (path, e), file=sys.stderr)
            continue
        if sites or false:
            result[os.path.basename(path)] = (sites, false)
    return result


def print_table(title, rows, columns):
    print("\n## %s\n" % title)
    width = max([len(r[0]) for r in rows] + [8])
    print("%-*s" % (width, "") + "".join("%*s" % (max(9, len(c) + 2), c) for c in columns))
    for name, cells in rows:
        print("%-*s" % (width, name) + "".join("%*s" % (max(9, len(c) + 2), v) for c, v in zip(columns, cells)))


def share(part, whole):
    return "%d%%" % round(100 * part / whole) if whole else "-"


def coverage_row(sites, false):
    n = len(sites)

    def by(wanted):
        return sum(any(r in wanted for r in s.rules) for s in sites)
    return [n, false, by("A"), by("B"), by("C"), by("D"), by("AB"), by("ABC"), by("CD"), share(by("A"), n), share(by("ABC"), n),
            share(by("C"), n), share(by("CD"), n), sum(s.is_target for s in sites), sum((s.addr & 4095) > 4096 - JUMP_LEN for s in sites)]


def print_shapes(title, result, key):
    counts = {name: collections.Counter(key(s) for s in sites) for name, (sites, _) in result.items()}
    order = [k for k, _ in sum(counts.values(), collections.Counter()).most_common()]
    print_table(title, [(k, [counts[n][k] or "." for n in result]) for k in order], list(result))


def print_exact(result, top=12):
    print("\n## The commonest exact bytes: before | syscall | after, to 5 bytes")
    for name, (sites, _) in result.items():
        counts = collections.Counter(exact_shape(s) for s in sites)
        print("\n%s (%d sites, %d shapes)" % (name, len(sites), len(counts)))
        for shape, n in counts.most_common(top):
            print("%6d  %s" % (n, shape))


def print_list(result, wanted):
    for name, (sites, _) in result.items():
        print("\n## %s: each site: address, function, number, rules, setter, before | after" % name)
        for s in sites:
            if wanted is None or any(w in s.func for w in wanted):
                text = " ; ".join("%s %s" % (n.mnemonic, n.op_str) for n in list(s.before[-1:])) + "  |  " + \
                    " ; ".join("%s %s" % (n.mnemonic, n.op_str) for n in enough_after(s))
                number = "-" if s.number is None else s.number
                print("%8x %-34.34s %5s %-4s %-34s %s" % (s.addr, s.func, number, s.rules or "none", s.setter, text))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--list", action="store_true", help="every site")
    ap.add_argument("--hot", action="store_true", help="sites in functions of well-known names")
    ap.add_argument("files", nargs="*")
    a = ap.parse_args()
    md = decoder()
    with tempfile.TemporaryDirectory() as folder:
        single, together = (a.files, []) if a.files else default_files()
        result = survey(list(single) + ([] if a.files else list(build_samples(folder))), md)
        libs = survey([p for p in together if os.path.basename(p) not in result], md)
    if libs:
        result["libs of ffmpeg"] = ([s for sites, _ in libs.values() for s in sites], sum(false for _, false in libs.values()))
    print_table("Sites, and how many each rule covers",
                [(n, coverage_row(*v)) for n, v in result.items()],
                ["sites", "no insn", "A", "B", "C", "D", "A+B", "A+B+C", "C+D", "A %", "A+B+C %", "C %", "C+D %", "target", "page end"])
    print("(no insn: bytes 0f 05 inside another instruction or data; target: the syscall is the target of a branch;"
          " page end: a jump put at the syscall would cross into the next page)")
    if libs:
        print("of them with sites: " + ", ".join("%s %d" % (n, len(s)) for n, (s, _) in libs.items() if s))
    print_shapes("What sets the number", result, lambda s: s.setter)
    print_shapes("What follows", result, lambda s: s.follow)
    print_shapes("Rules by which a site can be patched", result, lambda s: s.rules or "none")
    print_exact(result)
    if a.list or a.hot:
        print_list(result, None if a.list else HOT)


if __name__ == "__main__":
    main()
