#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Many processes: shells, builds, interpreters, daemons. Needs (Debian): bash dash busybox-static gcc make git perl python3 nodejs; libpython3.11-testsuite for
# CPython's own tests (they are left out where it is missing, or with QUICK=1).
. "$(dirname "$0")/lib.sh"
PY=/usr/bin/python3
c() { gcc -O1 -pthread -D_GNU_SOURCE "${@:2}" -o "$scratch/$1" -x c - || exit 2; }

# --- shells ---
same pipeline sh -c 'seq 1 5000 | sort -rn | uniq | head -n 3 | tr "\n" " "'
same statuses sh -c 'sh -c "exit 77"; echo $?; sh -c "kill -TERM \$\$"; echo $?; sh -c "kill -SEGV \$\$"; echo $?; nothing-of-this-name; echo $?; /etc/hostname; echo $?'
same killed-by-signal sh -c 'kill -9 $$'
same background-and-wait bash -c 'for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i; exit $i) & p[$i]=$!; done; for i in 1 2 3 4 5 6 7 8; do wait ${p[$i]}; echo $?; done; wait; wait -n; echo $?'
same wait-for-any bash -c 'sleep 300 & (sleep 0.05; exit 5) & wait -n; echo $?; jobs | wc -l; kill %1; wait %1; echo $?'
same traps bash -c 'trap "echo got usr1" USR1; trap "echo child" CHLD; trap "echo bye" EXIT; kill -USR1 $$; (kill -USR1 $$); sleep 0.05; echo end'
same substitution bash -c 'diff <(seq 1 10) <(seq 1 11); cat <<< "$(echo $(echo nested))"; coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x'
same sigpipe bash -c 'yes | head -n 2; echo ${PIPESTATUS[@]}'
same job-control-without-tty bash -c 'set -m; sleep 300 & kill -STOP %1; until grep -q "State:.T" /proc/$!/status; do sleep 0.02; done; sleep 0.05; jobs -l | sed "s/[0-9]\{2,\}/PID/"; kill -CONT %1; kill %1; wait %1; echo $?; (sleep 0.1; echo done) & wait'
same groups bash -c 'set -m; (sleep 300 & sleep 300 & wait) & sleep 0.1; kill -TERM -- -$!; wait $!; echo $?'
same dash-script dash -c 'f() { trap "echo int $1" INT; kill -INT $$; trap - INT; return 4; }; f a; echo $?; x=$(f b); echo "$x"; (exit 3) || echo or $?; set -e; false || true; echo still; (set +e; false; echo not set); i=0; while [ $i -lt 50 ]; do i=$(expr $i + 1); done; echo $i'
same fork-storm bash -c 'n=0; for i in $(seq 1 200); do n=$((n + $(/bin/echo 1))); done; echo $n'
same xargs-parallel sh -c 'seq 1 60 | xargs -P 8 -n 3 sh -c "echo \$((\$1 + \$2 + \$3))" x | sort -n | tr "\n" " "'
same interpreters sh -c 'printf "#!/bin/sh -e\necho script \$0 \$1\n" > s; printf "#!./s\n" > t; chmod +x s t; ./s arg; ./t arg; env -i ./s x'
same session-of-a-script $PY -c 'import os, fcntl
print(os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid())
m, s = os.openpty()
def take():
    fd = os.open(os.ttyname(s), os.O_RDWR)
    try: print(os.tcgetpgrp(fd) == os.getpid())
    except OSError as e: print(e)
take(); os.setsid(); print(os.getsid(0) == os.getpid()); take()'
same limits bash -c 'ulimit -n 20; for i in $(seq 3 30); do eval "exec $i</dev/null" || break; done 2>/dev/null; (ulimit -f 1; trap "" XFSZ; dd if=/dev/zero of=big bs=1024 count=3 2>&1 | head -n 1); ulimit -t 1; while :; do :; done'
same orphans bash -c '(sh -c "sleep 0.2; echo orphan > o" &); until grep -q orphan o 2> /dev/null; do sleep 0.1; done; cat o; rm o'
same umask-and-directory bash -c 'umask 027; touch a; stat -c %a a; mkdir x; cd x; pwd | grep -o "x$"; (cd /; pwd); ulimit -s'
same locks bash -c 'exec 9> l; flock -n 9 && echo first; (exec 8> l; flock -n 8 || echo second waits); flock -u 9; flock -n l echo third'
same times bash -c 'busybox awk "BEGIN { for (i = 0; i < 3000000; i++) s += i; print s }"; times | busybox awk -F"[ms ]" "NR == 2 { print (\$1 * 60 + \$2 > 0.02) }"'

