#!/bin/bash
# Proves the README's two commands on a bare Debian: nothing installed but what debootstrap leaves.
#
#   tests/bare.sh [SUITE [WHO]]   SUITE: bookworm (default), or any that debootstrap knows
#                                 WHO: root or user (default: one after the other)
#
# Needs root, debootstrap and the network. A folder made by debootstrap --variant=minbase can be
# given in OSSICLE_BARE; it is copied and stays as it is. Each run works on the last commit, in a
# folder whose path has a space, in a mount namespace of its own:
#   as root              package lists there
#   as a user with sudo  package lists removed, as container images come
# Each command runs twice; the second boards/run.sh has no network. Prints a table of seconds.
# Takes about fifteen minutes and 5 GB of disk, given back at the end. No part of tests/run.sh.
set -euo pipefail
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
suite=${1:-bookworm}
say() { printf 'bare: %s\n' "$*" >&2; }

[ "$(id -u)" -eq 0 ] || { say "needs root, to chroot"; exit 1; }
cache=${OSSICLE_CACHE:-$HOME/.cache/ossicle}
base=${OSSICLE_BARE:-$cache/bare-$suite}
mkdir -p "$cache"
work=$(mktemp -d "$cache/bare-work-XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT

if [ ! -d "$base/usr" ]; then
    "$root/platform/posix/install.sh" parity
    say "making a bare $suite in $base"
    debootstrap --variant=minbase "$suite" "$base.part" >&2
    mv "$base.part" "$base"
fi

# What runs inside: inside.sh CHECKOUT answer|tests. Prints "SECONDS COMMAND" lines.
cat >"$work/inside.sh" <<'INSIDE'
set -eu
cd /
timed() {
    start=$(date +%s.%N)
    "$@" >/tmp/out.txt 2>/tmp/err.txt </dev/null || {
        code=$?
        cat /tmp/err.txt /tmp/out.txt >&2
        echo "FAILED with $code: $*" >&2
        exit 1
    }
    end=$(date +%s.%N)
    echo "$start $end" | awk '{printf "%8.1f", $2 - $1}'
    echo "  $*"
}
case $2 in
answer)
    timed "$1/boards/run.sh" "What is 17 plus 25?"
    grep -q 42 /tmp/out.txt || { echo "FAILED: no 42 on stdout: $(cat /tmp/out.txt)" >&2; exit 1; }
    ;;
tests)
    timed "$1/tests/run.sh"
    grep -E 'tests passed|Skipped|Not Run' /tmp/out.txt
    ;;
esac
INSIDE

in_bare() { # in_bare FOLDER COMMAND...: all mounts go with the namespace. OFFLINE=--net cuts it off
    local folder=$1
    shift
    # shellcheck disable=SC2016  # for the inner shell
    unshare --mount ${OFFLINE:+"$OFFLINE"} --propagation private /bin/sh -euc '
        mount --bind "$1" "$1"
        cd "$1"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        folder=$1
        shift
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            HOME=/root TERM=dumb chroot "$folder" "$@"' sh "$folder" "$@"
}

run_as() {
    local who=$1 folder=$work/$1 home=/root
    say "copying $base for $who"
    cp -a --reflink=auto "$base" "$folder"
    cp /etc/resolv.conf "$folder/etc/resolv.conf"
    if [ "$who" = user ]; then
        home=/srv/user
        in_bare "$folder" sh -euc 'apt-get -qq update
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends sudo
            rm -rf /var/lib/apt/lists/*
            useradd -m -d /srv/user user
            echo "user ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/user' >"$work/prepare.txt" 2>&1 ||
            { cat "$work/prepare.txt" >&2; return 1; }
    fi
    cp "$work/inside.sh" "$folder/inside.sh"
    git clone -q --no-local "$root" "$folder$home/my ossicle"
    [ "$who" = root ] || in_bare "$folder" chown -R user: "$home/my ossicle"
    echo "$suite as $who, $(nproc) cores:"
    local step as=(sh /inside.sh)
    [ "$who" = root ] || as=(setpriv --reuid user --regid user --init-groups env "HOME=$home"
        sh /inside.sh)
    for step in answer offline tests tests; do
        case $step in
        offline) OFFLINE=--net in_bare "$folder" "${as[@]}" "$home/my ossicle" answer ;;
        *) in_bare "$folder" "${as[@]}" "$home/my ossicle" $step ;;
        esac
    done
    rm -rf --one-file-system "$folder"
}

for who in ${2:-root user}; do
    run_as "$who"
done
