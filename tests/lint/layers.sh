#!/usr/bin/env bash
# Dependencies go one way: every quoted include names a folder at or before the includer's own.
# The order: guest-rt/abi.h, emul/base, emul/mm, emul/vfs, emul/proc, emul/net, emul/syscalls, vmm, tools.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t dirs < <(ls -d guest-rt emul vmm tools 2> /dev/null)
grep -rHE --include='*.[chS]' '^#include "' "${dirs[@]}" | awk -F'[:"]' '
BEGIN { n = split("guest-rt emul/base emul/mm emul/vfs emul/proc emul/net emul/syscalls vmm tools", o, " ") }
function rank(p,  i) { for (i = n; i > 0; i--) if (index(p, o[i] "/") == 1) return i; return 0 }
rank($3) == 0 || rank($3) > rank($1) || ($3 ~ /^guest-rt/ && $1 !~ /^(guest-rt|vmm)\//) {
	print $1 ": must not include " $3; bad = 1 } END { exit bad }'
