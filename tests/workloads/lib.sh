# Acceptance helpers: every case runs natively first (Linux is the oracle), then under vmrun; output and exit status must be equal.
# SPDX-License-Identifier: MIT
set -u
VMRUN=${VMRUN:-$PWD/build/vmrun}
[ -x "$VMRUN" ] || { echo "no vmrun at $VMRUN: build first, or set VMRUN" >&2; exit 2; }
LIMIT=${LIMIT:-180}
passed=0 failed=0
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
verdict() { # name ok detail
	if [ "$2" = 0 ]; then passed=$((passed + 1)); echo "ok      $1"; else failed=$((failed + 1)); echo "FAILED  $1: ${3:-}"; fi
}
# same_status: as same, but only the exit status counts (for programs whose output has times or addresses in it)
same_status() { only_status=1 same "$@"; }
same() {
	local name=$1 input=/dev/null; shift
	[ "${1:-}" = -i ] && { printf '%b' "$2" > "$scratch/in"; input=$scratch/in; shift 2; }
	local d
	for d in native vmrun; do rm -rf "$scratch/cwd.$d"; mkdir "$scratch/cwd.$d"; done
	(cd "$scratch/cwd.native" && timeout -k 5 "$LIMIT" "$@" < "$input" > "$scratch/out.native" 2> "$scratch/err.native") 2> /dev/null; local want=$?
	(cd "$scratch/cwd.vmrun" && timeout -k 5 "$LIMIT" "$VMRUN" --new ${VMRUN_FLAGS:-} "$@" < "$input" > "$scratch/out.vmrun" 2> "$scratch/err.vmrun") 2> /dev/null; local got=$?
	if [ $want != $got ]; then verdict "$name" 1 "exit $got, natively $want; $(tail -n 1 "$scratch/err.vmrun" | cut -c1-200)"
	elif [ "${only_status:-0}" = 1 ]; then verdict "$name" 0
	elif ! cmp -s "$scratch/out.native" "$scratch/out.vmrun"; then verdict "$name" 1 "output differs: $(diff "$scratch/out.native" "$scratch/out.vmrun" | head -n 3 | tr '\n' '|' | cut -c1-200)"
	elif ! diff -r "$scratch/cwd.native" "$scratch/cwd.vmrun" > "$scratch/tree.diff" 2>&1; then verdict "$name" 1 "files differ: $(head -n 2 "$scratch/tree.diff" | tr '\n' '|')"
	else verdict "$name" 0; fi
}
holds() { local name=$1; shift; if "$@" > "$scratch/holds" 2>&1; then verdict "$name" 0; else verdict "$name" 1 "$(tail -n 1 "$scratch/holds" | cut -c1-200)"; fi; }
finish() { echo "$passed passed, $failed failed"; [ $failed = 0 ]; }
