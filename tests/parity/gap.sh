#!/bin/sh
# Compares two files of the shape that `ossicle score` prints.
#
#   tests/parity/gap.sh NAME REFERENCE.json CANDIDATE.json [LIMIT [TIES]]
#
# For every prompt: is the best token the same, and how far apart are the log-probabilities of the
# reference's 20 best? A token that the candidate's list lacks counts as far apart as the end of
# that list. Prints one line. With LIMIT: exit 1 if a gap is over it, or if a best token differs
# where the reference's two best are more than TIES apart (default 0: wherever it differs).
set -eu
name=$1 reference=$2 candidate=$3 limit=${4:-} ties=${5:-0}
result=$(jq -n --slurpfile a "$reference" --slurpfile b "$candidate" --arg limit "$limit" '
    def gap($x; $y): ($x - $y) | if . < 0 then -. else . end;
    ($a[0].prompts | length) as $count |
    if $count == 0 or $count != ($b[0].prompts | length)
    then error("not the same prompts") else . end |
    [range($count) as $i | $a[0].prompts[$i].top as $r | $b[0].prompts[$i].top as $c |
        ($c | map({key: (.[0] | tostring), value: .[1]}) | from_entries) as $have |
        {best: ($r[0][0] == $c[0][0]), margin: ($r[0][1] - $r[1][1]),
         gap: ([$r[:20][] | gap(.[1]; $have[.[0] | tostring] // $c[-1][1])] | max)}] |
    {count: $count, same: (map(select(.best)) | length), worst: (map(.gap) | max),
     mean: (map(.gap) | add / length), close: (map(select(.best | not) | .margin) | max // 0)}')
echo "$result" | jq -r --arg name "$name" '
    def show: (. * 10000 | round) / 10000;
    "\($name): best token equal \(.same)/\(.count), worst gap \(.worst | show), " +
    "mean worst gap \(.mean | show)" +
    (if .same < .count then ", widest margin of a differing best \(.close | show)" else "" end)'
[ -z "$limit" ] || echo "$result" | jq -e --argjson limit "$limit" --argjson ties "$ties" \
    '.worst <= $limit and (.same == .count or .close <= $ties)' >/dev/null
