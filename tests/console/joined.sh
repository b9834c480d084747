#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The same for programs of an instance that commands join. usage: joined.sh TEST VMRUN
set -u
scratch=$(mktemp -d)
export XDG_RUNTIME_DIR=$scratch VMRUN=$2
trap '"$(dirname "$VMRUN")/vmctl" --name console stop --force 2> /dev/null; rm -rf "$scratch"' EXIT
cat > "$scratch/vmrun" << 'W'
#!/usr/bin/env bash
args=()
for a; do [ "$a" = --new ] && a=--name=console; args+=("$a"); done
exec "$VMRUN" "${args[@]}"
W
chmod +x "$scratch/vmrun"
"$1" "$scratch/vmrun"
