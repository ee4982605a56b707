#!/bin/sh
# The full-size promises, measured: what `plan` says, what the kernel saw, and the time to a first
# result. Makes the 12.1 GB file of the published layout with random weights once.
#
#   tests/bench/full_size.sh [MODEL]       default ${OSSICLE_CACHE:-~/.cache/ossicle}/20b.gguf
#
# Wants 14 GB of free memory, 13 GB of disk and a built build/release (tests/run.sh makes it).
# Exit 1 if a promise is broken: 13.3 GB or less at 32,768 tokens of context, by the plan and by the
# kernel's peak resident size, the second no more than the first; with a warm page cache and mapped
# weights, a one-token prompt scored within 1 s of start and an answer to "Hello" begun within 2 s.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
build=$root/build/release
program=$build/ossicle
cache=${OSSICLE_CACHE:-$HOME/.cache/ossicle}
model=${1:-$cache/20b.gguf}
context=32768 promise_bytes=13300000000 score_ms=1000 first_ms=2000
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
broken() {
    echo "BROKEN: $*"
    failed=1
}

if [ ! -f "$model" ]; then
    "$root/tests/fixtures/o200k.sh" >/dev/null
    echo "making $model (about a minute)" >&2
    "$build/make_gguf" --preset 20b --out "$model.part" --threads "$(nproc)" >&2
    mv "$model.part" "$model"
fi
echo "reading $model into the page cache" >&2
cat "$model" >/dev/null

"$build/tests/peak" "$folder/took" 60 "$program" plan -m "$model" --device cpu \
    --context $context --json >"$folder/plan.json"
read -r _ plan_ms plan_kb <"$folder/took"
planned=$(jq .total_bytes "$folder/plan.json")
echo "plan at $context tokens: $planned bytes, computed in $plan_ms ms and $plan_kb KiB"
[ "$planned" -le $promise_bytes ] || broken "planned $planned bytes, promised $promise_bytes"

echo '[[11]]' >"$folder/one.json"
"$build/tests/peak" "$folder/took" 120 "$program" score -m "$model" --device cpu \
    --weights mapped --ids "$folder/one.json" --top 5 --json >"$folder/out"
read -r code ms kb <"$folder/took"
echo "score of a one-token prompt: exit $code, $ms ms from start to end, peak $kb KiB"
{ [ "$code" -eq 0 ] && [ "$ms" -le $score_ms ]; } || broken "a first score in $score_ms ms"

"$build/tests/peak" "$folder/took" 120 "$program" run -m "$model" --device cpu --weights mapped \
    -n 1 Hello >"$folder/out" 2>"$folder/err" || :
read -r code ms kb <"$folder/took"
echo "one token of an answer to Hello: exit $code, $ms ms from start to end, peak $kb KiB"
{ [ "$code" -eq 0 ] && [ "$ms" -le $first_ms ]; } || broken "a first token in $first_ms ms"

# A prompt long enough that every expert is used, then an answer.
awk 'BEGIN { for (i = 0; i < 600; i++) printf "Item %d is %d. ", i, i * 7919 % 1000 }' \
    >"$folder/prompt"
"$build/tests/peak" "$folder/took" 900 "$program" run -m "$model" --device cpu \
    --context $context -n 16 --seed 1 - <"$folder/prompt" >"$folder/out" 2>"$folder/err" || :
read -r code ms kb <"$folder/took"
peak=$((kb * 1024))
echo "an answer at $context tokens of context: exit $code, $ms ms, peak $peak bytes"
[ "$code" -eq 0 ] || { cat "$folder/err"; broken "an answer"; }
[ "$peak" -le $promise_bytes ] || broken "resident $peak bytes, promised $promise_bytes"
[ "$peak" -le "$planned" ] || broken "resident $peak bytes, planned $planned"
exit $failed
