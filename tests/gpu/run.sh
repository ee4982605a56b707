#!/bin/bash
# Runs the whole GPU suite and the benchmark on this machine's GPU and writes one report.
#
#   tests/gpu/run.sh [OPTION...]
#     --model FILE    benchmark this GGUF file. Default: 20b, which is made (12.1 GB of random
#                     weights in the scratch folder), on a real GPU; the fixture "peer" on a
#                     software one
#     --out FILE      the report (default: build/gpu-report.txt)
#     --device N      which device of `ossicle devices` (default: the first real one)
#     --build DIR     programs built elsewhere; nothing is built here then
#     --debs DIR      packages (*.deb) with libraries and tools that this machine lacks: unpacked
#                     into the scratch folder, nothing is installed
#     --scratch DIR   for models and unpacked packages (default: a folder made in ${TMPDIR:-/tmp})
#     --only LIST     sections, comma-separated: device,tests,parity,plan,bench,ops
#     --pack DIR      makes DIR to carry to a machine without network or compiler: the programs, the
#                     tests, these scripts and the packages; run DIR/run.sh there
#
# Without --build it installs what is missing and builds, as tests/run.sh does. A section that fails
# says so in the report, and the others run all the same. Exit: 0 all passed, 1 something failed.
set -uo pipefail
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
model='' out='' device='' build='' debs='' scratch='' pack=''
only=device,tests,parity,plan,bench,ops
die() { printf 'gpu: %s\n' "$*" >&2; exit 1; }
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value, or is not an option; see the head of $0"
    case $1 in
    --model) model=$2 ;;
    --out) out=$2 ;;
    --device) device=$2 ;;
    --build) build=$2 ;;
    --debs) debs=$2 ;;
    --scratch) scratch=$2 ;;
    --only) only=$2 ;;
    --pack) pack=$2 ;;
    *) die "no option $1; see the head of $0" ;;
    esac
    shift 2
done

# ---- A folder to carry --------------------------------------------------------------------------
# Libraries that a bare machine may lack, and jq for the parity scripts.
carried='libvulkan1 libcjson1 libutf8proc2 libmbedcrypto7 libedit2 libbsd0 libmd0 libcmocka0
    jq libjq1 libonig5 vulkan-validationlayers'
make_pack() {
    "$root/platform/posix/install.sh" build tests || exit 1
    "$root/platform/posix/build.sh" release -DOSSICLE_TESTS=ON || exit 1
    mkdir -p "$pack/build/tests" "$pack/debs" "$pack/tests" || exit 1
    local program
    for program in ossicle make_gguf reference_score; do
        strip -o "$pack/build/$program" "$root/build/release/$program" || exit 1
    done
    for program in "$root"/build/release/tests/test_{vk,fault}_*; do
        strip -o "$pack/build/tests/${program##*/}" "$program" || exit 1
    done
    # Where tests look for models and keep state: made again on the other machine.
    echo "$root/build/release" >"$pack/build/home"
    cp -r "$root/tests/gpu" "$root/tests/parity" "$pack/tests/"
    # shellcheck disable=SC2086  # package names are words
    (cd "$pack/debs" && apt-get -q download $carried) >/dev/null ||
        die "the packages could not be fetched"
    cat >"$pack/run.sh" <<'RUN'
#!/bin/sh
# Made by tests/gpu/run.sh --pack.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
exec "$here/tests/gpu/run.sh" --build "$here/build" --debs "$here/debs" "$@"
RUN
    chmod +x "$pack/run.sh"
    du -sh "$pack"
}
if [ -n "$pack" ]; then
    make_pack
    exit 0
fi

# ---- What it stands on --------------------------------------------------------------------------
if [ -z "$build" ]; then
    "$root/platform/posix/install.sh" build tests || die "packages are missing"
    "$root/platform/posix/build.sh" release -DOSSICLE_TESTS=ON || die "the build failed"
    build=$root/build/release
