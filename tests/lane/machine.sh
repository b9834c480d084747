#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs a command on a machine whose /dev/kvm behaves as hardware does: QEMU (TCG) emulates an AMD CPU with SVM and nested paging,
# and a Debian cloud kernel with kvm_amd boots in it. Needs neither root nor /dev/kvm nor a network.
usage() {
	cat >&2 <<-'USAGE'
		usage: machine.sh [-m MiB] [-t SECONDS] [-c CPUS] [-o DIR] DIR COMMAND [ARG...]
		DIR is copied to /t of a fresh machine, with the shared libraries that the programs in it need. COMMAND runs there as root, in /t,
		with the tools of busybox. What it prints (stdout and stderr) is printed here as it comes, and its exit status is returned.
		  -m MiB      memory (2048)        -t SECONDS  time limit, boot included (600)        -c CPUS  virtual CPUs (2)
		  -o DIR      afterwards copy what COMMAND left in /out to DIR here (about 1 MB/s)
		status: COMMAND's (128+N: killed by signal N); 124 time is up; 125 the machine failed; 2 wrong usage or something is not installed
		needs (Debian): qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio; dash and iproute2's ip are taken along where installed
		LANE_KERNEL=/boot/vmlinuz-RELEASE: another kernel than the newest cloud kernel (its modules in /lib/modules/RELEASE)
	USAGE
	exit 2
}
set -euo pipefail
mem=2048 limit=600 cpus=2 out=''
while getopts m:t:c:o: opt; do
	case $opt in m) mem=$OPTARG ;; t) limit=$OPTARG ;; c) cpus=$OPTARG ;; o) out=$OPTARG ;; *) usage ;; esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
dir=$1
shift
fail() { echo "lane: $1" >&2; exit 2; }
case "$mem$limit$cpus" in *[!0-9]*) fail "-m, -t and -c take numbers" ;; esac
[ -d "$dir" ] || fail "$dir is not a directory"
[ -z "$out" ] || mkdir -p "$out"
kernel=${LANE_KERNEL:-$(find /boot -maxdepth 1 -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -n 1)}
[ -n "$kernel" ] || fail "no Debian cloud kernel: apt-get install linux-image-cloud-amd64"
[ -r "$kernel" ] || fail "cannot read $kernel"
for tool in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio; do
	command -v "${tool%:*}" > /dev/null || fail "no ${tool%:*}: apt-get install ${tool#*:}"
done
! ldd "$(command -v busybox)" > /dev/null 2>&1 || fail "busybox is not static: apt-get install busybox-static"

work=$(mktemp -d)
qemu=
trap 'if [ -n "$qemu" ]; then kill "$qemu" 2> /dev/null || true; wait "$qemu" 2> /dev/null || true; fi; rm -rf "$work"' EXIT # timeout hands the signal on
trap 'exit 130' INT
trap 'exit 143' TERM HUP
root=$work/root
mkdir -p "$root"/{bin,dev,etc,lib/modules,out,proc,root,run,sbin,sys,t,tmp,var/tmp}
cp "$(command -v busybox)" "$root/bin/busybox"
cp -a "$dir/." "$root/t"

