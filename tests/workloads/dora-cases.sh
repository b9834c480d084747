# SPDX-License-Identifier: MIT
# What dora.sh and dora-crates.sh do alike, whichever Dora it is: sourced by them, after lib.sh. `dora` is a command of its own each
# time, natively if $vmrun is empty. FINISHED: the state in which `dora list` shows a dataflow that has ended.
export XDG_RUNTIME_DIR=$scratch/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
ip link set lo up
within() { for _ in $(seq "$1"); do if "${@:2}"; then return 0; fi; sleep 0.5; done; echo "not within $1 rounds: ${*:2}"; return 1; } # rounds of half a second or more
is_listed() { [ "$(dora list | awk -v name="$1" '$2 == name { print $3 }')" = "$2" ]; }
why() { grep -A 1 ERROR said | tail -n 1; }
summed() { [ "$(cat sink.out)" = "20 99999000180" ] || { echo "wrong: $(cat sink.out)"; return 1; }; }
detached() { dora start forever.yml --detach --name ticking > said || { why; return 1; }; within 160 is_listed ticking Running; }
stop() { dora stop --name ticking > said || { why; return 1; }; within 160 is_listed ticking "$FINISHED"; }
finishes() { # the command that started it is gone; another one sees the end
	rm -f sink.out
	dora start count.yml --detach --name counting > said || { why; return 1; }
	within 240 is_listed counting "$FINISHED" && summed
}
latency_of() { # SIZE...
	dora start latency.yml --attach > said || { why; return 1; }
	# Dora drops what a busy receiver has no room for: some of each size must come, with the right bytes.
	[ "$(awk '{ print $1 }' latency.out | tr '\n' ' ')" = "$* " ] || { tr '\n' ' ' < latency.out; return 1; }
}
over() { dora "$1" > said || { why; return 1; }; ! dora list > said; }
# Each case natively and under vmrun, in a directory of its own that `prepare` fills; then the latencies.
run_cases() {
	for kind in native vmrun; do
		mkdir "$scratch/$kind"
		cd "$scratch/$kind" || exit 2
		prepare
		vmrun=
		[ $kind = native ] || vmrun="$VMRUN --name dora"
		for c; do holds $kind-"$c" "$c"; done
	done
	echo "latency, microseconds, medians: bytes, native, vmrun, ratio"
	join <(awk '{ print $1, $3 }' "$scratch/native/latency.out" | sort) <(awk '{ print $1, $3 }' "$scratch/vmrun/latency.out" | sort) | sort -n | awk '{ printf "%10d %8d %8d %6.2f\n", $1, $2, $3, $3 / $2 }'
	finish
}
