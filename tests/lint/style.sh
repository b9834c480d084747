#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a reader would stumble over: files over 800 lines, missing SPDX lines, trailing blanks, unresolved markers.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t dirs < <(ls -d guest-rt emul vmm tools tests bench 2> /dev/null)
find "${dirs[@]}" \( -name '*.[chS]' -o -name '*.def' \) -print0 | sort -z | xargs -0 awk '
function say(text) { print FILENAME ":" FNR ": " text; bad = 1 }
FNR == 1 { spdx[FILENAME] = 0 }
FNR <= 2 && /SPDX-License-Identifier/ { spdx[FILENAME] = 1 }
FNR == 3 && !spdx[FILENAME] { say("no SPDX line") }
FNR == 801 { say("more than 800 lines: split it by noun") }
/[ \t]+$/ { say("trailing blanks") }
/(^|[^A-Za-z])(TODO|FIXME)([^A-Za-z]|$)/ { say("unresolved marker") }
END { exit bad }'
