#!/bin/sh
# `ossicle score --device vulkan`, each tier that the device has forced in turn, against the float32
# reference: the models, prompts and limit of tests/parity/score.sh.
#
#   tests/parity/vulkan.sh WHERE OSSICLE MAKE_GGUF REFERENCE_SCORE FOLDER
#     WHERE    host: the first usable device that this machine has
#              sid: lavapipe as Debian sid has it, in the chroot of tests/gpu/sid.sh (OSSICLE is
#              then build/sid's, whatever is given); llama.cpp's Vulkan backend beside it
#     FOLDER   may be that of parity_reference, so that its reference's answers serve here too
# On a software device each tier is run as a card would run it too (--vulkan-as-card), on the shapes
# that PARITY_CARD names (default: tiny). PARITY_DEVICE: which device instead of the first.
# PARITY_QUICK: the largest shape at the highest tier only (a minute less a tier on a software
# driver).
# Exit 77 with the reason where there is no device.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
where=$1 program=$2 make_gguf=$3 reference=$4 folder=$5
mkdir -p "$folder"
folder=$(CDPATH='' cd -- "$folder" && pwd -P)
if [ "$where" = sid ]; then
    SID_TARGETS=ossicle "$here/../gpu/sid.sh" >/dev/null || exit $?
    SID_OUT=$folder
    export SID_OUT
    program=$here/../gpu/sid_ossicle.sh
fi

"$program" devices --json >"$folder/$where.devices.json" 2>"$folder/$where.devices.txt" || {
    echo "SKIP: no Vulkan device here: $(tail -n 1 "$folder/$where.devices.txt")"
    exit 77
}
device=$(jq -c --arg n "${PARITY_DEVICE:-}" '[.vulkan[] | select(.usable and
    ($n == "" or .index == ($n | tonumber)))][0] // empty' "$folder/$where.devices.json")
[ -n "$device" ] || {
    echo "SKIP: no usable Vulkan device here: $(jq -r .missing "$folder/$where.devices.json")"
    exit 77
}
echo "$device" | jq -r '"\(.name), \(.driver): up to tier \(.tier)"'
index=$(echo "$device" | jq -r .index)

failed=0
tiers=$(echo "$device" | jq -r '.tier as $most | ["base", "subgroup", "fp16", "dot", "matrix"] |
    .[:index($most) + 1] | join(" ")')
for tier in $tiers; do
    presets='tiny odd small'
    [ -z "${PARITY_QUICK:-}" ] || [ "$tier" = "${tiers##* }" ] || presets='tiny odd'
    SCORE_PRESETS=$presets SCORE_NAME=$where-$tier "$here/score.sh" "$program" "$make_gguf" \
        "$reference" "$folder" --device "vulkan:$index" --vulkan-tier "$tier" || failed=1
    # The shaders and shapes that a card gets, which a software device by itself never runs.
    [ "$(echo "$device" | jq -r .type)" != software ] ||
        SCORE_PRESETS=${PARITY_CARD:-tiny} SCORE_NAME=$where-$tier-card "$here/score.sh" \
            "$program" "$make_gguf" "$reference" "$folder" --device "vulkan:$index" \
            --vulkan-as-card --vulkan-tier "$tier" || failed=1
done

# Judged by nobody: llama.cpp's Vulkan backend, on a model whose YaRN bounds are whole, as it rounds
# them (tests/parity/llama.sh). It has given no numbers at all for some prompts here.
beside_llama() {
    model=$folder/small-whole.gguf ids=$folder/small-whole.ids.json want=$folder/small-whole.want
    "$make_gguf" --preset small --seed 21 --original-context 4378 --out "$model" >/dev/null
    at=$(grep -abo -F gpt-oss.rope.freq_base "$model" | head -n 1 | cut -d: -f1)
    printf '\300\177\133\110' | dd of="$model" bs=1 seek=$((at + 26)) conv=notrunc status=none
    "$here/prompts.sh" 5000 9 1 2 40 130 300 >"$ids"
    "$reference" -m "$model" --ids "$ids" --top 20 >"$want"
    "$program" score -m "$model" --device vulkan --ids "$ids" --top 256 --json >"$want.ours"
    "$here/gap.sh" "beside: ossicle, small-Q8_0 of whole YaRN bounds" "$want" "$want.ours"
    GGML_VK_VISIBLE_DEVICES=0 "$here/llama_top.sh" "$model" "$ids" 256 -ngl 99 >"$want.llama" ||
        return 0
    numbers=$(jq -c '[.prompts | to_entries[] | select(all(.value.top[]; .[1] != null)) | .key]' \
        "$want.llama")
    for file in "$want" "$want.llama"; do
        jq --argjson kept "$numbers" '{prompts: [.prompts[$kept[]]]}' "$file" >"$file.kept"
    done
    "$here/gap.sh" "beside: llama.cpp's Vulkan, the $(echo "$numbers" | jq length) prompts of $(jq \
        '.prompts | length' "$want") that it has numbers for" "$want.kept" "$want.llama.kept"
}
[ "$where" != sid ] || beside_llama
exit "$failed"
