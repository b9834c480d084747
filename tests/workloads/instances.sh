#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Instances that commands join: their life, what each command has of its own, races, and what is left of a killed one.
. "$(dirname "$0")/lib.sh"
export XDG_RUNTIME_DIR=$scratch/run
VMCTL=${VMCTL:-$(dirname "$VMRUN")/vmctl}
mkdir -m 700 "$XDG_RUNTIME_DIR"
dir=$XDG_RUNTIME_DIR/vmrun
here=$(realpath "$(dirname "$0")")

run() { # NAME ARG...: joins the instance of that name
	local n=$1; shift
	timeout -k 5 180 "$VMRUN" --name "$n" "$@"
}
ctl() { local n=$1; shift; timeout -k 5 180 "$VMCTL" --name "$n" "$@"; }
instance_pid() { ctl "$1" --json stats | sed -n 's/^  "pid": \([0-9]*\).*/\1/p'; }
gone() { # nobody listens as NAME; long before the time-out
	for _ in $(seq 600); do [ -e "$dir/$1.sock" ] || return 0; sleep 0.1; done
	echo "$1 still runs"; return 1
}
is() { [ "$1" = "$2" ] || { echo "'$1' instead of '$2'"; return 1; }; }
trap 'for s in "$dir"/*.sock; do [ -e "$s" ] && n=$(basename "$s" .sock) && ctl "$n" stop --force > /dev/null 2>&1; done; rm -rf "$scratch"' EXIT

status_comes_back() {
	run a true; is $? 0 || return 1
	run a sh -c 'exit 7'; is $? 7 || return 1
	run a sh -c 'kill -TERM $$' 2> /dev/null; is $? 143 || return 1
	run a no-such-program 2> /dev/null; is $? 127 || return 1
	run a $'\xffno-such' 2> "$scratch/err"; is "$? $(cat "$scratch/err")" "127 vmrun: ?no-such: not found along PATH: give its path, or set PATH" || return 1
	run a "$scratch" 2> /dev/null; is $? 126 || return 1
	gone a
}

joins() {
	local second
	run b sh -c 'echo shared > /tmp/only-in-memory; until [ -e /tmp/seen ]; do sleep 0.05; done' & first=$!
	for _ in $(seq 600); do second=$(run b cat /tmp/only-in-memory 2> /dev/null) && break; sleep 0.1; done
	is "$second" shared || return 1
	[ ! -e /tmp/only-in-memory ] || return 1
	run b sh -c 'echo > /tmp/seen'
	wait $first; is $? 0 && gone b
}

daemon_outlives() {
	run c sh -c 'sleep 1000 > /dev/null 2>&1 & echo $!' > "$scratch/pid" || return 1
	ctl c ps | grep -q 'sh\|sleep' || { echo "the daemon is gone"; return 1; }
	is "$(run c sh -c "kill -0 $(cat "$scratch/pid") && echo alive")" alive || return 1
	ctl c kill "$(cat "$scratch/pid")" && gone c
}

each_has_its_own() { # directory (writable for real), umask, environment, descriptors, limits
	mkdir -p "$scratch/x" "$scratch/y"
	(cd "$scratch/x" && run d sh -c 'sleep 1000 > /dev/null 2>&1 &') || return 1
	(cd "$scratch/y" && umask 027 && MINE=5 run d sh -c 'pwd; umask; echo $MINE; echo there > file; cat <&4' 4< <(echo four)) > "$scratch/own" || return 1
	is "$(tr '\n' ' ' < "$scratch/own")" "$scratch/y 0027 5 four " || return 1
	is "$(cat "$scratch/y/file")" there || return 1
	is "$(stat -c %a "$scratch/y/file")" 640 || return 1
	rm -rf "$scratch/y"; mkdir "$scratch/y"
	(cd "$scratch/y" && run d sh -c 'echo again > file') && is "$(cat "$scratch/y/file" 2>&1)" again || return 1
	is "$( (ulimit -n 99; run d sh -c 'ulimit -n') )" 99 || return 1
	ctl d stop && gone d
}

