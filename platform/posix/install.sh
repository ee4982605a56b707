#!/bin/sh
# Installs what a group of work needs, from the distribution's own packages, and nothing that is
# there already. Says what and why before it does. Uses the network only if something is missing.
#
#   platform/posix/install.sh GROUP...
#     build    compiler, cmake, ninja, glslang and the libraries Ossicle stands on
#     tests    cmocka, the tools the tests drive, the aarch64 cross compiler and its emulator
#     checks   clang, for the second compiler of .ci/run; llvm-mca, which times ARM's inner loops
#     parity   debootstrap, to make the folder that holds llama.cpp
#     bench    as parity
#     training PyTorch, to make the demo model anew
#
# Exit codes: 0 everything is there, 1 something is missing and could not be installed.
set -eu

say() { printf 'ossicle: %s\n' "$*" >&2; }

# One word a package; COMMAND=PACKAGE where any provider of the command will do.
packages_of() {
    case $1 in
    build) echo gcc libc6-dev cmake ninja-build pkgconf libcjson-dev libutf8proc-dev \
        libmbedtls-dev libedit-dev libvulkan-dev glslang-tools spirv-tools ;;
    tests)
        echo libcmocka-dev jq strace tmux=tmux ca-certificates python3 node=nodejs npm=npm
        # Vulkan without a GPU, and what watches our use of it.
        echo libvulkan1 mesa-vulkan-drivers vulkan-validationlayers
        # On arm64 the ordinary build is the aarch64 build.
        if [ "$(dpkg --print-architecture)" = amd64 ]; then
            echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
        fi
        ;;
    checks) echo clang llvm-mca-19=llvm-19 ;;
    parity | bench) echo debootstrap curl jq ;;
    training) echo gcc libc6-dev python3-torch ;;
    *)
        say "install.sh: no group '$1', but build, tests, checks, parity, bench and training"
        exit 1
        ;;
    esac
}

# Without dpkg: the programs and libraries are looked for, the rest is up to the user.
check_by_hand() {
    lacking=
    for program in cmake ninja pkg-config glslangValidator spirv-val; do
        command -v "$program" >/dev/null 2>&1 || lacking="$lacking $program"
    done
    command -v cc >/dev/null 2>&1 || lacking="$lacking cc"
    for library in libcjson libutf8proc; do
        pkg-config --exists "$library" 2>/dev/null || lacking="$lacking $library"
    done
    [ -z "$lacking" ] && return 0
    say "this system has no apt-get; install these with its own package manager:$lacking"
    exit 1
}

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    check_by_hand
    exit 0
fi

missing=
for group; do
    list=$(packages_of "$group") || exit 1
    for package in $list; do
        case $package in
        *=*)
            command -v "${package%%=*}" >/dev/null 2>&1 && continue
            package=${package#*=}
            ;;
        esac
        state=$(dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null) || state=
        case $state in
        *installed*) case $state in *not-installed*) ;; *) continue ;; esac ;;
        esac
        case " $missing " in
        *" $package "*) ;;
        *) missing="$missing $package" ;;
        esac
    done
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    say "these packages are missing: $missing"
    say "there is no sudo here; as root run: apt-get install --no-install-recommends $missing"
    exit 1
fi

apt() {
    # shellcheck disable=SC2086  # as_root is one word or none
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null >&2
}

say "installing with ${as_root:+sudo }apt-get, without recommended extras: $missing"
# Lists are refreshed only if they do not know a package, or know a version the mirror has not.
# shellcheck disable=SC2086  # package names are words
{
    if apt-get -s install $missing >/dev/null 2>&1 &&
        apt install -y --no-install-recommends $missing; then
        exit 0
    fi
    say "the package lists are missing or old; apt-get update"
    apt update || say "apt-get update had errors; trying to install all the same"
    apt install -y --no-install-recommends $missing && exit 0
}
say "could not install: $missing"
say "is the network there? The message of apt-get above says what failed"
exit 1
