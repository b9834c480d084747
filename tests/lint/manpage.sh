#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every option of --help, with its letter, and every command is in the man page, and the other way round. usage: manpage.sh PROGRAM...
set -euo pipefail
here=$(realpath "$(dirname "$0")/../..")
names() { sed -nE 's/^(-[a-zA-Z], )?(--[a-z-]+).*/\1\2/p; s/^([a-z]+)( .*)?$/\1/p' | sort; }
headings() { # PAGE SECTION: what stands behind each .TP there, without its macros
	awk -v want="$2" '/^\.SH / { in_it = $2 == want } in_it' "$1" | grep -A1 '^\.TP' | grep -v '^\.TP\|^--$' | sed 's/\\-/-/g; s/\\f.//g; s/^\.[A-Z]* *//; s/"//g; s/ *, */, /'
}
for program; do
	page=$here/tools/man/$(basename "$program").1
	diff <("$program" --help | sed -nE 's/^  (    )?(-.*|[a-z]+ .*)/\2/p' | names) \
		<({ headings "$page" OPTIONS; headings "$page" COMMANDS; } | names)
done