fi
build=$(CDPATH='' cd -- "$build" && pwd -P) || exit 1
out=${out:-$root/build/gpu-report.txt}
mkdir -p "$(dirname "$out")"
if [ -z "$scratch" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch"
if [ -n "$debs" ]; then
    for package in "$debs"/*.deb; do
        dpkg-deb -x "$package" "$scratch/unpacked" 2>/dev/null ||
            (mkdir -p "$scratch/unpacked" && cd "$scratch/unpacked" &&
                ar p "$package" data.tar.xz | tar xJ) ||
            die "$package could not be unpacked"
    done
    libraries=$(find "$scratch/unpacked" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
    export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    export PATH="$PATH:$scratch/unpacked/usr/bin"
    export VK_ADD_LAYER_PATH="$scratch/unpacked/usr/share/vulkan/explicit_layer.d"
fi
# Container images keep NVIDIA's driver where no loader looks.
icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
if [ -z "${VK_DRIVER_FILES:-}" ] && [ -f $icd ]; then
    export VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd
fi

failed=0
say() { printf '%s\n' "$*" | tee -a "$out" >&2; }
section() { case ,$only, in *,$1,*) say "" "## $2" ;; *) return 1 ;; esac; }
# run COMMAND...: its output goes to the report, failing is counted
run() {
    local began=$SECONDS code=0
    "$@" >"$scratch/log" 2>&1 || code=$?
    sed 's/^/    /' "$scratch/log" | tee -a "$out" >&2
    [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || { say "FAILED with $code: $*"; failed=1; }
    say "    ($((SECONDS - began)) s)"
    return "$code"
}
ossicle=$build/ossicle

: >"$out"
say "# Ossicle on a GPU: $(date -u +%FT%TZ), $(uname -srm), $(nproc) cores"
say "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //')"
say "$("$ossicle" version) $(git -C "$root" describe --always --dirty 2>/dev/null)"

facts=$("$ossicle" devices --json 2>"$scratch/log") || {
    cat "$scratch/log" >&2
    die "no Vulkan device"
}
[ -n "$device" ] || device=$(printf '%s' "$facts" |
    jq '[.vulkan[] | select(.usable)] | (map(select(.type != "software")) + .)[0].index // empty')
[ -n "$device" ] || die "no usable Vulkan device; see ossicle devices"
own=$(printf '%s' "$facts" | jq -c --argjson n "$device" '.vulkan[] | select(.index == $n)')
tiers=$(printf '%s' "$own" | jq -r '.tier as $most |
    ["base", "subgroup", "fp16", "dot", "matrix"] | .[:index($most) + 1] | join(" ")')
type=$(printf '%s' "$own" | jq -r .type)
export OSL_VK_DEVICE=$device

if section device "Device"; then
    run "$ossicle" devices
    say "$(printf '%s' "$own" | jq .)"
    command -v nvidia-smi >/dev/null && run nvidia-smi
    run "$ossicle" selftest --device "vulkan:$device"
fi

if section tests "Tests"; then
    home=$(cat "$build/home" 2>/dev/null || echo "$build")
    mkdir -p "$home/tests/models" && "$build/make_gguf" --preset tiny --context 4096 \
        --out "$home/tests/models/tiny.gguf" >/dev/null || say "    no place for models: $home"
    for test in "$build"/tests/test_{vk,fault}_*; do
        [ -x "$test" ] || continue
        code=0
        (cd "$scratch" && timeout 600 "$test") >"$scratch/log" 2>&1 || code=$?
        case $code in
        0) say "    passed   ${test##*/}" ;;
        77) say "    skipped  ${test##*/}: $(grep -m1 SKIP "$scratch/log")" ;;
        *)
            say "    FAILED   ${test##*/} ($code)"
            tail -n 30 "$scratch/log" | sed 's/^/        /' | tee -a "$out" >&2
            failed=1
            ;;
        esac
    done
fi

if section parity "Log-probabilities against the float32 reference, per tier"; then
    PARITY_DEVICE=$device run "$here/../parity/vulkan.sh" host "$ossicle" "$build/make_gguf" \
        "$build/reference_score" "$scratch/parity"
fi

if [ -z "$model" ]; then
    preset=20b options='--vocabulary small'
    [ "$type" != software ] || preset=peer
    model=$scratch/$preset.gguf
    # A made-up vocabulary of the real size serves as well, and needs no file of ranks.
    # shellcheck disable=SC2086  # options are words
    [ -f "$model" ] || "$build/make_gguf" --preset $preset $options --threads "$(nproc)" \
        --out "$model" >/dev/null || die "the model could not be made"
fi
if section plan "Plan of ${model##*/}"; then
    run "$ossicle" plan -m "$model" --device "vulkan:$device"
fi
if section bench "Speed of ${model##*/}"; then
    depths=0,4096
    [ "$type" != software ] || depths=0
    run "$ossicle" bench -m "$model" --device "vulkan:$device" -p 512 -n 128 -d "$depths" -r 5
    run "$ossicle" bench -m "$model" --device "vulkan:$device" -p 2048 -n 0 -r 3
    for tier in $tiers; do
        say "tier $tier"
        run "$ossicle" bench -m "$model" --device "vulkan:$device" --vulkan-tier "$tier" \
            -p 512 -n 64 -r 2
    done
fi
if section ops "Time per op, barriers, submissions"; then
    run "$ossicle" bench -m "$model" --device "vulkan:$device" -p 512 -n 64 -r 2 --profile
fi
say "" "$([ "$failed" -eq 0 ] && echo 'all passed' || echo 'SOMETHING FAILED: see above')"
exit "$failed"
