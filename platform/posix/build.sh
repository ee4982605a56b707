#!/bin/sh
# Configures and builds into build/KIND, quietly unless it fails.
#
#   platform/posix/build.sh KIND [-D... for cmake] [-- TARGET...]
#
# KIND: release, debug, asan or tsan (with sanitizers), clang. tests/aarch64.sh builds for ARM.
#
# Works from any folder. Configures again only if there is something new to tell cmake.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
say() { printf 'ossicle: %s\n' "$*" >&2; }

kind=${1-}
[ $# -eq 0 ] || shift
folder=$root/build/$kind
case $kind in
release) always='-DCMAKE_BUILD_TYPE=Release' ;;
debug) always='-DCMAKE_BUILD_TYPE=Debug' ;;
asan) always='-DCMAKE_BUILD_TYPE=RelWithDebInfo -DOSSICLE_SANITIZE=address,undefined' ;;
tsan) always='-DCMAKE_BUILD_TYPE=RelWithDebInfo -DOSSICLE_SANITIZE=thread' ;;
clang) always='-DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang' ;;
*) say "no kind of build: $kind; see the top of $0" && exit 1 ;;
esac
settings=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    settings="$settings $1"
    shift
done
[ $# -eq 0 ] || shift

# A build folder that came along from another place names its old home, and cmake refuses it.
cache=$folder/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    say "build/$kind was made elsewhere; making it anew"
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

# shellcheck disable=SC2086  # always and settings are words of the form -DNAME=VALUE
if [ ! -f "$folder/build.ninja" ] || [ -n "$settings" ]; then
    cmake -S "$root" -B "$folder" -G Ninja $always $settings >"$log" 2>&1 || failed "configuring"
fi
if cmake --build "$folder" ${1+--target "$@"} -- -n 2>/dev/null | grep -q 'no work to do'; then
    exit 0
fi
say "building into build/$kind (about a minute the first time)"
if [ -t 2 ]; then
    cmake --build "$folder" ${1+--target "$@"} >&2 || failed "the build"
else
    cmake --build "$folder" ${1+--target "$@"} >"$log" 2>&1 || failed "the build"
fi
