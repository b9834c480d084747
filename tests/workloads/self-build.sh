#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# vmrun builds itself inside vmrun, and what it built passes its unit tests there. usage: self-build.sh SOURCES [whole]
# Without `whole`: meson's set-up of everything, then a few of the test programs with the libraries under them.
. "$(dirname "$0")/lib.sh"
sources=$1
some="tests/unit/base/unit_base_uio tests/unit/mm/unit_mm_fork tests/unit/mm/unit_mm_usercopy tests/unit/vfs/unit_vfs_pipe"
mkdir "$scratch/src"
tar -C "$sources" --exclude='./build*' --exclude=./.git -cf - . | tar -C "$scratch/src" -xf - || exit 2
cd "$scratch/src" || exit 2
export CCACHE_DISABLE=1 # it is the compiler that is to run
inside() { timeout -k 5 "$LIMIT" "$VMRUN" --new sh -c "$1" > "$scratch/inside" 2>&1 || { tail -n 20 "$scratch/inside"; return 1; }; }

LIMIT=300
holds set-up inside 'meson setup b'
if [ "${2:-}" = whole ]; then
	LIMIT=7200
	holds whole-build inside 'ninja -C b'
	holds unit-tests inside 'meson test -C b --no-rebuild --suite unit --timeout-multiplier 5'
else
	LIMIT=1200
	holds libraries-and-tests inside "ninja -C b $some"
	# At once, and again: they want large pieces of memory, which change hands among them.
	holds tests-pass inside "cd b; for round in 1 2 3; do pids=; for t in $some $some; do ./\$t & pids=\"\$pids \$!\"; done; for p in \$pids; do wait \$p || exit 1; done; done"
fi
finish