# kernel modules, in the order of loading
modules=/lib/modules/${kernel##*/vmlinuz-}/kernel
for m in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd drivers/net/tun drivers/net/veth fs/overlayfs/overlay; do
	if [ -f "$modules/$m.ko" ]; then cp "$modules/$m.ko" "$root/lib/modules/"
	elif [ -f "$modules/$m.ko.xz" ]; then xz -dc "$modules/$m.ko.xz" > "$root/lib/modules/${m##*/}.ko"
	else continue; fi
	echo "${m##*/}.ko" >> "$root/lib/modules/order"
done

# shared libraries at their own paths; libgcc_s is one that glibc loads unasked (pthread_cancel)
programs=$work/programs
find "$(cd "$dir" && pwd)" -type f \( -perm /111 -o -name '*.so*' \) -print0 > "$programs"
for tool in dash:bin/sh ip:sbin/ip; do # busybox's sh would take its own applets before PATH, and its ip has no tuntap and netns
	for d in /usr/bin /bin /usr/sbin /sbin; do
		[ ! -x "$d/${tool%:*}" ] || { cp -L "$d/${tool%:*}" "$root/${tool#*:}"; printf '%s\0' "$d/${tool%:*}" >> "$programs"; break; }
	done
done
{ xargs -0r -n 1 ldd < "$programs" 2> /dev/null || true; } | sed -n 's/^\t\(.* => \)\{0,1\}\(\/[^ ]*\) (0x.*/\2/p' | sort -u > "$work/libraries"
{ sed -n 's/libc\.so\.6$/libgcc_s.so.1/p' "$work/libraries"; cat "$work/libraries"; } | while read -r lib; do
	case $lib in "$(cd "$dir" && pwd)"/*) continue ;; esac
	[ ! -f "$lib" ] || { mkdir -p "$root${lib%/*}"; cp -L "$lib" "$root$lib"; }
done

echo root:x:0:0:root:/root:/bin/sh > "$root/etc/passwd"
echo root:x:0: > "$root/etc/group"
echo '127.0.0.1 localhost' > "$root/etc/hosts"
printf '%q ' "$@" > "$root/command"
[ -z "$out" ] || : > "$root/send"
# The root of an initramfs can be neither left nor pivoted from: a bind mount of it on itself can. ttyS1 takes the output, ttyS2 the status,
# ttyS3 a tar file. stty waits until what was written before is out.
cat > "$root/init" <<'INIT'
#!/bin/busybox sh
if [ "$1" != moved ]; then
	/bin/busybox mkdir /bound && /bin/busybox mount -o bind / /bound && cd /bound && /bin/busybox mount -o move . / && exec /bin/busybox chroot . /init moved
fi
/bin/busybox --install -s /bin
cd /
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts -o mode=620,ptmxmode=666 pts /dev/pts; mount -t tmpfs shm /dev/shm; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
mount -t cgroup2 cgroup /sys/fs/cgroup
chmod 1777 /tmp /dev/shm; ln -s /proc/self/fd /dev/fd; ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
while read -r m; do insmod "/lib/modules/$m" || echo "lane: insmod $m failed"; done < /lib/modules/order
[ -c /dev/kvm ] && chmod 666 /dev/kvm
ip link set lo up; hostname lane
for s in 1 2 3; do stty -F /dev/ttyS$s raw -echo; done
cd /t
export PATH=/sbin:/bin:/t HOME=/root TERM=dumb LANG=C.UTF-8
setsid sh -c "$(cat /command)" < /dev/null > /dev/ttyS1 2>&1
status=$?
stty -F /dev/ttyS1 raw
if [ -e /send ]; then tar -C /out -cf /dev/ttyS3 .; stty -F /dev/ttyS3 raw; fi
echo $status > /dev/ttyS2
stty -F /dev/ttyS2 raw
poweroff -f
INIT
chmod 755 "$root/init"
(cd "$root" && find . -print0 | cpio -0 -o -H newc -R 0:0 --quiet) > "$work/initrd"
rm -rf "$root"

# thread=single: with a host thread per virtual CPU, QEMU 7.2 loses itself sooner or later in SVM (endless timer interrupts on both CPUs).
# tsc=reliable: otherwise the clock is the HPET, a slow system call. rcu_expedited: memory slots and VMs come and go twice as fast.
status=0
timeout -k 5 "$limit" qemu-system-x86_64 -accel tcg,thread=single -cpu max,+svm,+npt -smp "$cpus" -m "$mem" -display none -no-reboot -nodefaults \
	-kernel "$kernel" -initrd "$work/initrd" -append "console=ttyS0 panic=-1 mitigations=off tsc=reliable rcupdate.rcu_expedited=1" \
	-serial file:"$work/console" -chardev stdio,id=out,signal=off -serial chardev:out -serial file:"$work/status" -serial file:"$work/out.tar" \
	< /dev/null 2> "$work/qemu" &
qemu=$!
wait "$qemu" || status=$?
qemu=
result=$(tr -dc 0-9 < "$work/status" 2> /dev/null || true)
if [ -z "$result" ]; then
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then echo "lane: no end after $limit s" >&2; status=124; else echo "lane: the machine failed (qemu: $status)" >&2; status=125; fi
	{ cat "$work/qemu"; tail -n 15 "$work/console" || true; } | sed 's/^/lane: /; s/\r$//' >&2
	exit "$status"
fi
[ -z "$out" ] || tar -C "$out" -xf "$work/out.tar"
exit "$result"