pipes() {
	head -c 3000000 /dev/urandom > "$scratch/data"
	is "$(run e cat < "$scratch/data" | run e md5sum | cut -d' ' -f1)" "$(md5sum < "$scratch/data" | cut -d' ' -f1)" || return 1
	is "$(run e sh -c 'echo out; echo err >&2' 2>&1 > /dev/null)" err || return 1
	# who reads a command's output sees its end, though the instance goes on
	is "$(timeout 180 "$VMRUN" --name e sh -c 'sleep 1000 > /dev/null 2>&1 & echo done' | cat)" done || return 1
	ctl e stop && gone e
}

ten_at_once() {
	local i pids=() wrong=0
	for i in $(seq 10); do run f sh -c "until [ -e /tmp/go ]; do sleep 0.05; done; echo $i" > "$scratch/ten.$i" & pids+=($!); done
	for _ in $(seq 600); do [ "$(ctl f ps 2> /dev/null | grep -c ' sh$')" = 10 ] && break; sleep 0.1; done
	is "$("$VMCTL" --json list | grep -c '"name": "f"')" 1 || wrong=1
	run f sh -c 'echo > /tmp/go'
	for i in $(seq 10); do wait "${pids[i - 1]}" || wrong=1; is "$(cat "$scratch/ten.$i")" "$i" || wrong=1; done
	[ $wrong = 0 ] && gone f
}

one_after_the_other() { # each meets the end of the one before
	for i in $(seq 25); do is "$(run g echo "$i")" "$i" || return 1; done
	gone g
}

killed_instance() {
	run h sleep 1000 2> "$scratch/err" & local client=$!
	for _ in $(seq 600); do pid=$(instance_pid h 2> /dev/null) && [ -n "$pid" ] && ctl h ps 2> /dev/null | grep -q sleep && break; sleep 0.1; done
	kill -9 "$pid" || return 1
	wait $client; is $? 125 || return 1
	grep -q 'instance ended' "$scratch/err" || { cat "$scratch/err"; return 1; }
	[ -e "$dir/h.sock" ] || { echo "no stale socket: nothing is tested"; return 1; }
	is "$(ctl h ps 2>&1)" "vmctl: no instance 'h' runs" || return 1
	is "$(run h echo anew)" anew && gone h
}

killed_client() { # as a closed terminal
	"$VMRUN" --name i sh -c 'setsid sleep 30000 > /dev/null 2>&1 & exec sleep 40000' & local client=$!
	for _ in $(seq 600); do
		ctl i ps -f > "$scratch/ps" 2> /dev/null && grep -q 'sleep 40000' "$scratch/ps" && ! grep -q setsid "$scratch/ps" && break
		sleep 0.1
	done
	kill -9 $client
	for _ in $(seq 600); do ctl i ps -f | grep -q 'sleep 40' || break; sleep 0.1; done
	ctl i ps -f > "$scratch/ps"
	grep -q 'sleep 40' "$scratch/ps" && { echo "the program did not hear of it"; return 1; }
	grep -q 'sleep 30' "$scratch/ps" || { echo "what was detached is gone"; return 1; }
	ctl i stop && gone i
}

signals() {
	local s got
	for s in TERM INT HUP USR1 QUIT; do
		rm -f "$scratch/ready"
		(cd "$scratch" && exec env --default-signal=INT,QUIT "$VMRUN" --name j sh -c "trap 'echo got $s; exit 9' $s; touch ready; while :; do sleep 0.1; done") > "$scratch/sig" & local client=$!
		for _ in $(seq 600); do [ -e "$scratch/ready" ] && break; sleep 0.1; done
		kill -$s $client; wait $client; got=$?
		is "$(cat "$scratch/sig") $got" "got $s 9" || return 1
	done
	gone j
}

