#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The example program does what its first comment says; the header compiles as C89 (its own build) and as C++. usage: example.sh EMBED VMRUN
set -eu
embed=$1 VMRUN_COMMAND=$2
export VMRUN_COMMAND
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_RUNTIME_DIR=$dir
root=$(realpath "$(dirname "$0")/../..")
[ "$("$embed" sh -c 'echo from inside')" = "from inside" ]
set +e
"$embed" sh -c 'exit 3' 2> "$dir/err"; [ $? = 3 ] || exit 1
[ "$(grep -c 'ended with status 0x300' "$dir/err")" = 3 ] || exit 1
"$embed" no-such-program 2> /dev/null; [ $? = 127 ] || exit 1
set -e
[ -z "$(ls "$dir/vmrun")" ]
if command -v g++ > /dev/null; then echo '#include "vmrun.h"' | g++ -std=c++11 -Wall -Werror -I"$root/vmm" -fsyntax-only -x c++ -; fi
echo "1 passed, 0 failed"
