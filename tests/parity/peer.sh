#!/bin/sh
# Finds or makes the folder that holds llama.cpp as Debian sid packages it, and prints its path.
#
#   tests/parity/peer.sh                 the folder's path
#   tests/parity/peer.sh MODEL COMMAND   runs a shell command in it; MODEL is /mnt/model.gguf there
#                                        and the folder that PEER_OUT names is /mnt/out
#
# PEER_CPU=haswell (or zen4, icelake ...) leaves it only that one of its CPU backends.
#
# OSSICLE_SID names a folder to use as it is; else ${OSSICLE_CACHE:-~/.cache/ossicle}/sid is made
# by debootstrap once (about two minutes, 800 MB). Exit 77 with one line where that cannot be:
# not root, no network, or the packages are not to be had today.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
skip() {
    printf 'SKIP: %s\n' "$*" >&2
    exit 77
}

[ "$(id -u)" -eq 0 ] || skip "llama.cpp runs in a chroot, which needs root"
[ "$(uname -m)" = x86_64 ] || skip "llama.cpp's package is looked for on x86-64 only"
unshare --mount --propagation private true 2>/dev/null ||
    skip "no mount namespace can be made here, and llama.cpp runs in one"
sid=${OSSICLE_SID:-${OSSICLE_CACHE:-$HOME/.cache/ossicle}/sid}

if [ ! -x "$sid/usr/bin/llama-server" ]; then
    [ -z "${OSSICLE_SID:-}" ] || skip "OSSICLE_SID=$sid has no llama-server in it"
    "$root/platform/posix/install.sh" parity || skip "debootstrap could not be installed (network?)"
    mkdir -p "$(dirname "$sid")"
    exec 9>"$sid.lock"
    flock 9
    log=$sid.log
    if [ ! -x "$sid/usr/bin/llama-server" ]; then
        printf 'parity: making a folder with llama.cpp in %s (about two minutes, once)\n' "$sid" >&2
        rm -rf --one-file-system "$sid.part"
        timeout 600 debootstrap --variant=minbase sid "$sid.part" >"$log" 2>&1 </dev/null ||
            skip "debootstrap of sid failed (network?), see $log"
        timeout 600 chroot "$sid.part" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
            --no-install-recommends llama.cpp-tools libggml0-backend-vulkan >>"$log" 2>&1 \
            </dev/null || skip "sid's llama.cpp could not be installed, see $log"
        mv "$sid.part" "$sid"
    fi
fi
if [ $# -eq 0 ]; then
    echo "$sid"
    exit 0
fi

# All mounts end with the namespace; the folder itself stays clean.
model=$(readlink -f "$1")
exec unshare --mount --propagation private /bin/sh -euc '
    sid=$1 model=$2
    shift 2
    mount -t tmpfs none "$sid/mnt"
    touch "$sid/mnt/model.gguf"
    mount --bind "$model" "$sid/mnt/model.gguf"
    mount -t proc proc "$sid/proc"
    mount --rbind /dev "$sid/dev"
    mount --rbind /sys "$sid/sys"
    if [ -n "${PEER_OUT:-}" ]; then
        mkdir "$sid/mnt/out"
        mount --bind "$PEER_OUT" "$sid/mnt/out"
    fi
    if [ -n "${PEER_CPU:-}" ]; then # it loads the best of a folder: here, one with a single file
        mkdir "$sid/mnt/backends"
        for folder in "$sid"/usr/lib/*/ggml/backends*; do
            cp "$folder/libggml-cpu-$PEER_CPU.so" "$sid/mnt/backends/"
            mount --bind "$sid/mnt/backends" "$folder"
        done
    fi
    exec chroot "$sid" /bin/sh -euc "$1"' sh "$sid" "$model" "$2"
