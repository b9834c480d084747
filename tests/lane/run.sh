#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The hardware lane: the platform test and the semantics tests of a build directory, run by vmrun on a
# machine with hardware KVM semantics (machine.sh). What TCG cannot do is listed with its reason.
# usage: run.sh BUILD_DIR [TEST...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
# TCG raises neither #XM nor #AC; parallel spinning between CPUs takes seconds under thread=single.
skip=' '
work=$(mktemp -d)
chmod 755 "$work" # it becomes /t, where programs run as somebody else too
trap 'rm -rf "$work"' EXIT
cp "$build/vmrun" "$work/vmrun"
[ ! -x "$build/tests/unit/vmm/test_platform" ] || cp "$build/tests/unit/vmm/test_platform" "$work/platform"
for t in "$build"/tests/semantics/test_*; do
	name=${t##*/}
	[ -x "$t" ] && [ -f "$t" ] || continue
	case $skip in *" $name "*) continue ;; esac
	[ $# = 0 ] || case " $* " in *" $name "*) ;; *) continue ;; esac
	cp "$t" "$work/"
done
cat > "$work/all.sh" <<'IN'
export VMRUN_TEST_TCG=1 # the processor is QEMU's: see tests/lib/needs.h
passed=0 failed=0
one() { # NAME COMMAND...
	name=$1; shift
	mkdir -p /tmp/cwd; cd /tmp/cwd
	timeout 300 "$@" > /tmp/out 2>&1 < /dev/null
	status=$?
	if [ $status = 0 ]; then passed=$((passed + 1)); else
		failed=$((failed + 1)); echo "FAIL $name: status $status"; grep -E "FAILED|LINE|ERROR|vmrun:" /tmp/out | head -n 8; tail -n 2 /tmp/out; fi
	cd /t; rm -rf /tmp/cwd
}
[ ! -x ./platform ] || one platform /t/platform
for t in test_*; do one "$t" /t/vmrun --new "/t/$t"; done
# What rewriting of call sites touches, whatever the measurement at start-up says of TCG.
for t in test_sites test_mixed_calls; do
	for how in always never; do [ ! -x $t ] || one "$t --rewrite=$how" /t/vmrun --new --rewrite=$how "/t/$t"; done
done
/t/vmrun --new --verbose /bin/busybox true 2>&1 | grep rewritten ||:
echo "$passed passed, $failed failed"
[ $failed = 0 ]
IN
"$here/machine.sh" -m 3072 -t 1500 "$work" sh ./all.sh
