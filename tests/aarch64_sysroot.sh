#!/bin/sh
# Makes a folder with the arm64 libraries that Ossicle's cross build wants, and prints its path.
#
#   tests/aarch64_sysroot.sh
#
# The packages are those of this machine's own release, fetched by apt-get with a state of its own
# and unpacked: nothing is installed, no architecture is added, no root is needed. Kept as
# ${OSSICLE_CACHE:-~/.cache/ossicle}/arm64-RELEASE (about 90 MB). Exit 77 with one line where they
# cannot be had.
set -eu
skip() {
    printf 'SKIP: %s\n' "$*" >&2
    exit 77
}
packages='libc6-dev libcjson-dev libutf8proc-dev libmbedtls-dev libedit-dev libcmocka-dev
    libvulkan-dev'

command -v apt-get >/dev/null 2>&1 || skip "no apt-get, so no arm64 libraries"
# shellcheck disable=SC1091  # not ours
release=$(. /etc/os-release && echo "$ID-${VERSION_CODENAME:-$VERSION_ID}")
case $release in
ubuntu-*) skip "Ubuntu keeps arm64 packages on another server; add it as a multiarch source" ;;
esac
folder=${OSSICLE_CACHE:-$HOME/.cache/ossicle}/arm64-$release
# What is asked for is part of what is there: a longer list makes the folder anew.
if [ "$(cat "$folder/packages" 2>/dev/null)" = "$packages" ]; then
    echo "$folder"
    exit 0
fi
mkdir -p "$(dirname "$folder")"
exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/packages" 2>/dev/null)" != "$packages" ]; then
    printf 'aarch64: fetching the arm64 libraries into %s\n' "$folder" >&2
    part=$folder.part
    rm -rf "$part"
    mkdir -p "$part/apt/lists/partial" "$part/apt/archives/partial"
    : >"$part/apt/status"
    apt() {
        apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
            -o Dir::State="$part/apt" -o Dir::State::status="$part/apt/status" \
            -o Dir::Cache="$part/apt" -o APT::Sandbox::User="$(id -un)" \
            -o APT::Get::List-Cleanup=false "$@" </dev/null >>"$folder.log" 2>&1
    }
    : >"$folder.log"
    apt update || skip "apt-get update for arm64 failed (network?), see $folder.log"
    # shellcheck disable=SC2086  # packages are words
    apt install -y --no-install-recommends --download-only $packages ||
        skip "the arm64 packages could not be fetched, see $folder.log"
    for archive in "$part"/apt/archives/*.deb; do
        dpkg-deb -x "$archive" "$part"
    done
    rm -rf "$part/apt"
    # Links to absolute paths would lead to this machine's own files.
    find "$part" -type l -lname '/*' | while IFS= read -r link; do
        ln -sfn "$folder$(readlink "$link")" "$link"
    done
    echo "$packages" >"$part/packages"
    rm -rf "$folder"
    mv "$part" "$folder"
fi
echo "$folder"
