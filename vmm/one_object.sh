#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A static library of one object, in which only names that fit PATTERN are global. usage: one_object.sh LIBRARY RESULT PATTERN
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"${LD:-ld}" -r --whole-archive "$1" -o "$dir/all.o"
"${OBJCOPY:-objcopy}" --wildcard --keep-global-symbol="$3" "$dir/all.o"
rm -f "$2"
"${AR:-ar}" rcs "$2" "$dir/all.o"
