#!/bin/bash
# score: shapes of its input and output, and that its two ways agree.
. "$(dirname "$0")/lib.sh"

model
printf 'hello world' >text
"$ossicle" tokenize -m model.gguf --json <<<'["hello world"]' |
    jq -c '[.[0], .[0][:3], [5]]' >ids.json
expect 0 score -m model.gguf --ids ids.json --top 3 --json
json '(.prompts | length) == 3 and ([.prompts[].top | length] == [3, 3, 3])'
json '[.prompts[].top | .[0][1] >= .[1][1] and .[1][1] >= .[2][1]] | all'
json '[.prompts[].top[][1] <= 0] | all'
cp out first
expect 0 score -m model.gguf --ids ids.json --top 3 --json -t 1 --prefill 2
cmp -s out first || fail "threads or chunks changed the scores"
cp ids.json in
expect 0 score -m model.gguf --ids - --top 3 --json
cmp -s out first || fail "stdin gave other scores"
expect 0 score -m model.gguf --ids ids.json
[ "$(wc -l <out)" = 3 ] || fail "not a line a prompt"

expect 0 score -m model.gguf --text text --json
cp out from_file
json '(.tokens | length) == .scored_tokens + 1 and .tokens[0].logprob == null and .perplexity >= 1'
json '((.tokens[1:] | map(.logprob) | add) - .logprob) | fabs < 1e-4'
json '((-.logprob / .scored_tokens | exp) / .perplexity - 1) | fabs < 1e-6'
json '[.tokens[].text] | add == "hello world"'
expect 0 score -m model.gguf --text "hello world" --json
cmp -s out from_file || fail "a text and a file that holds it differ"
cp text in
expect 0 score -m model.gguf --text - --json
cmp -s out from_file || fail "a text on stdin differs"

# The log-probability of a token given those before it is the same in both ways.
next=$(jq '.[0][3]' ids.json)
jq -c '[.[0][:3]]' ids.json >prefix.json
expect 0 score -m model.gguf --ids prefix.json --top 400 --json
one=$(jq ".prompts[0].top[] | select(.[0] == $next) | .[1]" out)
two=$(jq '.tokens[3].logprob' from_file)
jq -en "($one - $two) | fabs < 1e-5" >/dev/null || fail "--ids says $one, --text $two"

for bad in '' '[' '{}' '[1]' '[[]]' '[[1],[]]' '[["a"]]' '[[1.5]]' '[[-1]]' '[[1e99]]' '[[1]] x' \
    '[[1],null]' '[[[1]]]'; do
    printf '%s' "$bad" >in
    expect 4 score -m model.gguf --ids - --json
    one_line
    silent out
done
echo '[[99999999]]' >in
expect 1 score -m model.gguf --ids - --json
one_line
silent out
echo '[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]]' >in
expect 7 score -m model.gguf --ids - --context 16
expect 1 score -m model.gguf
expect 1 score -m model.gguf --ids ids.json --text x
expect 1 score -m model.gguf --ids ids.json --top 1025
says "nearest valid value is 1024"
expect 1 score -m model.gguf --text ""
expect 3 score -m model.gguf --ids /nonexistent
if has_vulkan; then
    expect 0 score -m model.gguf --ids prefix.json --top 1 --json
    best=$(jq '.prompts[0].top[0][0]' out)
    expect 0 score -m model.gguf --ids prefix.json --top 1 --json --device vulkan
    json ".prompts[0].top[0][0] == $best"
    silent err
    expect 0 run -m model.gguf -n 2 -v --device vulkan --vulkan-tier base hello
    says "runs on vulkan:"
    says "tier base"
fi
expect 0 run -m model.gguf -n 2 -v --device cpu hello
says "runs on the CPU"

finish
