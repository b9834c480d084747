#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every option of vmrun --help is in the man page, and the other way round. usage: manpage.sh VMRUN
set -euo pipefail
vmrun=$(realpath "$1")
cd "$(dirname "$0")/../.."
diff <("$vmrun" --help | grep -oE '^  .{4}--[a-z]+' | grep -oE '[-][-][a-z]+' | sort -u) \
	<(sed -n '/^.SH OPTIONS/,/^.SH EXIT/p' tools/man/vmrun.1 | grep -A1 '^\.TP' | sed 's/\\-/-/g' | grep -oE -- '--[a-z]+' | sort -u)
