#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a hostile guest: right is its own status 0 or one of the statuses given first ("137" for SIGKILL), without a
# word of a sanitizer and with vmrun able to run another program afterwards.
# usage: survives.sh "STATUS..." VMRUN ARG...
allowed=" 0 $1 "
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
timeout -k 5 200 "$@" > "$out" 2>&1 < /dev/null
status=$?
cat "$out"
case $allowed in *" $status "*) ;; *) echo "status $status, allowed:$allowed"; exit 1 ;; esac
! grep -qE 'Sanitizer|runtime error|^vmrun: .*Assertion' "$out" || exit 1 # a guest's own assertions are its own
"$1" --new /bin/busybox true
