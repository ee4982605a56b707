#!/bin/bash
# run: the same text however it is asked for, --json, empty and too long questions.
# shellcheck disable=SC2086  # common is a list of words
. "$(dirname "$0")/lib.sh"

model
common="run -m model.gguf --board tiny -n 60 --seed 1 $(talkative)"

expect 0 $common hello there
[ -s out ] || fail "no text"
cp out first
silent err
expect 0 $common "hello there"
cmp -s out first || fail "the same seed gave another text"
expect 0 $common -t 1 --prefill 3 "hello there"
cmp -s out first || fail "one thread and other chunks gave another text"
echo "hello there" >in
expect 0 $common -
cmp -s out first || fail "stdin gave another text"
expect 0 $common --json "hello there"
json '.usage.completion_tokens <= 60 and .usage.prompt_tokens > 10 and .seed == 1'
json '.finish_reason == "length" or .finish_reason == "stop"'
jq -j .text out >text
cat first >with_end
{ cat text; [ ! -s text ] || [ "$(tail -c 1 text | od -An -c | tr -d ' ')" = '\n' ] || echo; } |
    cmp -s - with_end || fail "--json has another text than the stream"
silent err
expect 0 $common --stats "hello there"
says "prompt tokens in"
expect 1 run -m model.gguf --board tiny
says "what is the question"
: >in
expect 1 run -m model.gguf --board tiny -
says "empty"
expect 1 run -m model.gguf --date yesterday hello
says "not YYYY-MM-DD"
head -c 20000 /dev/zero | tr '\0' 'x' >in
expect 7 run -m model.gguf --board tiny --context 256 -
says "context"
one_line
"$ossicle" $common "hello there" >/dev/full 2>err
[ $? = 3 ] || fail "a full disk is not exit 3"

finish
