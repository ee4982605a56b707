#!/bin/sh
# Speed against llama.cpp on one file, paired so that drift cannot favour either.
#
#   tests/bench/compare.sh [--json] MODEL [ROUNDS [THREADS [OSSICLE]]]    default: 3, all cores
#
# A pair is one test by both programs, one right after the other, in the order ours, theirs, then
# theirs, ours, and so on. The ratio is taken within a pair; the median of the ratios is printed
# with the lowest and highest, beside the medians of the speeds, and of the reads of memory that
# ours made in the same minute. A round is one pair of every test. Each call loads the model anew;
# the speed of a call is the median of its repetitions: 3 of generation, 2 of prompts up to 1,024
# tokens, one and no warm-up of longer ones. Before each call the file is read into the page cache,
# from which llama.cpp's repacked copy may have driven it.
#
# On the full model a round of the defaults takes 9 minutes on two Zen 5 cores: 1 each for tg64 and
# pp512, 2 for tg64 at depth 1,024, 5 for pp4096. Needs a quiet machine, root and, once, the
# network: see tests/parity/peer.sh (exit 77 where llama.cpp cannot be had).
#
#   BENCH_PROMPT=512,4096    tokens read, at depth 0; empty: none
#   BENCH_GENERATE=64        tokens written, at every depth; empty: none
#   BENCH_DEPTHS=0,1024      llama.cpp needs minutes to get to 16384: see DEEP
#   ROUNDS=3                 as the second argument
#   LEVEL=avx2               ours with --cpu-level avx2, theirs with its haswell backend alone
#   DEEP=16384               ours alone, at depth 0 and this one: what depth costs
#   START=1                  from start to the first token, instead of speeds
#   OSSICLE_OPTIONS, LLAMA_OPTIONS   further options for `bench` and llama-bench
# --json prints one line of JSON in place of the table.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
json=0
[ "${1:-}" != --json ] || { json=1; shift; }
if [ $# -lt 1 ] || [ ! -f "$1" ]; then
    echo 'usage: tests/bench/compare.sh [--json] MODEL [ROUNDS [THREADS [OSSICLE]]]' >&2
    exit 1
fi
model=$1 rounds=${2:-${ROUNDS:-3}} threads=${3:-$(nproc)}
program=${4:-$root/build/release/ossicle}
prompts=${BENCH_PROMPT-512,4096} generate=${BENCH_GENERATE-64} depths=${BENCH_DEPTHS:-0,1024}
level=${LEVEL:-} ours_options=${OSSICLE_OPTIONS:-} theirs_options=${LLAMA_OPTIONS:-}
case $level in
'') ;;
avx2) PEER_CPU=haswell ours_options="$ours_options --cpu-level avx2" && export PEER_CPU ;;
*) echo "LEVEL=$level: only avx2 has a counterpart" >&2 && exit 1 ;;
esac
peer=$root/tests/parity/peer.sh
"$peer" >/dev/null || exit $?
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/all"

tests= # as TOKENS-READ:TOKENS-WRITTEN:DEPTH
for tokens in $(echo "$generate" | tr ',' ' '); do
    for depth in $(echo "$depths" | tr ',' ' '); do tests="$tests 0:$tokens:$depth"; done
done
for tokens in $(echo "$prompts" | tr ',' ' '); do tests="$tests $tokens:0:0"; done

