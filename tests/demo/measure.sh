#!/bin/sh
# How often the demo model is right on questions it was not trained on: SEEDS draws of 200 held-out
# questions, a table by kind.
#
#   tests/demo/measure.sh TEST_DEMO MODEL FOLDER [SEEDS]    (10)
#
# Fails where less than 95 % of all are right, or of sums, letters, facts about Ossicle or tools, or
# where a call is no valid JSON. FOLDER keeps the questions and what was answered wrong.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
program=$1 model=$2 out=$3 seeds=${4:-10}
python=/usr/bin/python3
export PYTHONDONTWRITEBYTECODE=1
mkdir -p "$out"
rm -f "$out"/[0-9]*.txt
seed=0
while [ $seed -lt "$seeds" ]; do
    seed=$((seed + 1))
    "$python" "$here/corpus/questions.py" $seed >"$out/$seed.json"
    # What this many questions must come to is asked below, of all together.
    "$program" "$model" "$out/$seed.json" cpu "$out/ids.json" >"$out/$seed.txt" 2>&1 || :
    grep -q '^all ' "$out/$seed.txt" || { tail "$out/$seed.txt"; exit 1; }
done
cat "$out"/[0-9]*.txt | awk '
    /^kind  / { table = 1; next }
    table && NF == 5 && $5 == "%" {
        if (!($1 in of)) name[++names] = $1
        right[$1] += $2; of[$1] += $3; next
    }
    /^tool calls: / { calls += $3; valid += $NF; table = 0 }
    END {
        printf "%-12s %6s %6s\n", "kind", "right", "of"
        for (i = 1; i <= names; i++) {
            k = name[i]
            low = right[k] < 0.95 * of[k] && k ~ /^(all|arithmetic|letters|facts|tools)$/
            printf "%-12s %6d %6d  %5.1f %%%s\n", k, right[k], of[k], 100 * right[k] / of[k],
                low ? "  too few" : ""
            few += low
        }
        printf "tool calls: %d, with valid JSON: %d\n", calls, valid
        exit few > 0 || valid < calls || calls == 0
    }'
