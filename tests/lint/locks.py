#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Locks: clang checks the annotations of emul/base/mutex.h (a lock that is not held, or still held at the end of a function) in all that
vmrun is made of. Nothing is compiled. usage: locks.py BUILD_DIR"""
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

build = sys.argv[1]
clang = shutil.which("clang")
if not clang:
    print("skipped: no clang")
    sys.exit(77)


def check(source, command):
    keep = [a for a in shlex.split(command) if re.match(r"-(I|D|isystem|std=)", a)]
    # precise: a lock that is held by another name of its owner
    argv = [clang, "-fsyntax-only", *keep, "-Wno-everything", "-Wthread-safety", "-Wno-thread-safety-precise", "-Werror", source]
    return subprocess.run(argv, cwd=build, capture_output=True, text=True)


units = {c["file"]: c["command"] for c in json.load(open(os.path.join(build, "compile_commands.json")))
         if re.match(r"(emul|vmm|tools)/", os.path.relpath(os.path.join(build, c["file"]), os.environ["MESON_SOURCE_ROOT"]))}
assert len(units) > 100, "no sources: has the form of compile_commands.json changed?"
wrong = 0
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for r in pool.map(check, units.keys(), units.values()):
        if r.returncode or r.stderr:
            wrong += 1
            print(r.stderr)
print(len(units), "files,", wrong, "wrong")
sys.exit(wrong > 0)