# --- programs ---
c shared -static <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
/* 64 children count in shared memory, each in a private copy of 16 MiB that all have in common at first */
int main(void){size_t s=16<<20;unsigned*p=mmap(0,s,3,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);int*n=mmap(0,4096,3,MAP_SHARED|MAP_ANONYMOUS,-1,0);
for(size_t i=0;i<s/4;i++)p[i]=i;for(int k=0;k<64;k++)if(!fork()){unsigned x=0;p[k*1000]=7;for(size_t i=0;i<s/4;i+=1024)x+=p[i]==i||i==k*1000u;__sync_fetch_and_add(n,x==4096&&p[k*1000]==7);_exit(0);}
while(wait(0)>0);unsigned bad=0;for(size_t i=0;i<s/4;i++)bad+=p[i]!=i;printf("%d %u\n",*n,bad);}
C
same copy-on-write "$scratch/shared"
c storm -static <<'C'
#include <stdio.h>
#include <pthread.h>
#include <sys/wait.h>
#include <spawn.h>
#include <unistd.h>
extern char**environ;
/* 8 threads fork, vfork and spawn at once */
static void*f(void*u){long ok=0;for(int i=0;i<20;i++){int s;pid_t p;char*a[]={"sh","-c","exit 3",0};if(i%3==0){p=fork();if(!p)_exit(3);}else if(i%3==1){p=vfork();if(!p)_exit(3);}else if(posix_spawn(&p,"/bin/sh",0,0,a,environ))continue;ok+=waitpid(p,&s,0)==p&&WEXITSTATUS(s)==3;}return(void*)ok;}
int main(void){pthread_t t[8];long n=0;void*r;for(int i=0;i<8;i++)pthread_create(t+i,0,f,0);for(int i=0;i<8;i++)pthread_join(t[i],&r),n+=(long)r;printf("%ld\n",n);}
C
same threads-that-fork "$scratch/storm"
same perl perl -e 'use POSIX; pipe R,W; if(!fork){close R; print W "child\n"; exit 5} close W; print <R>; wait; print $?>>8, "\n"; $SIG{CHLD}=sub{print "chld\n"}; system("true"); $SIG{CHLD}="DEFAULT"; print `echo out; exit 3`; print $?>>8, "\n"; open(P, "|-", "cat; echo end") or die; print P "to a child\n"; close P; local $SIG{ALRM}=sub{die "alarm\n"}; eval { alarm 1; select undef,undef,undef,100; }; print $@'
same node-children node -e 'const c=require("child_process");console.log(c.execSync("echo sync").toString());const p=c.spawn("sh",["-c","cat; echo err >&2; exit 7"],{stdio:["pipe","pipe","inherit"]});p.stdout.on("data",d=>process.stdout.write(d));p.on("close",(k,s)=>{console.log(k,s);const q=c.spawn("sleep",["300"]);q.on("exit",(k,s)=>console.log(k,s));q.kill("SIGTERM")});p.stdin.end("through a pipe\n")' 
same python-subprocess $PY -c 'import subprocess as s,os,signal
print(s.run(["sh","-c","cat; exit 3"],input=b"abc",stdout=s.PIPE))
p=[s.Popen(["sh","-c","exit %d"%i]) for i in range(20)];print(sum(x.wait() for x in p))
p=s.Popen(["sleep","300"],start_new_session=True);os.killpg(p.pid,signal.SIGKILL);print(p.wait())
try: s.run(["sleep","300"],timeout=0.1)
except s.TimeoutExpired: print("late")'
same python-fork $PY -c 'import os,resource
r,w=os.pipe();x=[bytes([i%256])*4096 for i in range(3000)]
for i in range(10):
    if os.fork()==0: os.write(w,b"%d\n"%(sum(map(len,x))+i));os._exit(i)
