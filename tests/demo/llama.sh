#!/bin/sh
# The demo model's held-out questions through llama.cpp: the file is a plain gpt-oss file.
#
#   tests/demo/llama.sh TEST_DEMO MODEL QUESTIONS.json FOLDER
#
# Every prompt that Ossicle reads goes to llama-server as token ids; greedily it must write the same
# tokens for 95 % of them. The file's own template (--jinja) must make the same prompts. Then a
# sample of the questions that ours answers right goes to the chat endpoint: nine in ten must be
# right there, a call of a tool by its name and arguments. FOLDER keeps what was written. Exit 77
# where llama.cpp cannot be had.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../parity" && pwd -P)
program=$1 model=$2 questions=$3 out=$4
# shellcheck source=tests/parity/llama_server.sh
. "$here/llama_server.sh"
mkdir -p "$out"

# What Ossicle writes; whether it is right is not asked here.
"$program" "$model" "$questions" cpu "$out/ours.json" >"$out/ours.log" 2>&1 || :
jq -e 'length > 0' "$out/ours.json" >/dev/null || { tail "$out/ours.log"; exit 1; }
llama_start "$model" 4096 --jinja -t 1

# Ids that end a message for good are trimmed: programs differ in whether they give them.
stops=$(llama_ask /tokenize -d '{"content": "<|return|><|call|><|endoftext|>", "add_special": false,
    "parse_special": true}' | jq -c .tokens)
jq -c '.[] | {prompt: .prompt, n_predict: 700, temperature: 0, samplers: ["temperature"],
    return_tokens: true, cache_prompt: false}' "$out/ours.json" >"$folder/requests"
while IFS= read -r request; do
    llama_ask /completion -d "$request" </dev/null
    echo
done <"$folder/requests" >"$folder/theirs"
jq -s 'map({tokens, content})' "$folder/theirs" >"$out/theirs.json"
jq -n --argjson stops "$stops" --slurpfile a "$out/ours.json" --slurpfile b "$out/theirs.json" '
    def trimmed: if length > 0 and (.[-1] as $last | $stops | index($last)) != null
        then .[:-1] | trimmed else . end;
    [$a[0], $b[0]] | transpose | map({id: .[0].id, kind: .[0].kind,
        same: ((.[0].written | trimmed) == (.[1].tokens | trimmed)), theirs: .[1].content}) |
    {same: (map(select(.same)) | length), count: length, other: map(select(.same | not))}' \
    >"$out/result.json"
jq -r '"prompts that llama.cpp and Ossicle answer alike: \(.same) of \(.count), \(
    .same * 1000 / .count | round / 10) %",
    (.other[] | "  question \(.id) (\(.kind)): llama.cpp writes \(.theirs | .[:200] | tojson)")' \
    "$out/result.json"

# The file's own template, on the questions of one turn: the same token ids, but for the date,
# which llama.cpp always tells.
jq 'map(select(.identity == null and (.turns | length) == 1))' "$questions" >"$folder/single"
jq -c '.[] | {messages: ([{role: "system", content: (.instructions // empty)}] +
        [{role: "user", content: .turns[0].user}]),
    chat_template_kwargs: {reasoning_effort: .effort}} +
    if .tools == [] then {} else {tools: .tools} end' "$folder/single" >"$folder/requests"
while IFS= read -r request; do
    llama_ask /apply-template -d "$request" </dev/null
    echo
done <"$folder/requests" >"$folder/prompts"
jq -nc --slurpfile q "$folder/single" --slurpfile p "$folder/prompts" '
    [$q[0], $p] | transpose[] |
    (.[0].date | if . then "\nCurrent date: " + . else "" end) as $date |
    {content: (.[1].prompt | sub("\nCurrent date: [-0-9]*"; $date)), add_special: false,
    parse_special: true}' >"$folder/requests"
while IFS= read -r request; do
    llama_ask /tokenize -d "$request" </dev/null
    echo
done <"$folder/requests" >"$folder/tokens"
jq -nr --slurpfile a "$out/ours.json" --slurpfile q "$folder/single" \
    --slurpfile t "$folder/tokens" --slurpfile r "$folder/requests" '
    (reduce ($a[0] | reverse)[] as $one ({}; .["\($one.id)"] = $one.prompt)) as $ours |
    ([$q[0], $t, $r] | transpose) as $all |
    ($all | map(select($ours["\(.[0].id)"] != .[1].tokens))) as $other |
    "its own template makes the same prompt for \(($all | length) - ($other | length)) of \(
        $all | length)",
    ($other[] | "  another for question \(.[0].id): \(.[2].content | tojson)")' \
    >"$out/template_prompts"
cat "$out/template_prompts"

# And the answers to up to six questions of a kind that have nothing special and are not about the
# date: those that ours, as it has said above, gets right.
wrong=$(sed -n 's/^question \([0-9]*\) (.*/\1/p' "$out/ours.log" | jq -cs .)
jq -c --argjson wrong "$wrong" '[group_by(.kind)[] | map(select(.identity == null and
    .instructions == null and (.turns | length) == 1 and ((.expect.calls // [1]) | length) == 1 and
    ((.expect.any // []) | index("not told") == null) and
    (.id as $id | $wrong | index($id) == null))) | .[:6][]] | .[]' \
    "$questions" >"$folder/sample"
while IFS= read -r question; do
    printf '%s' "$question" | jq -c '{messages: [{role: "user", content: .turns[0].user}],
        temperature: 0, max_tokens: 700, chat_template_kwargs: {reasoning_effort: .effort}} +
        if .tools == [] then {} else {tools: .tools} end' >"$folder/request"
    llama_ask /v1/chat/completions -d "@$folder/request" >"$folder/answer" </dev/null
    jq -c --argjson q "$question" '{id: $q.id, kind: $q.kind, message: .choices[0].message,
        right: (.choices[0].message as $m | $m.content // "" | . as $text |
            if (($q.expect.calls // []) | length) > 0 then
                $q.expect.calls[0] as $want | $m.tool_calls[0].function |
                .name == $want.name and ((.arguments | fromjson? // null) == $want.arguments)
            else
                all($q.expect.all // [] | .[]; . as $part | $text | contains($part)) and
                (($q.expect.any // null) as $any | $any == null or
                    any($any[]; . as $part | $text | contains($part)))
            end)}' "$folder/answer" 2>"$folder/why" ||
        { head -c 500 "$folder/answer"; cat "$folder/why"; exit 1; }
done <"$folder/sample" >"$out/template"
jq -rs '"through its own chat template: \(map(select(.right)) | length) of \(length) right",
    (.[] | select(.right | not) | "  question \(.id) (\(.kind)): \(.message | tojson | .[:200])")' \
    "$out/template"

jq -e '.same >= 0.95 * .count' "$out/result.json" >/dev/null ||
    { echo "fewer than 95 % alike"; exit 1; }
! grep -q '^  another' "$out/template_prompts" ||
    { echo "its own template makes other prompts"; exit 1; }
jq -es '(map(select(.right)) | length) >= 0.9 * length' "$out/template" >/dev/null ||
    { echo "fewer than 90 % right through the file's own template"; exit 1; }