inherited() { # ignored and blocked signals, descriptors beyond what one message takes; not the limits of whoever came first
	local how
	for how in "--new" "--name t"; do
		timeout -k 5 180 env --ignore-signal=HUP,PIPE,USR2 --block-signal=USR1,RTMIN "$VMRUN" $how grep -E 'Sig(Blk|Ign)' /proc/self/status > "$scratch/mine" || return 1
		is "$(tr -d '\n\t' < "$scratch/mine")" "SigBlk:0000000200000200SigIgn:0000000000001801" || return 1
		python3 - "$scratch/mine" "$VMRUN" $how <<- 'EOF' || return 1
			import os, resource, subprocess, sys
			resource.setrlimit(resource.RLIMIT_NOFILE, (2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
			fds = [os.open("/dev/null", os.O_RDONLY) for i in range(700)]
			r = subprocess.run([*sys.argv[2:], "python3", "-c", "import os; print(len(os.listdir('/proc/self/fd')))"], stdout=subprocess.PIPE, pass_fds=fds, timeout=180)
			assert r.returncode == 0 and int(r.stdout) == 704, r
		EOF
	done
	# a message that the instance is gone goes to nobody, and not into its socket
	(run t no-such-program 0<&- 1>&- 2>&-); is $? 127 && gone t || return 1
	(set -o pipefail; ulimit -S -n 40; ulimit -S -t 1; ulimit -S -v 600000; ulimit -S -f 1; run t sh -c 'ulimit -n; sleep 1000 > /dev/null 2>&1 &' | cat > "$scratch/mine") && is "$(cat "$scratch/mine")" 40 || return 1
	# too few for an instance, and nobody may raise that: in one line and at once; nothing stays
	(ulimit -n 20; "$VMRUN" --name "t$$" true) 2> "$scratch/err" || { grep -q 'permit more (ulimit -n)' "$scratch/err" && [ ! -e "$dir/t$$.sock" ]; } || { cat "$scratch/err"; return 1; }
	(cd "$scratch" && run t sh -c 'head -c 100000 /dev/zero > written && ulimit -f') > "$scratch/mine" || return 1
	is "$(stat -c %s "$scratch/written") $(cat "$scratch/mine")" "100000 $(ulimit -f)" || return 1
	run t python3 -c 'import time
while time.process_time() < 1.5: pass' && ctl t stop && gone t
}

hung() { # an instance that does not answer keeps nobody from the others, nor from going away
	local pid client
	run u sh -c 'sleep 1000 > /dev/null 2>&1 &' && run v sh -c 'sleep 1000 > /dev/null 2>&1 &' && pid=$(instance_pid u) && kill -STOP "$pid" || return 1
	timeout 180 "$VMCTL" list > "$scratch/list"; timeout 180 "$VMCTL" --json list > "$scratch/json"
	env --default-signal=INT "$VMRUN" --name u true & client=$!
	until [ "$(cat /proc/$client/comm)" = vmrun ]; do sleep 0.05; done
	kill -INT $client; wait $client; is $? 130; client=$?
	kill -CONT "$pid"
	is $client 0 && grep -q '^u  *does not answer' "$scratch/list" && grep -q '^v  *[0-9]' "$scratch/list" || { cat "$scratch/list"; return 1; }
	python3 -c 'import json, sys; l = {i["name"]: i for i in json.load(open(sys.argv[1]))}; assert "error" in l["u"] and l["v"]["processes"] == 1' "$scratch/json" || return 1
	"$VMCTL" list > /dev/full 2> /dev/null; is $? 1 || return 1
	is "$(run u echo back)" back && ctl u stop && ctl v stop && gone u && gone v
}

contradictions() {
	mkdir -p "$scratch/v"
	run k --memory 256M --net loopback --volume "$scratch/v:/v" sh -c 'sleep 1000 > /dev/null 2>&1 &' || return 1
	run k --memory 256M true || return 1
	run k --volume "$scratch/v:/v" true || return 1
	run k --memory 512M true 2> "$scratch/err"; is $? 125 || return 1
	is "$(wc -l < "$scratch/err")" 1 && grep -q -- '--memory: instance .k. already runs' "$scratch/err" || { cat "$scratch/err"; return 1; }
	for o in "--net user" "--rootfs $scratch/v" "--no-rewrite" "--volume $scratch/v:/w"; do
		run k $o true 2> /dev/null; is $? 125 || { echo "$o"; return 1; }
	done
	timeout 180 "$VMRUN" --name k --new true 2> /dev/null; is $? 125 || return 1
	timeout 180 "$VMRUN" --name ../k true 2> /dev/null; is $? 125 || return 1
	ctl k stop && gone k
}

control() {
	run l sh -c 'trap "" TERM; sleep 1000 > /dev/null 2>&1 & exec sleep 1000' & local client=$!
	for _ in $(seq 600); do [ "$(ctl l ps 2> /dev/null | grep -c sleep)" = 2 ] && break; sleep 0.1; done
	ctl l ps -f | grep -q 'sleep 1000' || return 1
	ctl l stats | grep -q '^calls' || return 1
	ctl l --json stats | python3 -c 'import json, sys; s = json.load(sys.stdin); assert s["processes"] == 2 and s["exits"] > 0 and s["memory"]["total"] > 0' || return 1
	ctl l --json ps | python3 -c 'import json, sys; assert [p["name"] for p in json.load(sys.stdin)] == ["sleep", "sleep"]' || return 1
	"$VMCTL" list | grep -q '^l ' || return 1
	ctl l logs > /dev/null || return 1
	ctl l kill 99999999 2> /dev/null; is $? 1 || return 1
	ctl l stop 2> /dev/null; is $? 1 || return 1
	ctl l stop --force || return 1
	wait $client; is $? 137 && gone l
}

directories_go_with_their_programs() { # and not before the last of them
	local i
	mkdir -p "$scratch/keep"
	(cd "$scratch/keep" && run p sh -c 'cd /; (until [ -e /tmp/go ]; do sleep 0.05; done; echo real > '"$scratch"'/keep/file; exec sleep 1000) > /dev/null 2>&1 &') || return 1
	for i in $(seq 12); do mkdir -p "$scratch/gone.$i"; (cd "$scratch/gone.$i" && run p sh -c 'echo > file') || return 1; done
	(cd / && run p cat /proc/mounts) > "$scratch/mounts" || return 1
	grep -q "^$scratch/keep " "$scratch/mounts" || { echo "what a program still uses is not there"; return 1; }
	[ "$(grep -c "^$scratch/gone" "$scratch/mounts")" -le 1 ] || { echo "directories of ended programs are still there"; return 1; }
	[ -e "$scratch/gone.1/file" ] && [ -e "$scratch/gone.12/file" ] || return 1
	run p sh -c 'echo > /tmp/go'
	for i in $(seq 600); do [ -e "$scratch/keep/file" ] && break; sleep 0.1; done
	is "$(cat "$scratch/keep/file" 2>&1)" real && ctl p stop && gone p
}

everything_in_json() {
	local c
	run q sh -c 'sleep 1000 > /dev/null 2>&1 & echo $!' > "$scratch/pid" || return 1
	for c in list ps stats logs "kill $(cat "$scratch/pid") 0" stop; do
		ctl q --json $c > "$scratch/json" && python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$scratch/json" || { echo "$c"; return 1; }
	done
	gone q || return 1
	# of the last one of that name, and the part before it
	printf 'older\n' > "$dir/q.log.1"; printf 'newer\n' > "$dir/q.log"
	is "$(ctl q logs | tr '\n' ' ')" "older newer " && is "$(ctl q --json logs | tr -d ' \n')" '["older","newer"]' || return 1
	run q sh -c 'sleep 1000 > /dev/null 2>&1 &' || return 1
	timeout 180 "$VMCTL" --name q --json top | head -n 1 > "$scratch/json"
	python3 -c 'import json, sys; t = json.loads(open(sys.argv[1]).readline()); assert len(t["processes"]) == 1 and t["stats"]["calls"] >= 0' "$scratch/json" || return 1
	is "$(ctl q logs)" "" || { echo "the log of another instance"; return 1; }
	ctl q stop && gone q
}

leftovers() { # of 40 ended ones, one of them killed: logs of the last ones stay; locks only where somebody is
	local i n; rm -f "$dir"/*.log*
	run r sh -c 'sleep 1000 > /dev/null 2>&1 &' || return 1
	for i in $(seq 40); do : > "$dir/old$i.log"; : > "$dir/old$i.log.1"; : > "$dir/old$i.lock"; touch -d "$i hours ago" "$dir/old$i.log"; done
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$dir/old39.sock"
	run s true && gone s || return 1
	n=$(ls "$dir"/*.log | wc -l)
	[ "$n" -le 17 ] && [ -e "$dir/old3.log" ] && [ -e "$dir/old3.log.1" ] && [ ! -e "$dir/old38.log.1" ] && [ ! -e "$dir/old39.sock" ] || { ls "$dir"; return 1; }
	for i in $(seq 600); do n=$(echo "$dir"/*.lock); [ "$n" = "$dir/r.lock" ] && break; sleep 0.1; done
	is "$n" "$dir/r.lock" || return 1
	ctl s logs > /dev/null && ctl r ps > /dev/null && ctl r stop && gone r && rm "$dir"/old*
}

removed_directory() { # of the caller: as natively, alone and in an instance that shows others for real; with --cwd it does not matter
	local how py="/usr/bin/python3 $here/deleted.py"
	in_removed() { mkdir -p "$scratch/x/removed" && cd "$scratch/x/removed" && rmdir "$scratch/x/removed" && "$@"; }
	(in_removed $py) > "$scratch/native" || return 1
	(cd "$scratch/x" && run w sh -c 'sleep 1000 > /dev/null 2>&1 &') || return 1
	for how in "--new" "--name w$$" "--name w"; do
		(in_removed timeout -k 5 180 "$VMRUN" $how $py) > "$scratch/removed" || return 1
		[ "$how" != "--name w" ] || sed -i 's,^getcwd ENOENT /,&'"${scratch#/}/x/"',; s,^up /$,up '"$scratch/x"',' "$scratch/removed"
		diff "$scratch/native" "$scratch/removed" || return 1
		[ ! -e "$scratch/x/removed" ] && [ ! -e "$scratch/x/file" ] || return 1
	done
	is "$(in_removed timeout -k 5 180 "$VMRUN" --new --cwd /usr pwd)" /usr && ctl w stop && gone w
}

storm() { # many first commands, some of them killed at any moment, and an end to all every now and then: whoever is left gets its own status
	local i s clients=() victims=() stopper
	(for i in $(seq 10); do ctl y stop --force; sleep 0.02; done) > /dev/null 2>&1 & stopper=$!
	for i in $(seq 30); do
		run y sh -c 'exit 7' & clients+=($!)
		[ $((i % 5)) != 0 ] || { "$VMRUN" --name y true & victims+=($!); }
		[ $((i % 10)) != 0 ] || kill -9 "${victims[@]}"
	done 2> /dev/null
	for i in "${clients[@]}"; do wait "$i"; s=$?; [ $s = 7 ] || [ $s = 137 ] || { echo "status $s"; return 1; }; done
	wait $stopper "${victims[@]}"
	is "$(run y echo anew)" anew && gone y
}

garbage() { timeout 300 python3 "$here/instances.py" garbage "$VMRUN" "$dir" && gone m; }
looks() { timeout 300 python3 "$here/instances.py" looks "$VMRUN" && gone x; }
terminal() { timeout 300 python3 "$here/instances.py" terminal "$VMRUN" && gone n; }
unsafe_directory() {
	mkdir -m 700 -p "$scratch/other"; mkdir -m 777 "$scratch/other/vmrun"; chmod 777 "$scratch/other/vmrun"
	(XDG_RUNTIME_DIR=$scratch/other timeout 180 "$VMRUN" --name "o$$" true) > /dev/null 2>&1
	is "$(ls "$scratch/other/vmrun")" "" || return 1
	# what stands in the way is said, and what to do
	mkdir -m 700 -p "$dir"; ln -s nowhere "$dir/o1.lock"; run o1 true 2> "$scratch/err"; is $? 125 && grep -q '^vmrun: .*/o1.lock: .*remove it' "$scratch/err" || { cat "$scratch/err"; return 1; }
	mkdir "$dir/o2.sock"; run o2 true 2> "$scratch/err"; is $? 125 && grep -q '^vmrun: .*/o2.sock: .*remove it' "$scratch/err" || { cat "$scratch/err"; return 1; }
	rm -r "$dir/o1.lock" "$dir"/o2.*
	"$VMRUN" --help 1>&- 2> /dev/null; is $? 125
}

for c in status_comes_back joins daemon_outlives each_has_its_own pipes ten_at_once one_after_the_other killed_instance killed_client signals \
	contradictions control directories_go_with_their_programs everything_in_json leftovers removed_directory storm garbage looks terminal unsafe_directory inherited hung; do
	[ $# = 0 ] || [[ " $* " == *" $c "* ]] || continue
	holds "$c" "$c"
done
finish
