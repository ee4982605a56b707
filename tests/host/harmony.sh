#!/bin/bash
# harmony: rendering and parsing are each other's reverse; broken input is named.
. "$(dirname "$0")/lib.sh"

echo '{"messages": [{"role": "user", "content": "Hi <|end|>"}], "reasoning_effort": "low",
       "instructions": null}' >in
expect 0 harmony render
prints 'Reasoning: low'
[ "$(tail -c 17 out)" = '<|start|>assistant' ] || [ "$(tail -c 18 out)" = '<|start|>assistant' ] ||
    fail "no start of the assistant's message at the end"
printf '%s%s' '<|channel|>analysis<|message|>hm<|end|>' \
    '<|start|>assistant<|channel|>final<|message|>Yes<|return|>' >in
expect 0 harmony parse --role assistant
json 'length == 2 and .[0].channel == "analysis" and .[1].content == "Yes"'
json '[.[] | has("recipient") or has("name")] | any | not'
printf '<|start|>user<|message|>a<|end|>' >in
expect 0 harmony parse
json '. == [{"role": "user", "content": "a"}]'
printf 'no header at all' >in
expect 4 harmony parse
one_line
silent out
echo '{"messages": 5}' >in
expect 4 harmony render
one_line
echo '{' >in
expect 4 harmony render
one_line
silent out
expect 1 harmony
expect 1 harmony rendre
expect 1 harmony render --tolerant

# A long one: the result's room grows with it.
{ printf '{"messages": [{"role": "user", "content": "'; head -c 300000 /dev/zero | tr '\0' 'x'
    printf '"}]}'; } >in
expect 0 harmony render
[ "$(wc -c <out)" -gt 300000 ] || fail "a long text came out short"
cp out in
expect 0 harmony parse --tolerant
json '[.[] | select(.role == "user")][0].content | length == 300000'

finish
