#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# One process and its threads. Needs (Debian): busybox-static python3 sqlite3 ffmpeg nodejs xz-utils gcc musl-tools; a Go tool chain if there is one.
. "$(dirname "$0")/lib.sh"
c() { gcc -O1 -pthread -D_GNU_SOURCE "${@:2}" -o "$scratch/$1" -x c - || exit 2; }
c hello -static <<'C'
#include <stdio.h>
int main(int c,char**v){for(int i=0;i<c;i++)puts(v[i]+(i?0:0));return 42;}
C
musl-gcc -static -o "$scratch/mhello" -x c - <<'C'
#include <stdio.h>
#include <stdlib.h>
int main(void){printf("%s|%zu\n",getenv("HOME")?getenv("HOME"):"-",sizeof(long));return 3;}
C
c pie <<'C'
#include <stdio.h>
#include <sys/auxv.h>
int main(void){printf("%lu %d %d\n",getauxval(AT_PAGESZ),getauxval(AT_RANDOM)!=0,getauxval(AT_SYSINFO_EHDR)!=0);}
C
c null -static <<'C'
int main(void){return *(volatile int*)8;}
C
c abrt -static <<'C'
#include <stdlib.h>
int main(void){abort();}
C
c fpe -static <<'C'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
static void h(int s,siginfo_t*i,void*u){printf("%d %d %d\n",s,i->si_code,(int)((ucontext_t*)u)->uc_mcontext.gregs[REG_TRAPNO]);exit(0);}
int main(void){struct sigaction a={.sa_sigaction=h,.sa_flags=SA_SIGINFO};sigaction(SIGFPE,&a,0);volatile int z=0;return 1/z;}
C
c segv -static <<'C'
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <stdlib.h>
#include <sys/mman.h>
static char*p;static volatile int n;
static void h(int s,siginfo_t*i,void*u){n++;if((char*)i->si_addr!=p+123||i->si_code!=SEGV_ACCERR)_exit(9);mprotect(p,4096,3);}
int main(void){struct sigaction a={.sa_sigaction=h,.sa_flags=SA_SIGINFO};sigaction(SIGSEGV,&a,0);p=mmap(0,4096,PROT_READ,MAP_PRIVATE|MAP_ANONYMOUS,-1,0);for(int i=0;i<100;i++){mprotect(p,4096,PROT_READ);p[123]=i;}printf("%d %d\n",n,p[123]);}
C
c port -static <<'C'
int main(void){__asm__ volatile("outb %%al,$0x80"::"a"(0));return 0;}
C
c threads -static <<'C'
#include <pthread.h>
#include <stdio.h>
static long n;static pthread_mutex_t m=PTHREAD_MUTEX_INITIALIZER;static pthread_barrier_t b;
static void*f(void*u){pthread_barrier_wait(&b);for(int i=0;i<20000;i++){pthread_mutex_lock(&m);n++;pthread_mutex_unlock(&m);}return u;}
int main(void){pthread_t t[32];pthread_barrier_init(&b,0,32);for(long i=0;i<32;i++)if(pthread_create(t+i,0,f,(void*)i))return 1;long s=0;void*r;for(int i=0;i<32;i++)pthread_join(t[i],&r),s+=(long)r;printf("%ld %ld\n",n,s);}
C
c avx -static -march=native <<'C'
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
static volatile int ticks;static void h(int s){ticks++;__m256d z=_mm256_set1_pd(-1);__asm__ volatile(""::"x"(z));}
static void*f(void*u){double k=(long)u;__m256d a=_mm256_set1_pd(k);for(long i=0;i<60000000;i++)__asm__ volatile("":"+x"(a));double o[4];_mm256_storeu_pd(o,a);return(void*)(long)(o[0]==k&&o[3]==k);}
int main(void){signal(SIGALRM,h);struct itimerval v={{0,2000},{0,2000}};setitimer(ITIMER_REAL,&v,0);pthread_t t[4];long ok=0;void*r;for(long i=0;i<4;i++)pthread_create(t+i,0,f,(void*)(i+7));for(int i=0;i<4;i++)pthread_join(t[i],&r),ok+=(long)r;printf("%ld %d\n",ok,ticks>5);}
C
same static-glibc "$scratch/hello" a 'b c' ''
same static-musl "$scratch/mhello"
same dynamic-pie "$scratch/pie"
same null-read-dies-of-sigsegv "$scratch/null"
same abort "$scratch/abrt"
same sigfpe-siginfo "$scratch/fpe"
same segv-mprotect-loop "$scratch/segv"
same port-io-is-sigsegv "$scratch/port"
same threads-32 "$scratch/threads"
same avx-survives-signals-and-threads "$scratch/avx"
same no-such-program /nonexistent/program
same not-executable /etc/hostname
same busybox-ls busybox ls -l /etc/alternatives
same busybox-md5 busybox md5sum /usr/bin/python3.11
same stdin -i 'a b\nc\n' busybox wc
same coreutils-ls ls -la /usr/lib/x86_64-linux-gnu
same files-in-cwd busybox dd if=/dev/zero of=made bs=1000 count=77
same sort sort -S 1M --parallel=2 /etc/services
same xz xz -T2 -9e -c /usr/bin/python3.11
same tar busybox tar cf t.tar -C /etc/apt .
same sqlite sqlite3 t.db 'create table t(a,b); insert into t select value,value*2 from generate_series(1,5000); select sum(b) from t; pragma integrity_check;'
same python-core /usr/bin/python3 -c 'import json,asyncio,email,http.client,xml.dom.minidom,decimal,hashlib;print(json.dumps([hashlib.sha256(b"x").hexdigest(),str(decimal.Decimal(2).sqrt())]))'
same python-threads /usr/bin/python3 -c 'import threading,queue;q=queue.Queue();ts=[threading.Thread(target=lambda i=i:q.put(i*i)) for i in range(40)];[t.start() for t in ts];[t.join() for t in ts];print(sorted(q.get() for _ in ts)==[i*i for i in range(40)])'
same python-mmap /usr/bin/python3 -c 'import mmap,os;f=open("m","w+b");f.truncate(1<<20);m=mmap.mmap(f.fileno(),0);m[5:9]=b"abcd";m.flush();print(open("m","rb").read(12));m.resize(2<<20);print(len(m))'
same node node -e 'const c=require("crypto");console.log(c.createHash("sha1").update("x").digest("hex"),[...Array(5).keys()].map(x=>x*x).join());setTimeout(()=>console.log("later"),30)'
same ffmpeg-version ffmpeg -hide_banner -buildconf
same ffmpeg-encode ffmpeg -hide_banner -loglevel error -y -f lavfi -i testsrc=duration=1:size=320x240:rate=25 -f lavfi -i sine=duration=1 -c:v libx264 -threads 2 -c:a aac -flags +bitexact -fflags +bitexact clip.mp4
holds clock python3 - "$VMRUN" <<'P'
import subprocess,sys,time
a=time.time();b=float(subprocess.run([sys.argv[1],'--new','/usr/bin/python3','-c','import time;print(time.time())'],stdout=subprocess.PIPE,check=True).stdout);c=time.time()
sys.exit(not a<=b<=c)
P
holds host-files-stay-untouched sh -c "'$VMRUN' --new sh -c 'echo x > /etc/vmrun-was-here 2>/dev/null; true'; test ! -e /etc/vmrun-was-here"
if command -v go > /dev/null; then
	mkdir -p "$scratch/go" && cat > "$scratch/go/main.go" <<'G'
package main
import ("fmt"; "runtime"; "sync"; "time")
func main() { var w sync.WaitGroup; c := make(chan int, 10); for i := 0; i < 200; i++ { w.Add(1); go func() { defer w.Done(); time.Sleep(time.Millisecond); c <- i } () }
 go func() { w.Wait(); close(c) } (); s := 0; for v := range c { s += v }; runtime.GC(); fmt.Println(s) }
G
	(cd "$scratch/go" && go mod init x > /dev/null 2>&1; CGO_ENABLED=0 go build -o ../gohello . ) && same go-goroutines "$scratch/gohello"
fi
finish
