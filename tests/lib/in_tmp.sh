#!/bin/sh
# SPDX-License-Identifier: MIT
# Run "$@" in a fresh, empty directory and remove it afterwards; the exit status is the program's.
# Relative paths in the first word and in later ones would not survive the cd: give absolute ones.
dir=$(mktemp -d "${TMPDIR:-/tmp}/vmrun-test.XXXXXX") || exit 99
trap 'cd / && rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
chmod 777 "$dir" # some programs run as somebody else
cd "$dir" || exit 99
env --default-signal "$@" # a caller may ignore some, as nohup does, or a shell for what it runs in the background
