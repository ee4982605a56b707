#!/bin/sh
# Builds this tree among Debian sid's packages (newest Mesa, glslang and compiler) and runs a
# command there: the ceiling of what Vulkan tests see without a GPU.
#
#   tests/gpu/sid.sh                 builds, prints the build folder (build/sid)
#   tests/gpu/sid.sh COMMAND         builds, then runs a shell command in the chroot, as root
#
# There the tree is /mnt/tree, read-only, the build folder /mnt/build, the folder that SID_OUT
# names /mnt/out and the file that SID_MODEL names /mnt/model.gguf. No network. SID_TARGETS: what to
# build (default: everything); SID_TARGETS=none: nothing.
#
# The folder is that of tests/parity/peer.sh (OSSICLE_SID, or made once: three minutes, 1.8 GB);
# packages it lacks are installed into it unless OSSICLE_SID names it. All mounts end with the
# command. Exit 77 with one line where it cannot be had.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
skip() {
    printf 'SKIP: %s\n' "$*" >&2
    exit 77
}

sid=$("$root/tests/parity/peer.sh") || exit $?
packages='gcc libc6-dev cmake ninja-build pkgconf libcjson-dev libutf8proc-dev libmbedtls-dev
    libedit-dev libcmocka-dev libvulkan-dev glslang-tools spirv-tools mesa-vulkan-drivers
    vulkan-validationlayers'
lacking() {
    for package in $packages; do
        found=$(find "$sid/var/lib/dpkg/info" -name "$package.list" -o -name "$package:*.list")
        [ -n "$found" ] ||
            printf ' %s' "$package"
    done
}
build=$root/build/sid
mkdir -p "$build"
exec 8>"$sid.lock"
flock 8
if [ -n "$(lacking)" ]; then
    [ -z "${OSSICLE_SID:-}" ] || skip "OSSICLE_SID=$sid lacks$(lacking)"
    printf 'sid: installing into %s:%s\n' "$sid" "$(lacking)" >&2
    cp /etc/resolv.conf "$sid/etc/resolv.conf"
    # shellcheck disable=SC2046  # package names are words
    timeout 900 unshare --mount --propagation private chroot "$sid" \
        env DEBIAN_FRONTEND=noninteractive sh -c 'mount -t proc proc /proc
        apt-get -q install -y --no-install-recommends "$@" && exit 0
        # A mirror may be a few weeks behind, as a machine may be off the network for as long.
        apt-get -q -o Acquire::Check-Valid-Until=false update
        apt-get -q install -y --no-install-recommends "$@"' sh \
        $(lacking) >"$build/packages.log" 2>&1 </dev/null ||
        skip "packages could not be installed (network?), see build/sid/packages.log"
fi
flock -u 8

# in_sid COMMAND: all mounts end with the namespace.
in_sid() {
    unshare --mount --net --propagation private /bin/sh -euc '
        sid=$1
        mount -t tmpfs none "$sid/mnt"
        mkdir "$sid/mnt/tree" "$sid/mnt/build" "$sid/mnt/out"
        mount --bind "$2" "$sid/mnt/tree"
        mount -o remount,bind,ro "$sid/mnt/tree"
        mount --bind "$3" "$sid/mnt/build"
        [ -z "${SID_OUT:-}" ] || mount --bind "$SID_OUT" "$sid/mnt/out"
        if [ -n "${SID_MODEL:-}" ]; then
            touch "$sid/mnt/model.gguf"
            mount --bind "$(readlink -f "$SID_MODEL")" "$sid/mnt/model.gguf"
        fi
        mount -t proc proc "$sid/proc"
        mount --rbind /dev "$sid/dev"
        mount --rbind /sys "$sid/sys"
        mount -t tmpfs none "$sid/tmp"
        ip link set lo up 2>/dev/null || :
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
            HOME=/tmp TERM="${TERM:-dumb}" chroot "$sid" /bin/sh -euc "cd /mnt/build
            $4"' sh "$sid" "$root" "$build" "$1"
}

if [ "${SID_TARGETS:-}" != none ]; then
    log=$build/build.log
    exec 9>"$build.lock"
    flock 9
    in_sid "cmake -S /mnt/tree -B /mnt/build -G Ninja -DCMAKE_BUILD_TYPE=Release &&
        cmake --build /mnt/build ${SID_TARGETS:+--target $SID_TARGETS} -- -k 0" \
        >"$log" 2>&1 </dev/null || {
        grep -E -A12 'FAILED|CMake Error' "$log" >&2 || tail -n 60 "$log" >&2
        echo "sid: the build failed; all of it is in build/sid/build.log" >&2
        exit 1
    }
    flock -u 9
fi
if [ $# -eq 0 ]; then
    echo "$build"
    exit 0
fi
in_sid "$1" 8>&- 9>&-