print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for i in range(10)),sorted(os.read(r,1000).split()))'
same locks-fcntl $PY -c 'import fcntl,os
f=open("l","w");fcntl.lockf(f,fcntl.LOCK_EX)
if os.fork()==0:
    g=open("l","w")
    try: fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB);os._exit(1)
    except OSError as e: os._exit(7)
print(os.waitstatus_to_exitcode(os.wait()[1]))'
same shared-memory $PY -c 'from multiprocessing import shared_memory as s,Process
def f(n):
    m=s.SharedMemory(n);m.buf[:3]=b"abc";m.close()
if __name__=="__main__":
    m=s.SharedMemory(create=True,size=100);p=Process(target=f,args=(m.name,));p.start();p.join();print(bytes(m.buf[:3]));m.close();m.unlink()'
same multiprocessing $PY -c 'import multiprocessing as m
def f(x): return x*x
if __name__=="__main__":
    with m.Pool(4) as p: print(sum(p.map(f,range(1000))))
    q=m.Queue();p=m.Process(target=q.put,args=({"a":1},));p.start();print(q.get());p.join();print(p.exitcode)'

# --- builds ---
mkdir "$scratch/proj" && (cd "$scratch/proj" && for i in $(seq 1 12); do echo "int f$i(int x){return x*$i;}" > f$i.c; done; { for i in $(seq 1 12); do echo "int f$i(int);"; done; echo '#include <stdio.h>'; echo 'int main(void){int s=0;'; for i in $(seq 1 12); do echo "s+=f$i(2);"; done; echo 'printf("%d\n",s);}'; } > main.c; printf 'O=$(patsubst %%.c,%%.o,$(wildcard *.c))\nprog: $O\n\t$(CC) -o $@ $O\n' > Makefile)
same make-j2-gcc sh -c "cp -r '$scratch/proj' p && cd p && make -s -j2 && ./prog && rm -f *.o prog"
same git sh -c 'export GIT_AUTHOR_DATE=1700000000+0000 GIT_COMMITTER_DATE=1700000000+0000 HOME=$PWD; git init -q r && cd r && git config user.email a@b && git config user.name n && for i in 1 2 3; do seq $i 999 > f && git add f && git commit -qm $i; done && git clone -q . ../c && cd ../c && git log --format=%H && git gc -q && git fsck 2>&1 | head -n 2; git branch -q side HEAD~1 && git checkout -q side && git merge -q master 2>&1 | head -n 1; git status --short; cd .. && rm -rf r c .gitconfig'
holds fifty-copies-share-their-program "$PY" - "$VMRUN" <<'P'
import subprocess,sys,re
# 50 sleeping copies of one dynamic program: the pool may not grow by what one copy maps each time
s='for i in $(seq %d); do sleep 300 & done; until [ $(grep -lx sleep /proc/[0-9]*/comm | wc -l) = %d ]; do sleep 0.1; done; sleep 1; grep -E "^(MemFree|MemTotal)" /proc/meminfo; kill $(jobs -p)'
def used(n):
    t=subprocess.run([sys.argv[1],'--new','bash','-c',s%(n,n)],stdout=subprocess.PIPE,text=True).stdout
    f={k:int(v) for k,v in re.findall(r'(\w+):\s+(\d+)',t)};return f['MemTotal']-f['MemFree']
one,many=used(1),used(51);print((many-one)//50,'KiB a copy');sys.exit((many-one)/50>700)
P
holds a-thousand-processes "$VMRUN" --new bash -c 'for i in $(seq 1000); do sleep 2 & done; wait; echo ok'

# --- CPython's own tests: what passes natively must pass here ---
if [ "${QUICK:-0}" = 0 ] && [ -e /usr/lib/python3.11/test/test_subprocess.py ]; then
	for t in test_fork1 test_wait3 test_wait4 test_subprocess test_signal test_threadsignals test_thread test_threading test_fcntl test_select test_poll test_mmap test_posix test_tempfile test_shutil test_fileio test_time test_resource; do
		LIMIT=300 same_status "cpython-$t" $PY -m test -q $t
	done
fi
finish
