#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every option of --help is in the man page, and the other way round. usage: manpage.sh PROGRAM...
set -euo pipefail
here=$(realpath "$(dirname "$0")/../..")
for program; do
	page=$here/tools/man/$(basename "$program").1
	diff <("$program" --help | grep -oE '^  .{4}--[a-z]+' | grep -oE '[-][-][a-z]+' | sort -u) \
		<(sed -n '/^.SH OPTIONS/,/^.SH [EI]/p' "$page" | grep -A1 '^\.TP' | sed 's/\\-/-/g' | grep -oE -- '--[a-z]+' | sort -u)
done
