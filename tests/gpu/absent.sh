#!/bin/sh
# The program where there is no libvulkan, a broken one, or no driver: the CPU does everything as
# before, and asking for Vulkan is refused in one line that says what to install.
#
#   tests/gpu/absent.sh OSSICLE MODEL
set -eu
program=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# A file of that name which is no library hides the real one from dlopen, without root.
mkdir "$folder/lib"
echo "no library" >"$folder/lib/libvulkan.so.1"
hidden() { LD_LIBRARY_PATH=$folder/lib "$@"; }
driverless() { VK_DRIVER_FILES=$folder/none.json VK_ICD_FILENAMES=$folder/none.json "$@"; }

echo '[[1,2,3],[5,8,13,21,34]]' >"$folder/ids.json"
"$program" score -m "$model" --device cpu --ids "$folder/ids.json" --top 5 --json >"$folder/want"
for how in hidden driverless; do
    for device in cpu auto; do
        $how "$program" score -m "$model" --device $device --ids "$folder/ids.json" --top 5 \
            --json >"$folder/got" || fail "$how: score --device $device"
        cmp -s "$folder/want" "$folder/got" || fail "$how: --device $device says something else"
    done
    $how "$program" plan -m "$model" >/dev/null || fail "$how: plan"
    $how "$program" selftest >/dev/null || fail "$how: selftest"

    code=0
    $how "$program" score -m "$model" --device vulkan --ids "$folder/ids.json" --top 5 --json \
        >"$folder/got" 2>"$folder/why" || code=$?
    [ "$code" -eq 5 ] || fail "$how: --device vulkan ends with $code, not 5"
    [ ! -s "$folder/got" ] || fail "$how: --device vulkan prints a result"
    [ "$(wc -l <"$folder/why")" -eq 1 ] || fail "$how: not one line: $(cat "$folder/why")"
    grep -Eq 'libvulkan1|mesa-vulkan-drivers' "$folder/why" ||
        fail "$how: does not say what to install: $(cat "$folder/why")"
    echo "$how: $(cat "$folder/why")"
done
