#!/bin/sh
# Builds everything for 64-bit ARM and tests it under qemu, on a machine of another kind.
#
#   tests/aarch64.sh [NATIVE]    NATIVE: a build folder of this machine (default: build/release);
#                                its programs serve the end-to-end part
#
# 1. The preset aarch64 into build/aarch64, all targets.
# 2. The program holds sdot and smmla, and only the kernels meant to have them do.
# 3. The unit tests on qemu's "max", which has i8mm, where those of the kernels and the executor go
#    through every table; those of the kernels and the engine also on a Cortex-A76 (Raspberry Pi 5:
#    dotprod) and a Cortex-A53 (neither), which fault where a table holds more. Each checks its own.
# 4. `ossicle score` on tiny models on each of the three, against the double-precision reference
#    and against this machine's own program; and what the built-in demo answers.
# Exit: 0 all passed, 77 something it needs is not installed (one line says what), else failed.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
native=${1:-$root/build/release}
build=$root/build/aarch64
log=$build/aarch64.log
say() { printf 'aarch64: %s\n' "$*" >&2; }
skip() { say "SKIPPED: $*"; exit 77; }

case $(uname -m) in
aarch64 | arm64) skip "this machine is 64-bit ARM itself: the ordinary tests are these" ;;
esac
for tool in aarch64-linux-gnu-gcc aarch64-linux-gnu-objdump cmake ninja pkg-config jq; do
    command -v $tool >/dev/null || skip "no $tool here: apt-get install gcc-aarch64-linux-gnu"
done
emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) ||
    skip "no qemu-aarch64 here: apt-get install qemu-user-static"
sysroot=$("$root/tests/aarch64_sysroot.sh") || exit $?

say "building in build/aarch64"
# Libraries once found stay found: another folder of them wants another start.
grep -qxF "OSL_ARM64_ROOT:PATH=$sysroot" "$build/CMakeCache.txt" 2>/dev/null || rm -rf "$build"
mkdir -p "$build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_TOOLCHAIN_FILE="$root/platform/posix/aarch64-linux-gnu.cmake" \
    -DOSL_ARM64_ROOT="$sysroot" >"$log" 2>&1 ||
    { cat "$log" >&2; exit 1; }
cmake --build "$build" >"$log" 2>&1 ||
    { tail -n 40 "$log" >&2; exit 1; }

# Which functions of the program hold an instruction, one a line.
holders() {
    aarch64-linux-gnu-objdump -d --no-show-raw-insn "$build/ossicle" | awk -v want="$1" '
        /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name) }
        $2 == want && !seen[name]++ { print name }'
}
for pair in sdot:dotprod smmla:i8mm; do
    instruction=${pair%:*} level=${pair#*:}
    found=$(holders "$instruction")
    echo "$found" | grep -q "$level" ||
        { say "FAILED: no $level kernel of the program holds $instruction"; exit 1; }
    stray=$(echo "$found" | grep -v "$level" || :)
    [ -z "$stray" ] || { say "FAILED: $instruction in a function for any core: $stray"; exit 1; }
    # shellcheck disable=SC2086  # names are words
    say "$instruction is in" $found
done

# run_tests CPU LEVEL CTEST_OPTION...
run_tests() {
    cpu=$1 level=$2
    shift 2
    say "tests on $cpu, which should choose $level"
    QEMU_CPU=$cpu OSL_EXPECT_KERNELS=$level ctest --test-dir "$build" --output-on-failure \
        --no-tests=error -j "$(nproc)" --timeout 400 "$@" >"$log" 2>&1 ||
        { cat "$log" >&2; say "FAILED on $cpu"; exit 1; }
    grep -E 'tests passed' "$log" >&2
}
# test_pick loses a device hundreds of times: minutes under emulation, and nothing of ARM's in it.
run_tests max i8mm -L unit -E '^test_pick$'
run_tests cortex-a76 dotprod -R '^test_(kernels|engine)'
run_tests cortex-a53 neon -R '^test_(kernels|engine)'

for tool in ossicle make_gguf reference_score; do
    [ -x "$native/$tool" ] ||
        { say "FAILED: no $tool in $native; build there first, or name a build folder"; exit 1; }
done

# The limit of tests/parity/score.sh. Between processors, a sum that rounds otherwise moves an
# activation to the next of its 255 steps now and then: 0.02 here.
limit=0.08
folder=$build/end_to_end
mkdir -p "$folder"
"$root/tests/parity/prompts.sh" 600 7 1 2 17 70 200 >"$folder/ids.json"
for dense in Q8_0 BF16; do
    model=$folder/$dense.gguf
    "$native/make_gguf" --preset tiny --dense $dense --seed 12 --out "$model" >/dev/null
    "$native/reference_score" -m "$model" --ids "$folder/ids.json" --top 20 >"$folder/want.json"
    "$native/ossicle" score -m "$model" --device cpu --ids "$folder/ids.json" --top 256 --json \
        >"$folder/native.json"
    for cpu in max cortex-a76 cortex-a53; do
        "$emulator" -cpu $cpu -L "$sysroot" "$build/ossicle" score -m "$model" --device cpu \
            --ids "$folder/ids.json" --top 256 --json >"$folder/got.json"
        for other in want native; do
            "$root/tests/parity/gap.sh" "$cpu, tiny $dense, against $other" \
                "$folder/$other.json" "$folder/got.json" $limit >&2 ||
                { say "FAILED: over the limit of $limit"; exit 1; }
        done
    done
done
question="What is 17 plus 25?"
"$native/ossicle" run --device cpu "$question" >"$folder/native.txt" 2>/dev/null || : # has no demo
for cpu in max cortex-a76 cortex-a53; do
    [ -s "$folder/native.txt" ] || continue
    "$emulator" -cpu $cpu -L "$sysroot" "$build/ossicle" run --device cpu "$question" \
        >"$folder/got.txt" 2>/dev/null </dev/null || :
    cmp -s "$folder/native.txt" "$folder/got.txt" ||
        { say "FAILED: the demo on $cpu answers: $(cat "$folder/got.txt")"; exit 1; }
done
say "all passed"
