#!/bin/sh
# Speed against llama.cpp's Vulkan backend on the same software driver: Debian sid's lavapipe, both
# programs in the same folder, in turn, so that what the machine does besides hits both alike.
#
#   tests/gpu/compare.sh [MODEL [ROUNDS]]     default: the fixture "peer", 5 rounds
#
# The fixture: 4 layers, 256 wide, 8 heads of 64 on 2 kv heads, 4 of 32 experts of 256, 201,088
# tokens, Q8_0 and MXFP4. llama.cpp 0.7.0 does 200 to 340 tokens of prefill and 24 to 53 of decode a
# second on it on two Zen 5 cores, as the neighbours allow; with another head count, expert count or
# vocabulary it is further from the 221 and 32 that a first comparison gave.
#
# BENCH_PROMPT (512), BENCH_GENERATE (64) and BENCH_DEPTHS (0) say what is run; BENCH_OPTIONS are
# options for ours (default: --device vulkan). A first round warms up and does not count. Prints
# both medians, their range and the ratio of the medians, with the lowest and highest of the
# rounds' ratios. Exit 77 where tests/gpu/sid.sh cannot work; 1 if TARGET is given and not reached.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
rounds=${2:-5}
prompt=${BENCH_PROMPT:-512} generate=${BENCH_GENERATE:-64} depths=${BENCH_DEPTHS:-0}
options=${BENCH_OPTIONS:---device vulkan}
SID_TARGETS='ossicle make_gguf' "$here/sid.sh" >/dev/null || exit $?
model=${1:-$root/build/sid/peer.gguf}
if [ -z "${1:-}" ] && [ ! -f "$model" ]; then
    SID_TARGETS=none "$here/sid.sh" './make_gguf --preset peer --out peer.gguf >/dev/null'
fi
[ -f "$model" ] || { echo "no such model: $model" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() { # run WHO ROUND: appends one JSON object a row
    case $1 in
    ours) command="./ossicle bench -m /mnt/model.gguf -p $prompt -n $generate -d $depths -r 1 \
        -t $(nproc) $options -o json" ;;
    theirs) command="GGML_VK_VISIBLE_DEVICES=0 llama-bench -m /mnt/model.gguf -p $prompt \
        -n $generate -d $depths -r 1 -t $(nproc) -ngl 99 -o json" ;;
    esac
    SID_TARGETS=none SID_MODEL=$model "$here/sid.sh" "$command" >"$folder/out" 2>"$folder/log" || {
        cat "$folder/log" "$folder/out" >&2
        echo "the bench of '$1' failed" >&2
        exit 1
    }
    jq -c --arg who "$1" --argjson round "$2" '(if type == "array" then . else .rows end)[] |
        {who: $who, round: $round, ts: .avg_ts,
         test: ((if .n_gen > 0 then "tg\(.n_gen)" else "pp\(.n_prompt)" end) +
         (if .n_depth > 0 then " @ d\(.n_depth)" else "" end))}' "$folder/out" >"$folder/rows"
    [ "$2" -eq 0 ] || cat "$folder/rows" >>"$folder/all"
    jq -r '"  \(.who)\t\(.test)\t\(.ts * 100 | round / 100) t/s"' "$folder/rows" >&2
}

round=0
while [ "$round" -le "$rounds" ]; do
    if [ "$round" -eq 0 ]; then echo "warming up" >&2; else echo "round $round" >&2; fi
    run ours "$round"
    run theirs "$round"
    round=$((round + 1))
done

grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //' || :
SID_TARGETS=none "$here/sid.sh" 'dpkg-query -W -f "\${Package} \${Version}, " llama.cpp-tools \
    mesa-vulkan-drivers'
echo "$(nproc) cores, $rounds rounds, medians"
jq -rs --arg target "${TARGET:-0}" '
    def median: sort | if length % 2 == 1 then .[length / 2 | floor]
        else (.[length / 2 - 1] + .[length / 2]) / 2 end;
    def show: . * 100 | round / 100;
    def range: "\(median | show) (\(min | show) to \(max | show))";
    [group_by(.test)[] | (map(select(.who == "ours")) | sort_by(.round) | map(.ts)) as $a |
        (map(select(.who == "theirs")) | sort_by(.round) | map(.ts)) as $b |
        ([$a, $b] | transpose | map(.[0] / .[1])) as $each |
        {test: .[0].test, ours: ($a | range), theirs: ($b | range),
         ratio: (($a | median) / ($b | median)), low: ($each | min), high: ($each | max)}] |
    "test\tossicle t/s\tllama.cpp Vulkan t/s\tratio",
    (.[] | "\(.test)\t\(.ours)\t\(.theirs)\t\(.ratio | show) (\(.low | show) to \(.high | show))"),
    if any(.[]; .ratio < ($target | tonumber)) then
        "a ratio is below the target of \($target)\n" | halt_error(1) else empty end' "$folder/all"
