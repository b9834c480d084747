#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what bench/run compares vmrun with, and what draws its plots. Debian, as root; Go for gVisor.
# RUNSC_VERSION chooses another gVisor; CACHE another place for it (default ~/.cache/vmrun-bench).
set -euo pipefail
version=${RUNSC_VERSION:-v0.0.0-20260905035102-160fafc42237}
cache=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmrun-bench}

packages=(proot qemu-user-static user-mode-linux python3-matplotlib python3-capstone python3-pyelftools sqlite3 xz-utils ffmpeg gcc tar)
missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2> /dev/null | grep -q 'ok installed' || missing+=("$p")
done
if [ ${#missing[@]} -gt 0 ]; then
	apt-get -o DPkg::Lock::Timeout=600 update -q
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends "${missing[@]}"
fi

if ! [ -x "$cache/bin/runsc" ] || ! go version -m "$cache/bin/runsc" | grep -q "gvisor.dev/gvisor[[:space:]]$version"; then
	command -v go > /dev/null || { echo "no Go: gVisor is left out" >&2; exit 0; }
	mkdir -p "$cache/bin"
	CGO_ENABLED=0 GOFLAGS= GOBIN=$cache/bin go install "gvisor.dev/gvisor/runsc@$version"
fi
echo "peers: ${packages[*]} and $cache/bin/runsc"
