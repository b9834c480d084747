#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tracing and /proc inside: strace, gdb, procps, psmisc, lsof. Needs (Debian): strace gdb procps psmisc lsof python3 gcc.
. "$(dirname "$0")/lib.sh"
c() { gcc -g -O0 -pthread -D_GNU_SOURCE "${@:2}" -o "$scratch/$1" -x c - || exit 2; }
c crash <<'C'
#include <stdio.h>
static int deep(int *p) { return *p; }
static int middle(int x) { int *p = x ? (int *)8 : &x; return deep(p) + 1; }
int main(int argc, char **argv) { puts("start"); return middle(argc); }
C
c threads <<'C'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
int counter, watched;
pthread_barrier_t begin, end;
static void *worker(void *arg) { pthread_barrier_wait(&begin); __sync_fetch_and_add(&counter, 1); pthread_barrier_wait(&end); return 0; }
static int stop_here(int x) { return x + 1; }
int main(void)
{
	pthread_t t[3];
	pthread_barrier_init(&begin, 0, 4); pthread_barrier_init(&end, 0, 4);
	for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, worker, 0);
	watched = stop_here(1);
	watched++;
	pthread_barrier_wait(&begin); pthread_barrier_wait(&end);
	for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
	printf("\n%d %d\n", counter, watched);
}
C
c spin <<'C'
#include <pthread.h>
#include <unistd.h>
volatile int go = 1, n;
static void *worker(void *arg) { while (go) usleep(1000); return 0; }
int main(void) { pthread_t t; pthread_create(&t, 0, worker, 0); while (go) { n++; usleep(500); } return 3; }
C
cat > "$scratch/common" <<'C'
# Waits until the command holds, for a minute; says so if it never does.
until_holds() { for _ in $(seq 600); do if "$@"; then return; fi; sleep 0.1; done; echo "never: $*"; }
is_in() { [ "$(cut -d' ' -f2,3 "/proc/$1/stat")" = "($2) $3" ]; }
# Waits until the process has become this program and sleeps in it (or is in another state).
comes_to() { until_holds is_in "$1" "$2" "${3:-S}"; }
is_traced() { grep -q 'TracerPid:.*[1-9]' "/proc/$1/status"; }
has_threads() { [ "$(ls "/proc/$1/task" | wc -l)" = "$2" ]; }
# Lines of gdb and strace without what differs from run to run: addresses, thread names, process numbers.
plain() { grep -vE '^\[?$| ?exited\]|^\[(New|Thread|Switching|Inferior)|^Using host|^warning|debuginfod|No such file or directory' | sed -E 's/0x[0-9a-f]+/X/g; s/\b[0-9]{3,}\b/N/g; s/ +/ /g'; }
# strace -f -o: the names of calls of each process, in the order of their first lines. Signals and what they repeat come when they come.
calls() { awk '{ if (!($1 in n)) { order[++k] = $1 } n[$1]++; if (match($0, /^[0-9]+ +[a-z0-9_]+\(/)) { s = substr($0, 1, RLENGTH - 1); sub(/^[0-9]+ +/, "", s); if (s !~ /rt_sigreturn|wait4|restart/) c[$1] = c[$1] " " s } }
	END { for (i = 1; i <= k; i++) print c[order[i]] }' "$1"; }
C
bash_here() { local name=$1; shift; { cat "$scratch/common"; cat; } > "$scratch/case.sh"; same "$name" bash "$scratch/case.sh" "$scratch"; }

bash_here strace-calls <<'C'
strace -o o /bin/true; echo $?; calls o; tail -n 1 o; rm o
C
bash_here strace-pipeline <<'C'
strace -f -o o sh -c 'ls / | wc -l' > /dev/null; echo $?; calls o | sort; grep -c '+++ exited with 0 +++' o; rm o
C
bash_here strace-counts <<'C'
strace -f -c -o o sh -c '/bin/true; /bin/echo hi'; awk '$NF ~ /^(execve|exit_group|fork|vfork|clone)$/ || /total/ { print $4, $NF }' o | sort; rm o
C
bash_here strace-events <<'C'
strace -f -e trace=execve,exit_group,kill sh -c '/bin/true; kill -USR1 $$' 2>&1 | plain | grep -vE '^strace: Process|SIGCHLD|resumed|unfinished'
C
bash_here strace-attach <<'C'
sleep 1000 & p=$!; comes_to $p sleep; strace -o o -p $p 2> /dev/null & s=$!; until_holds is_traced $p; sleep 1; kill $s; wait $s; kill $p; wait $p; echo $?; sed -E 's/<.*//' o; rm o
C
bash_here strace-inject <<'C'
strace -e trace=none -e inject=getuid,geteuid:retval=42 id -u 2> /dev/null; strace -o /dev/null -e inject=openat:error=ENOENT:when=3 cat /etc/hostname > /dev/null 2>&1; echo $?
C
bash_here strace-python-threads <<'C'
strace -f -o o python3 -c 'import threading; t=[threading.Thread(target=lambda: None) for i in range(4)]; [x.start() for x in t]; [x.join() for x in t]; print(len(t))'
echo $?; grep -c '+++ exited' o; rm o
C
bash_here gdb-crash <<'C'
gdb -batch -ex run -ex bt -ex 'info registers rax' -ex 'x/i $pc' "$1/crash" 2>&1 | plain
C
bash_here gdb-breakpoints <<'C'
gdb -batch -ex 'break stop_here' -ex run -ex bt -ex finish -ex next -ex step -ex 'stepi 5' -ex 'print watched' -ex 'info threads' -ex continue "$1/threads" 2>&1 | plain | grep -vE '^\*? +[0-9]+ Thread'
C
bash_here gdb-watch <<'C'
gdb -batch -ex 'break main' -ex run -ex 'watch watched' -ex continue -ex continue -ex 'info watchpoints' -ex 'delete 2' -ex continue "$1/threads" 2>&1 | plain
C
bash_here gdb-hardware-breakpoint <<'C'
gdb -batch -ex 'break main' -ex run -ex 'hbreak stop_here' -ex continue -ex bt -ex 'delete 2' -ex continue "$1/threads" 2>&1 | plain
C
bash_here gdb-threads <<'C'
gdb -batch -ex 'break worker' -ex run -ex 'thread apply all -s bt 1' -ex 'delete' -ex continue "$1/threads" 2>&1 | grep -E '^Thread [0-9]+ .* hit Breakpoint 1|^3 3' | sed -E 's/^Thread [0-9]+/Thread/; s/0x[0-9a-f]+/X/g'
gdb -batch -ex run "$1/threads" 2>&1 | grep '^3 3'
C
bash_here gdb-attach <<'C'
"$1/spin" & p=$!; until_holds has_threads $p 2
gdb -batch -p $p -ex 'info threads' -ex 'print n > 0' -ex 'call (int)getpid() > 0' -ex 'print go = 0' -ex detach 2>&1 | grep -E '^\$|Thread .*spin' | sed -E 's/0x[0-9a-f]+/X/g; s/[0-9]{3,}/N/g; s/ in .*//'
wait $p; echo $?
C
bash_here gdb-follow-fork <<'C'
gdb -batch -ex 'set follow-fork-mode child' -ex 'set detach-on-fork on' -ex 'catch exec' -ex 'run -c "/bin/true; exit 5"' -ex continue -ex continue /bin/sh 2>&1 | grep -E 'Catchpoint 1|exited' | plain
C
bash_here ps <<'C'
sleep 3000 & p=$!; comes_to $p sleep
ps -o stat=,comm=,nlwp=,ni=,args= -p $p; ps -eLo pid,lwp,comm | awk -v p=$p '$1 == p { print $1 == $2, $3 }'
ps aux | awk -v p=$p '$2 == p { print $1, $8, $11, $12 }'; ps -ef | awk -v p=$p -v b=$$ '$2 == p { print $1, $3 == b, $8, $9 }'
ps axjf | awk -v p=$p -v b=$$ '$2 == p { print $1 == b }'; ps -o pid= --ppid $$ | grep -cw $p
pgrep -P $$ -l sleep | sed 's/^[0-9]*//'; pgrep -f 'sleep 300[0]' | grep -cw $p; pidof sleep | grep -cw $p; pwdx $p | sed 's/^[0-9]*//; s/cwd.*//'
kill -STOP $p; comes_to $p sleep T; ps -o stat= -p $p; kill -CONT $p; comes_to $p sleep; ps -o stat= -p $p
pkill -P $$ -x sleep; wait $p; echo $?; ps -p $p > /dev/null; echo $?
C
bash_here ps-zombie <<'C'
python3 -c '
import os, subprocess, time
p = os.fork()
if p == 0: os._exit(3)
os.waitid(os.P_PID, p, os.WEXITED | os.WNOWAIT)
print(subprocess.run(["ps", "-o", "stat=,args=", "-p", str(p)], capture_output=True, text=True).stdout.split()[0][0])
print(os.waitpid(p, 0)[1])'
C
bash_here killall <<'C'
cp /bin/sleep napper # natively, it must be the only one of its name
./napper 3100 & p=$!; comes_to $p napper; killall -q nobody-has-this-name; echo $?; killall napper; echo $?; wait $p; echo $?; rm napper
C
bash_here pstree <<'C'
sleep 3200 & comes_to $! sleep; pstree -a $$ | sed -E 's/case.sh.*/case.sh/; s/[0-9]{3,}/N/'; kill $!
C
bash_here top <<'C'
sleep 3300 & p=$!; comes_to $p sleep; top -b -n1 -w 120 | awk -v p=$p 'NR <= 5 { sub(/:.*/, "", $1); print $1 } $1 == p { print $2, $3, $4, $8, $12 }'; kill $p
C
bash_here lsof <<'C'
exec 5> file; exec 6< /dev/null
lsof -p $$ -a -d 5,6 -F ftn 2> /dev/null | sed -E "s/^p.*/p/; s#^n.*/#n#"; lsof file 2> /dev/null | awk 'NR > 1 { print $1, $4, $5 }' | sort -u
fuser file 2> /dev/null | wc -w | awk '{ print $1 >= 1 }'; exec 5>&- 6>&-; rm -f file
C
bash_here memory-and-time <<'C'
free | awk '{ print $1, NF }'; uptime | grep -c 'load average'; vmstat | awk '{ print NF }'; vmstat 1 2 | wc -l; w | head -n 1 | grep -c 'load average'
cat /proc/loadavg | wc -w; nproc
C
bash_here proc-of-a-child <<'C'
cd /; sleep 3400 & p=$!; comes_to $p sleep; cd /proc/$p
cat comm; tr '\0' ' ' < cmdline; echo; readlink cwd exe root; ls fd; cut -d' ' -f3 stat; awk '{ print NF }' stat statm
grep -E '^(Name|State|PPid|TracerPid|Threads|Uid|NoNewPrivs)' status | sed "s/$$/ME/"; head -n 1 limits; wc -l < limits; grep -c . maps | awk '{ print $1 > 5 }'
awk '{ print $1 }' io; head -n 1 mountinfo | awk '{ print NF >= 10 }'; cat oom_score_adj loginuid uid_map | head -n 3; ls ns; cat wchan > /dev/null && echo wchan
awk 'NF == 2' smaps_rollup | wc -l; awk '/^Rss/ { print $2 > 0 }' smaps_rollup; ls task | wc -l; cat task/*/comm; kill $p
C
finish
