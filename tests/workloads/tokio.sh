#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Programs on tokio (tokio/src/bin): debug and release builds, glibc and static musl, each natively first and then under vmrun, where every program is a command of its
# own that joins one instance. What is typed and what is then seen: tokio/drive.py. Runs in a network namespace of its own, where the tap's host side is 10.0.2.2.
# Needs: cargo and its musl target (left out where it is missing), crates.io the first time; python3 busybox-static iproute2 util-linux. Built below $TARGET.
. "$(dirname "$0")/lib.sh"
here=$(realpath "$(dirname "$0")")
export CARGO_TARGET_DIR=${TARGET:-$(dirname "$VMRUN")/tests/workloads/tokio}
musl=x86_64-unknown-linux-musl

build() { # OPTION...
	(cd "$here/tokio" && nice cargo build --locked --offline --quiet "$@") && return
	(cd "$here/tokio" && nice cargo build --locked --quiet "$@") # the first time: from the registry
}

if [ -z "${IN_NAMESPACE:-}" ]; then
	command -v cargo > /dev/null || PATH=$PATH:$HOME/.cargo/bin
	command -v cargo > /dev/null || { echo "skipped: there is no cargo (https://rustup.rs)"; exit 77; }
	[ -e /dev/net/tun ] || { echo "skipped: there is no /dev/net/tun"; exit 77; }
	(cd "$here/tokio" && cargo fetch --locked --offline --quiet 2> /dev/null || cargo fetch --locked --quiet) || { echo "skipped: cargo cannot fetch the crates"; exit 77; }
	builds="debug release"
	build && build --release || exit 1
	if [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
		build --target $musl && build --release --target $musl || exit 1
		builds="$builds $musl/debug $musl/release"
	else
		echo "without static programs: no target $musl (rustup target add $musl)"
	fi
	root=; [ "$(id -u)" = 0 ] || root=--map-root-user
	rm -rf "$scratch"
	IN_NAMESPACE=1 exec unshare --net $root bash "$0" $builds
fi

export XDG_RUNTIME_DIR=$scratch/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
ip link set lo up
drive() { # KIND PROGRAMS CASE [VMRUN ARG...]: the transcript in $scratch/KIND.out
	mkdir -p "$scratch/$1"
	(cd "$scratch/$1" && timeout -k 5 400 /usr/bin/python3 "$here/tokio/drive.py" "${@:2}" > "$scratch/$1.out" 2>&1)
}
for b; do
	for c in chat hello_world tinyhttp print_each_packet echo_udp echo echo_outside proxy tinydb udp_codec batch detached; do
		if ! drive native "$CARGO_TARGET_DIR/$b" $c; then verdict "$b-$c" 1 "natively: $(tail -n 1 "$scratch/native.out")"
		elif ! drive vmrun "$CARGO_TARGET_DIR/$b" $c "$VMRUN" --name tokio --net tap; then verdict "$b-$c" 1 "$(tail -n 1 "$scratch/vmrun.out" | cut -c1-300)"
		else diff "$scratch/native.out" "$scratch/vmrun.out" > "$scratch/diff"; verdict "$b-$c" $? "$(head -n 4 "$scratch/diff" | cut -c1-300)"; fi
	done
done
finish
