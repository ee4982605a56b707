#!/bin/sh
# The demo model's held-out questions through llama.cpp: the file is a plain gpt-oss file.
#
#   tests/demo/llama.sh TEST_DEMO MODEL QUESTIONS.json FOLDER
#
# Every prompt that Ossicle reads goes to llama-server as token ids; greedily it must write the same
# tokens for 95 % of them. Then a sample of the questions goes to its chat endpoint, with the file's
# own template (--jinja): judged as the answers of ours are, and a call of a tool by its name and
# arguments. FOLDER keeps what was written. Exit 77 where llama.cpp cannot be had.
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

# By the file's own template: up to six questions of a kind that have one turn and nothing special.
jq -c '[group_by(.kind)[] | map(select(.identity == null and .instructions == null and
    (.turns | length) == 1 and ((.expect.calls // [1]) | length) == 1)) | .[:6][]] | .[]' \
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
jq -es '(map(select(.right)) | length) >= 0.9 * length' "$out/template" >/dev/null ||
    { echo "fewer than 90 % right through the file's own template"; exit 1; }
