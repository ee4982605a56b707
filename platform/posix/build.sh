#!/bin/sh
# Configures and builds one preset of CMakePresets.json into build/PRESET, quietly unless it fails.
#
#   platform/posix/build.sh PRESET [-D... for cmake] [-- TARGET...]
#
# Works from any folder. Configures again only if there is something new to tell cmake.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
say() { printf 'ossicle: %s\n' "$*" >&2; }

preset=$1
shift
folder=$root/build/$preset
settings=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings="$settings $1"
    shift
done
[ $# -eq 0 ] || shift

# A build folder that came along from another place names its old home, and cmake refuses it.
cache=$folder/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "build/$preset was made elsewhere; making it anew"
    rm -rf "$folder"
fi
mkdir -p "$folder" || {
    say "cannot write to $folder; it may belong to another user: remove it, or chown it"
    exit 1
}
log=$folder/build.log

failed() {
    tail -n 60 "$log" >&2
    say "$1 failed; all of it is in $log"
    exit 1
}

# shellcheck disable=SC2086  # settings are words of the form -DNAME=VALUE
if [ ! -f "$folder/build.ninja" ] || [ -n "$settings" ]; then
    (cd "$root" && cmake --preset "$preset" $settings) >"$log" 2>&1 || failed "configuring"
fi
if cmake --build "$folder" ${1+--target "$@"} -- -n 2>/dev/null | grep -q 'no work to do'; then
    exit 0
fi
say "building into build/$preset (about a minute the first time)"
if [ -t 2 ]; then
    cmake --build "$folder" ${1+--target "$@"} >&2 || failed "the build"
else
    cmake --build "$folder" ${1+--target "$@"} >"$log" 2>&1 || failed "the build"
fi