# options TEST: what both benches are given for it.
options() {
    read=${1%%:*} rest=${1#*:}
    repetitions=3
    [ "$read" -eq 0 ] || repetitions=2
    [ "$read" -le 1024 ] || repetitions='1 --no-warmup'
    echo "-p $read -n ${rest%:*} -d ${rest#*:} -r $repetitions -t $threads -o json"
}
fail() {
    cat "$folder/log" "$folder/out" >&2
    echo "the bench of '$1' failed" >&2
    exit 1
}
# ours TEST, theirs TEST: one call; its JSON in "$folder/out".
ours() {
    # shellcheck disable=SC2046,SC2086 # options are words
    "$program" bench -m "$model" --device cpu $(options "$1") $ours_options \
        >"$folder/out" 2>"$folder/log"
}
theirs() {
    "$peer" "$model" "exec llama-bench -m /mnt/model.gguf -dev none -ngl 0 \
        $(options "$1") $theirs_options" >"$folder/out" 2>"$folder/log"
}
warm() { cat "$model" >/dev/null; }

# call WHO TEST PAIR: adds a line to "$folder/all".
call() {
    warm
    "$1" "$2" || fail "$1"
    jq -c --arg who "$1" --argjson pair "$3" '
        def median: sort | .[(length - 1) / 2 | floor] / 2 + .[length / 2 | floor] / 2;
        (if type == "array" then . else .rows end)[] |
        {who: $who, pair: $pair, ts: (.samples_ts | median),
         test: ((if .n_gen > 0 then "tg\(.n_gen)" else "pp\(.n_prompt)" end) +
             (if .n_depth > 0 then " @ d\(.n_depth)" else "" end)),
         read: (.read_bandwidth_median // null),
         fraction: (.bandwidth_fraction_median // .arithmetic_fraction // null)}' "$folder/out" \
        >"$folder/row"
    cat "$folder/row" >>"$folder/all"
    jq -r 'def show: . * 100 | round / 100;
        "  \(.test)\t\(.who)\t\(.ts | show) t/s" + (if .read == null then "" else
        "\t\(.read / 1e9 | show) GB/s can be read" end)' "$folder/row" >&2
}

# ---- From start to the first token ---------------------------------------------------------

echo '[[11]]' >"$folder/one.json"
start_score() {
    # shellcheck disable=SC2086
    "$program" score -m "$model" --device cpu -t "$threads" --ids "$folder/one.json" --top 1 \
        --json $ours_options
}
start_run() {
    # shellcheck disable=SC2086
    "$program" run -m "$model" --device cpu -t "$threads" -n 1 $ours_options Hello
}
start_llama() { # its shortest way to one token after one
    "$peer" "$model" "exec llama-completion -m /mnt/model.gguf -dev none -ngl 0 -t $threads \
        -c 512 -n 1 -p , -no-cnv --no-warmup $1 </dev/null"
}
start_llama_repacked() { start_llama ''; }
start_llama_as_it_is() { start_llama --no-repack; }
# seconds WHAT PAIR: runs it, adds a line of milliseconds.
milliseconds() {
    warm
    begin=$(date +%s%N)
    "start_$1" >"$folder/out" 2>"$folder/log" || fail "$1"
    took=$((($(date +%s%N) - begin) / 1000000))
    printf '  %s\t%s ms\n' "$1" "$took" >&2
    echo "{\"what\": \"$1\", \"pair\": $2, \"ms\": $took}" >>"$folder/all"
}

round=1
while [ "$round" -le "$rounds" ]; do
    echo "round $round" >&2
    order='ours theirs'
    [ $((round % 2)) -eq 1 ] || order='theirs ours'
    if [ -n "${START:-}" ]; then
        for what in score llama_as_it_is run llama_repacked; do milliseconds $what "$round"; done
    elif [ -n "${DEEP:-}" ]; then
        for test in "0:${generate%%,*}:0" "0:${generate%%,*}:$DEEP"; do
            call ours "$test" "$round"
        done
    else
        for test in $tests; do
            for who in $order; do call "$who" "$test" "$round"; done
        done
    fi
    round=$((round + 1))
done

# ---- What it comes to ----------------------------------------------------------------------

cpu=$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //' || echo unknown)
version=$("$peer" "$model" 'dpkg-query -W -f "\${Version}" llama.cpp-tools')
jq -cs --arg cpu "$cpu" --arg date "$(date -u +%Y-%m-%d)" --argjson threads "$threads" \
    --arg level "$level" --arg llama "$version" --arg ossicle "$("$program" version | head -1)" \
    --argjson rounds "$rounds" --argjson deep "${DEEP:-null}" '
    def median: sort | .[(length - 1) / 2 | floor] / 2 + .[length / 2 | floor] / 2;
    def spread: {median: median, least: min, most: max};
    {$date, $cpu, $threads, $level, $ossicle, $llama, $rounds,
     start: ([.[] | select(.what)] | group_by(.what) |
        map({what: .[0].what, ms: (map(.ms) | spread)})),
     tests: ([.[] | select(.test)] | group_by(.test) | map(
        (map(select(.who == "ours")) | sort_by(.pair)) as $a |
        (map(select(.who == "theirs")) | sort_by(.pair)) as $b |
        {test: .[0].test, ours: ($a | map(.ts) | spread), read: ($a | map(.read) | spread),
         fraction: ($a | map(.fraction // empty) | if . == [] then null else spread end)} +
        (if $b == [] then {} else
            {theirs: ($b | map(.ts) | spread),
             ratio: ([$a, $b] | transpose | map(.[0].ts / .[1].ts) | spread)} end)))} |
    if $deep == null then . else
        # what is left of depth 0: of its speed, and of the bytes it reads in a second
        .depth = (.tests | (map(select(.test | contains("@") | not))[0]) as $flat |
            (map(select(.test | contains("@")))[0]) as $down |
            {speed: ($down.ours.median / $flat.ours.median),
             bytes: ($down.fraction.median * $down.read.median /
                 ($flat.fraction.median * $flat.read.median))}) end' \
    "$folder/all" >"$folder/result"
if [ "$json" -eq 1 ]; then
    cat "$folder/result"
    exit 0
fi
jq -r '
    def show: if . == null then "-" else . * 100 | round / 100 | tostring end;
    def range: if . == null then "-" else "\(.least | show)..\(.most | show)" end;
    "\(.date), \(.cpu), \(.threads) threads\(if .level == "" then "" else ", " + .level end)",
    "\(.ossicle); llama.cpp \(.llama); \(.rounds) rounds, medians and least..most",
    (if .tests == [] then empty else
        "test\tossicle t/s\tllama.cpp t/s\tratio\tread GB/s\tof the ceiling" end),
    (.tests[] | "\(.test)\t\(.ours.median | show) (\(.ours | range))\t" +
        "\(.theirs.median | show) (\(.theirs | range))\t" +
        "\(.ratio.median | show) (\(.ratio | range))\t" +
        "\(.read.median / 1e9 | show)\t\(.fraction.median | show) (\(.fraction | range))"),
    (.start[] | "\(.what)\t\(.ms.median) ms (\(.ms | range))"),
    (if .depth == null then empty else
        "depth leaves \(.depth.speed * 100 | round) % of the speed, " +
        "\(.depth.bytes * 100 | round) % of the bytes a second, cache included" end)' \
    "$folder/result"
