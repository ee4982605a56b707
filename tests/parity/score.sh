#!/bin/bash
# `ossicle score` against the float32 reference of the whole pass: three shapes, dense parts in
# Q8_0 and in BF16, prompts of 1 to 700 tokens. The best token must be the same and the
# log-probabilities of the reference's 20 best within 0.08.
#
#   tests/parity/score.sh OSSICLE MAKE_GGUF REFERENCE_SCORE FOLDER [ossicle score's options]
#
# Options: default --device cpu. SCORE_PRESETS: default "tiny odd small". SCORE_NAME: printed before
# each line; several runs at a time on one folder need names of their own. FOLDER is kept: models
# and the reference's answers are made again only if their makers change.
# The limit is what one rounding of activations to 8 bits a block, as llama.cpp does it, may move:
# up to 0.06 on these models. Ossicle's own has measured 0.021 at worst, 0.004 where prefill keeps
# 16 bits throughout.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
program=$1 make_gguf=$2 reference=$3 folder=$4
shift 4
[ $# -gt 0 ] || set -- --device cpu
tag=${SCORE_NAME:-}
limit=0.08
lengths='1 2 3 17 31 64 129 257 333 512 700'
mkdir -p "$folder"
exec 9>"$folder/lock"
failed=0
for preset in ${SCORE_PRESETS:-tiny odd small}; do
    for dense in Q8_0 BF16; do
        name=$preset-$dense
        model=$folder/$name.gguf
        flock 9
        if [ ! -f "$model" ] || [ "$make_gguf" -nt "$model" ]; then
            "$make_gguf" --preset "$preset" --dense "$dense" --seed 11 --out "$model.part" \
                >/dev/null
            mv "$model.part" "$model"
        fi
        ids=$folder/$name.ids.json
        case $preset in tiny) vocabulary=600 ;; odd) vocabulary=1337 ;; *) vocabulary=5000 ;; esac
        # shellcheck disable=SC2086  # lengths are words
        "$here/prompts.sh" $vocabulary 5 $lengths >"$ids.new"
        cmp -s "$ids.new" "$ids" || mv "$ids.new" "$ids"
        want=$folder/$name.reference.json
        if [ ! -s "$want" ] || [ "$model" -nt "$want" ] || [ "$reference" -nt "$want" ] ||
            [ "$ids" -nt "$want" ]; then
            "$reference" -m "$model" --ids "$ids" --top 20 >"$want.part"
            mv "$want.part" "$want"
        fi
        flock -u 9
        got=$folder/$name${tag:+.$tag}.json
        "$program" score -m "$model" --ids "$ids" --top 256 --json "$@" 9>&- >"$got"
        "$here/gap.sh" "${tag:+$tag }$name" "$want" "$got" "$limit" || {
            echo "${tag:+$tag }$name: over the limit of $limit, or another best token"
            failed=1
        }
    done
done
exit "$failed"
