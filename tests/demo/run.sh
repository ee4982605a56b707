#!/bin/bash
# What the README promises of the built-in demo, on the command line: it is small and has the 20b's
# layout, answers without being told anything, calls tools and goes on with what they give, and
# starts at once.
#
#   tests/demo/run.sh OSSICLE MAKE_GGUF    (as the scripts of tests/host)
here=$(CDPATH='' cd -- "$(dirname -- "$0")/../../boards/demo" && pwd -P)
. "$(dirname "$0")/../host/lib.sh"

tools=$here/tools.json
board=$here/board.sh
case $board in *' '*) ln -s "$board" board.sh && board=./board.sh ;; esac

expect 0 inspect --json
json '.runs and .bytes <= 4000000'
json '[.tensors[] | select(.name | endswith("_exps.weight"))] |
    length >= 12 and all(.[]; .type == "MXFP4")'
json '[.tensors[] | select(.name | test("^token_embd|^output.weight|attn_(q|k|v|output).weight"))] |
    length >= 18 and all(.[]; .type == "Q8_0")'
json '[.tensors[] | select(.name | endswith("attn_sinks.weight"))] | length >= 4'

expect 0 run "What is 17 plus 25?"
prints 42
one_line
says "the built-in demo"
cp out first
# The file advises the best token always: the same text whatever the seed, the device, the threads.
expect 0 run --device cpu -t 2 --seed 9 --prefill 1 "What is 17 plus 25?"
cmp -s out first || fail "another text: $(cat out)"
expect 0 run --temperature 5 --seed 1 --json "Tell me a story."
json '.text != ""'

expect 0 run --json "What is 17 plus 25?"
json '.text | test("42")'
json '.timings.first_token_ms < 1000'
jq -r '"first token after \(.timings.first_token_ms | round) ms, start included; \(
    .timings.predicted_per_second | round) tokens/s"' out

# A tool without a command: the call is the answer.
expect 20 run --tools "$tools" "What time is it?"
[ "$(tail -n 1 out | jq -c .)" = '{"name":"get_time","arguments":{}}' ] ||
    fail "no call: $(cat out)"
# With one: its result is in the answer.
expect 0 run --tools "$tools" --tool "get_time=echo 12:34" "What time is it?"
prints 12:34
says '[get_time gets {}]'
says '[get_time gives 12:34]'
expect 0 run --json --tools "$tools" --tool "set_switch=tee arguments.json" "Turn on the lamp."
json '.tool_calls | length == 1 and .[0].name == "set_switch" and
    (.[0] | .arguments == .result) and (.[0].arguments | fromjson | .device == "lamp" and .on)'
jq -e '.device == "lamp" and .on == true' arguments.json >/dev/null || fail "stdin had no arguments"
expect 0 run --tools "$tools" --tool "get_temperature=$board temperature" \
    "How warm is it in the kitchen?"
[ -s out ] || fail "no answer"
# -n counts what is written before a call and after it.
expect 0 run --json --tools "$tools" --tool "get_time=echo 12:34" "What time is it?"
most=$(($(jq .usage.completion_tokens out) - 2))
expect 0 run -n $most --json --tools "$tools" --tool "get_time=echo 12:34" "What time is it?"
json ".usage.completion_tokens <= $most and .finish_reason == \"length\""
# One that fails is told to the model, which goes on.
expect 0 run --tools "$tools" --tool "get_time=false" "What time is it?"
says "tool get_time: exit code 1"
says '[get_time gives {"error":"exit code 1"}]'
[ -s out ] || fail "no answer after a tool that failed"
expect 0 run --tools "$tools" --tool "get_time=sleep 60" --tool-seconds 1 "What time is it?"
says "no result within 1 seconds"
# A model that only calls is stopped: this one cannot write "final" any more, a row of its output
# being zero, 192 weights at 34 bytes for 32.
"$ossicle" inspect --json >out 2>err
cp "$here/ossicle-demo.gguf" calls.gguf
at=$(jq '.tensors[] | select(.name == "output.weight") | .offset' out)
row=$(printf final | "$ossicle" tokenize 2>err)
dd if=/dev/zero of=calls.gguf bs=1 seek=$((at + row * 204)) count=204 conv=notrunc status=none
expect 7 run -m calls.gguf --tools "$tools" --tool "get_time=echo 12:34" \
    --tool "get_temperature=echo 20" --tool "set_switch=echo ok" "What time is it?"
says "16 calls of tools and no answer"
[ "$(grep -c ' gives ' err)" = 16 ] || fail "not 16 calls: $(cat err)"
# What cannot be is refused before anything runs.
expect 1 run --tool "get_time=date" "What time is it?"
says "--tools FILE.json does"
expect 1 run --tools "$tools" --tool "get_tme=date" "What time is it?"
says "describes no such tool"
echo '{"a": 1}' >bad.json
expect 4 run --tools bad.json hello
says "not an array of tools"
expect 3 run --tools /nonexistent hello

# In chat the next line is the result, and the conversation goes on.
printf 'What time is it?\n12:34\nWhat is 17 plus 25?\n' >in
expect 0 chat --tools "$tools"
prints 12:34
prints 42
says "the next line is what get_time gives"
[ "$(grep -c "the built-in demo" err)" = 1 ] || fail "not one line names the demo"
# Kept and taken up again: what was said before is known.
printf 'My name is Nora.\n/save %s\nWhat is my name?\n' "$PWD/kept" >in
expect 0 chat
cp out before
printf '/load %s\nWhat is my name?\n' "$PWD/kept" >in
expect 0 chat
[ "$(tail -n 1 before)" = "$(tail -n 1 out)" ] || fail "after /load: $(cat out), not $(cat before)"
prints Nora
# With another conversation a call is no longer waited for.
for anew in /reset "/load $PWD/kept"; do
    printf 'What time is it?\n%s\nWhat is 17 plus 25?\n' "$anew" >in
    expect 0 chat --tools "$tools"
    prints 42
done

finish
