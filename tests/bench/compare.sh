#!/bin/sh
# Speed against llama.cpp on one file: both benches in turn, so that what the machine does besides
# hits both alike, and the ratio of the medians.
#
#   tests/bench/compare.sh MODEL [ROUNDS [THREADS [OSSICLE]]]      default 3 rounds, all cores
#
# 512 tokens of prompt and 64 of answer, at depth 0 and 1024, on the CPU. The first round of each
# warms the page cache and does not count. Needs root and, once, the network: see
# tests/parity/peer.sh (exit 77 where llama.cpp cannot be had). On the full model a round takes
# minutes: run it on a quiet machine.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
    echo 'usage: tests/bench/compare.sh MODEL [ROUNDS [THREADS [OSSICLE]]]' >&2
    exit 1
fi
model=$1 rounds=${2:-3} threads=${3:-$(nproc)} program=${4:-$root/build/release/ossicle}
prompt=${BENCH_PROMPT:-512} generate=${BENCH_GENERATE:-64} depths=${BENCH_DEPTHS:-0,1024}
peer=$root/tests/parity/peer.sh
"$peer" >/dev/null || exit $?
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

ours() {
    "$program" bench -m "$model" -p "$prompt" -n "$generate" -d "$depths" -r 1 -t "$threads" \
        --device cpu -o json 2>"$folder/log"
}
theirs() {
    "$peer" "$model" "exec llama-bench -m /mnt/model.gguf -p $prompt -n $generate -d $depths \
        -r 1 -t $threads -ngl 0 -o json" 2>"$folder/log"
}
run() { # run WHO ROUND: one JSON object a row
    "$1" >"$folder/out" || {
        cat "$folder/log" "$folder/out" >&2
        echo "the bench of '$1' failed" >&2
        exit 1
    }
    jq -c --arg who "$1" '(if type == "array" then . else .rows end)[] |
        {who: $who, test: ((if .n_gen > 0 then "tg\(.n_gen)" else "pp\(.n_prompt)" end) +
         (if .n_depth > 0 then " @ d\(.n_depth)" else "" end)), ts: .avg_ts}' "$folder/out" \
        >"$folder/rows"
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
echo "$threads threads, $rounds rounds, medians; llama.cpp $("$peer" "$model" \
    'dpkg-query -W -f "\${Version}" llama.cpp-tools')"
jq -rs '
    def median: sort | if length % 2 == 1 then .[length / 2 | floor]
        else (.[length / 2 - 1] + .[length / 2]) / 2 end;
    def show: . * 100 | round / 100;
    "test\tossicle t/s\tllama.cpp t/s\tratio",
    (group_by(.test)[] | (map(select(.who == "ours").ts) | median) as $a |
        (map(select(.who == "theirs").ts) | median) as $b |
        "\(.[0].test)\t\($a | show)\t\($b | show)\t\($a / $b | show)")' "$folder/all"
