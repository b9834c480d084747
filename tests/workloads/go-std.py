#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Go's own tests of its standard library, natively and under vmrun: what passes natively has to pass. Some 8000 cases; a case that
needs a namespace, a mount or Multipath TCP may be skipped. usage: go-std.py VMRUN [PACKAGE...]. Needs: go with its sources."""
import os, re, shutil, subprocess, sys, tempfile

PACKAGES = ["os/user", "io/fs", "path/filepath", "internal/poll", "os", "os/exec", "os/signal", "syscall", "time", "sync", "net", "net/http",
            "runtime/pprof"]
LIMIT = 300  # seconds a package


def go():
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not found:
        print("skipped: there is no go")
        sys.exit(77)
    return found


def results(command, directory):
    run = subprocess.run(["timeout", "-k", "5", str(LIMIT + 10), *command, "-test.v", "-test.short", f"-test.timeout={LIMIT}s"], cwd=directory,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = run.stdout.decode(errors="replace")
    return {m.group(2): m.group(1) for m in re.finditer(r"^\s*--- (PASS|FAIL|SKIP): (\S+)", text, re.M)}


def main():
    vmrun, packages = os.path.abspath(sys.argv[1]), sys.argv[2:] or PACKAGES
    tool = go()
    root = subprocess.run([tool, "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for package in packages:
            program, source = os.path.join(scratch, package.replace("/", "_") + ".test"), os.path.join(root, "src", package)
            subprocess.run(["nice", tool, "test", "-c", "-o", program, package], cwd=os.path.join(root, "src"), check=True)
            native, inside = results([program], source), results([vmrun, "--new", program], source)
            wrong = [name for name, said in native.items() if said == "PASS" and inside.get(name, "FAIL") == "FAIL"]
            skipped = [name for name, said in native.items() if said == "PASS" and inside.get(name) == "SKIP"]
            print(f"{'FAILED' if wrong else 'ok':7} {package}: {len(native)} cases; skipped only inside: {' '.join(skipped) or 'none'}", flush=True)
            for name in wrong:
                print(f"        {name}: {inside.get(name, 'no result')}, natively PASS", flush=True)
            passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
