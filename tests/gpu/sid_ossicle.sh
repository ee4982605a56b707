#!/bin/sh
# build/sid/ossicle with these arguments, run in the chroot of tests/gpu/sid.sh, which has built it.
# The folder that SID_OUT names is there too: arguments beginning with its path follow it.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
quoted=
for argument; do
    case $argument in
    "$SID_OUT"/*) argument=/mnt/out/${argument#"$SID_OUT"/} ;;
    esac
    quoted="$quoted '$(printf '%s' "$argument" | sed "s/'/'\\\\''/g")'"
done
SID_TARGETS=none exec "$here/sid.sh" "exec ./ossicle $quoted"
