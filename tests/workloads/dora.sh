#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Dora as PyPI has it today: coordinator and daemon in the background, dataflows of Python nodes, each `dora` a command of its own; natively first, then under vmrun,
# where all of them are in one instance. Ends with the latencies of messages from 8 bytes to 40 MiB beside native ones (which decide nothing here: the machine may be busy).
# Needs (Debian): python3-venv iproute2 util-linux; root; PyPI the first time. The wheels stay in $VENV (450 MB).
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")/dora
VENV=${VENV:-$(dirname "$VMRUN")/tests/workloads/dora}

if [ -z "${IN_NAMESPACE:-}" ]; then # the native coordinator has fixed ports, and what it leaves must end with the test
	[ "$(id -u)" = 0 ] || { echo "skipped: not root"; exit 77; }
	if ! cmp -s "$here/requirements.txt" "$VENV/installed"; then
		rm -rf "$VENV"
		/usr/bin/python3 -m venv "$VENV" || { echo "skipped: no python3-venv"; exit 77; }
		"$VENV/bin/pip" install -q --disable-pip-version-check -r "$here/requirements.txt" || { echo "skipped: pip cannot install $(tr '\n' ' ' < "$here/requirements.txt")"; exit 77; }
		cp "$here/requirements.txt" "$VENV/installed"
	fi
	rm -rf "$scratch"
	IN_NAMESPACE=1 VENV=$(realpath "$VENV") exec unshare --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi

export PATH=$VENV/bin:$PATH XDG_RUNTIME_DIR=$scratch/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
ip link set lo up
dora() { timeout -k 5 120 $vmrun dora "$@" < /dev/null 2>&1; }
listed() { dora list | awk -v name="$1" '$2 == name { print $3 }'; }
within() { for _ in $(seq "$1"); do if "${@:2}"; then return 0; fi; sleep 0.5; done; echo "not within $1 rounds: ${*:2}"; return 1; }
is_listed() { [ "$(listed "$1")" = "$2" ]; }
why() { grep -A 1 ERROR said | tail -n 1; }
has() { grep -q "$1" || { echo "no '$1'"; return 1; }; }
help() { dora --help > said && has coordinator < said && dora --version | has dora; }
up() { dora up | tee said && has 'started dora daemon' < said; }
attached() { # twenty messages through three nodes, every other one in shared memory
	rm -f sink.out
	dora start count.yml --attach > said || { why; return 1; }
	for n in source double sink; do has "$n finished successfully" < said || return 1; done
	[ "$(cat sink.out)" = "20 99999000180" ] || { echo "wrong: $(cat sink.out)"; return 1; }
}
detached() {
	dora start forever.yml --detach --name ticking > said || { why; return 1; }
	within 40 is_listed ticking Running
}
logs() { within 20 sh -c "timeout 60 $vmrun dora logs ticking --node ticks < /dev/null 2>&1 | grep -q 'tick [0-9]'"; }
stop() { dora stop --name ticking > said || { why; return 1; }; within 40 is_listed ticking Finished; }
finishes() { # the command that started it is gone; another one sees the end
	rm -f sink.out
	dora start count.yml --detach --name counting > said || { why; return 1; }
	within 60 is_listed counting Finished && [ "$(cat sink.out)" = "20 99999000180" ]
}
latency() {
	dora start latency.yml --attach > said || { why; return 1; }
	# Dora drops what a busy receiver has no room for: some of each size must come, with the right bytes.
	[ "$(awk '{ print $1 }' latency.out | tr '\n' ' ')" = "8 4096 65536 1048576 4194304 41943040 " ] || { tr '\n' ' ' < latency.out; return 1; }
}
down() { dora down > said || { why; return 1; }; ! dora list > said; }

for kind in native vmrun; do
	mkdir "$scratch/$kind"
	cd "$scratch/$kind" || exit 2
	cp "$here"/python/* .
	vmrun=
	[ $kind = native ] || vmrun="$VMRUN --name dora"
	for c in help up attached detached logs stop finishes latency down; do holds $kind-$c $c; done
done
echo "latency, microseconds, medians: bytes, native, vmrun, ratio"
join <(awk '{ print $1, $3 }' "$scratch/native/latency.out" | sort) <(awk '{ print $1, $3 }' "$scratch/vmrun/latency.out" | sort) | sort -n | awk '{ printf "%10d %8d %8d %6.2f\n", $1, $2, $3, $3 / $2 }'
finish
