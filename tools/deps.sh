#!/usr/bin/env bash
# Debian packages: tools/deps.sh build|test|fuzz installs what is missing (root, or sudo where it exists).
set -euo pipefail
build=(gcc libc6-dev linux-libc-dev meson ninja-build pkg-config libelf-dev liblwip-dev libslirp-dev libuv1-dev libbsd-dev libjansson-dev libcmocka-dev)
run=(busybox-static xz-utils)
tests=(clang musl-tools sqlite3 python3 python3-venv libpython3.11-testsuite ffmpeg bash git make perl procps psmisc lsof strace gdb qemu-system-x86 linux-image-cloud-amd64 cpio iproute2 iputils-ping tcpdump)
fuzz=(clang libclang-rt-14-dev) # libFuzzer and the sanitizers of Debian 12's clang
command -v node > /dev/null || tests+=(nodejs)
case "${1:-}" in
build) want=("${build[@]}" "${run[@]}") ;;
test) want=("${build[@]}" "${run[@]}" "${tests[@]}") ;;
fuzz) want=("${build[@]}" "${fuzz[@]}") ;;
*) echo "usage: tools/deps.sh build|test|fuzz" >&2; exit 2 ;;
esac
missing=()
for p in "${want[@]}"; do
	dpkg-query -W -f '${Status}\n' "$p" 2> /dev/null | grep -q '^install ok installed' || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
command -v apt-get > /dev/null || { echo "deps: this is not Debian: install ${missing[*]} yourself" >&2; exit 2; }
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null < /dev/null
