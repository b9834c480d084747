#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Dora's 0.3 series from crates.io: the `dora` command as cargo builds it, a dataflow of Rust nodes (dora/rust), and a latency benchmark with payloads from 8 bytes
# to 40 MiB, large ones in shared memory. Natively first, then under vmrun, every `dora` a command of its own in one instance. Takes an hour to build the first time.
# Needs: cargo, crates.io, iproute2 util-linux, root. Built below $TARGET.
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")/dora/rust
version=0.3.13
export CARGO_TARGET_DIR=${TARGET:-$(dirname "$VMRUN")/tests/workloads/dora-crates}

if [ -z "${IN_NAMESPACE:-}" ]; then # the native coordinator has fixed ports, and what it leaves must end with the test
	[ "$(id -u)" = 0 ] || { echo "skipped: not root"; exit 77; }
	command -v cargo > /dev/null || PATH=$PATH:$HOME/.cargo/bin
	command -v cargo > /dev/null || { echo "skipped: there is no cargo (https://rustup.rs)"; exit 77; }
	export CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_LTO=off
	[ -x "$CARGO_TARGET_DIR/cli/bin/dora" ] ||
		nice -n 10 cargo install --quiet --locked --root "$CARGO_TARGET_DIR/cli" dora-cli --version $version || exit 1
	(cd "$here" && nice -n 10 cargo build --quiet --locked --release) || exit 1
	rm -rf "$scratch"
	IN_NAMESPACE=1 exec unshare --net --pid --fork --kill-child --mount-proc bash "$0" "$@"
fi

export PATH=$CARGO_TARGET_DIR/cli/bin:$PATH
. "$(dirname "$0")/dora-cases.sh"
FINISHED=Succeeded
prepare() {
	cp "$here"/*.yml .
	for n in source double sink ticks sender receiver; do cp "$CARGO_TARGET_DIR/release/$n" .; done
}
dora() { timeout -k 5 200 $vmrun dora "$@" < /dev/null 2>&1; }
has() { grep -q "$1" said || { echo "no '$1'"; return 1; }; }
version() { dora --version > said && has "$version" && dora -h > said && has coordinator; }
up() { dora up > said && has 'started dora daemon' && dora check > said && has 'Daemon: ok'; }
attached() { # twenty messages through three nodes, every other one in shared memory
	rm -f sink.out
	dora start count.yml --attach > said || { why; return 1; }
	has "finished successfully" || return 1 # which of the last lines come before the command has its result is chance
	summed
}
ticked() { dora logs ticking ticks | grep -q 'tick [0-9]'; }
logs() { within 20 ticked; }
latency() { latency_of 8 512 4096 65536 1048576 4194304 41943040; }
destroy() { over destroy; }
run_cases version up attached detached logs stop finishes latency destroy
