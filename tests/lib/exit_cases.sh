#!/bin/sh
# SPDX-License-Identifier: MIT
# Run every case of a program which ends in many ways and compare the status the shell sees.
#   exit_cases.sh [vmrun --new] PROG      (the last word is the program; the others run it)
# PROG --list (always run natively) prints "name status" lines.
for prog; do :; done
bad=0
list=$("$prog" --list) || exit 99
while read -r name want; do
	"$@" "$name" </dev/null >/dev/null 2>&1
	got=$?
	if [ "$got" -eq "$want" ]; then
		echo "ok $name"
	else
		echo "FAIL $name: status $got, want $want"
		bad=1
	fi
done <<END
$list
END
exit $bad
