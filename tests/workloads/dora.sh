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

export PATH=$VENV/bin:$PATH
. "$(dirname "$0")/dora-cases.sh"
FINISHED=Finished
prepare() { cp "$here"/python/* .; }
dora() { timeout -k 5 120 $vmrun dora "$@" < /dev/null 2>&1; }
has() { grep -q "$1" || { echo "no '$1'"; return 1; }; }
help() { dora --help > said && has coordinator < said && dora --version | has dora; }
up() { dora up | tee said && has 'started dora daemon' < said; }
attached() { # twenty messages through three nodes, every other one in shared memory
	rm -f sink.out
	dora start count.yml --attach > said || { why; return 1; }
	for n in source double sink; do has "$n finished successfully" < said || return 1; done
	summed
}
logs() { within 80 sh -c "timeout 60 $vmrun dora logs ticking --node ticks < /dev/null 2>&1 | grep -q 'tick [0-9]'"; }
latency() { latency_of 8 4096 65536 1048576 4194304 41943040; }
down() { over down; }
run_cases help up attached detached logs stop finishes latency down
