#!/bin/bash
# The built-in demo: every command that loads a model uses it where none is given, says so in one
# line, and the plan says where it lies. What it answers is tests/demo's business.
. "$(dirname "$0")/lib.sh"

"$ossicle" inspect >/dev/null 2>err || { # built with -DOSSICLE_DEMO=OFF: then -m is required
    expect 1 run hello
    one_line
    says "built without the demo: -m FILE"
    expect 1 inspect
    finish
}
expect 0 plan --json --context 512
one_line
says "no model given: the built-in demo ("
says "For real answers: -m "
json '.weights == "given" and .fits'
bytes=$(jq '.regions[] | select(.name == "model file" and .where == "given").bytes' out)
[ "${bytes:-0}" -gt 100000 ] || fail "the plan has no room for the demo: $bytes bytes"
expect 0 plan --context 512
prints "weights given"
expect 0 inspect
prints "the built-in demo, "
silent err
expect 0 inspect --json
json 'type == "object"'
printf 'hello' >in
expect 0 tokenize
one_line
ids=$(cat out)
printf '%s' "$ids" >in
expect 0 tokenize --decode
[ "$(cat out)" = hello ] || fail "not the text that was given: $(cat out)"
expect 0 score --text "hello there" --json --context 512
one_line
expect 0 bench -p 16 -n 4 -r 1 -o json --context 512
one_line
expect 0 run -n 20 --seed 1 --context 512 --json "hello"
one_line
json '.usage.completion_tokens <= 20'
cp out first
printf 'hello\n' >in
expect 0 chat -n 20 --context 512
says "no model given"
# A context that only the board asks for gives way to the demo's own.
expect 0 plan --board generic
expect 1 plan --context 1000000
says "made for at most"

# With a model nothing is said of the demo.
model
expect 0 plan -m model.gguf --json
silent err
json '.weights == "mapped"'

finish
