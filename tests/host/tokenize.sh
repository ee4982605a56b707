#!/bin/bash
# tokenize: round trips, JSON both ways, special tokens, broken input.
. "$(dirname "$0")/lib.sh"

model
head -c 3000 /dev/urandom >bytes
cp bytes in
expect 0 tokenize -m model.gguf
cp out ids
cp ids in
expect 0 tokenize -m model.gguf --decode
cmp -s out bytes || fail "random bytes did not come back"
tr ' ' ',' <ids >in
expect 0 tokenize -m model.gguf --decode
cmp -s out bytes || fail "commas between ids did not do"
: >in
expect 0 tokenize -m model.gguf
[ "$(cat out)" = "" ] || fail "ids of nothing"

echo '["hello", "", "h\u00e9 \ud83d\ude42 \n\"x\\"]' >texts.json
cp texts.json in
expect 0 tokenize -m model.gguf --json
json 'length == 3 and .[1] == [] and ([.[][]] | all(type == "number"))'
cp out in
expect 0 tokenize -m model.gguf --json --decode
[ "$(jq -c . out)" = "$(jq -c . texts.json)" ] || fail "texts did not come back from JSON"

printf '<|start|>' >in
expect 0 tokenize -m model.gguf
plain=$(wc -w <out)
[ "$plain" -gt 1 ] || fail "a special token was made from text"
printf '<|start|>' >in
expect 0 tokenize -m model.gguf --specials
[ "$(wc -w <out)" = 1 ] || fail "--specials made none"
cp out in
expect 0 tokenize -m model.gguf --decode
[ "$(cat out)" = '<|start|>' ] || fail "a special token does not spell itself"

for bad in '' '{}' '[1]' '["a"' '[["a"]]'; do
    printf '%s' "$bad" >in
    expect 4 tokenize -m model.gguf --json
    one_line
    silent out
done
for bad in '["a"]' '[[1.5]]' '[[-1]]'; do
    printf '%s' "$bad" >in
    expect 4 tokenize -m model.gguf --json --decode
    silent out
done
echo '["a\u0000b"]' >in
expect 5 tokenize -m model.gguf --json
says 'u0000'
echo '12 x' >in
expect 4 tokenize -m model.gguf --decode
echo '99999999' >in
expect 1 tokenize -m model.gguf --decode
one_line

# A megabyte of one letter is no different.
head -c 1000000 /dev/zero | tr '\0' 'a' >in
start=$(date +%s%N)
expect 0 tokenize -m model.gguf
took=$((($(date +%s%N) - start) / 1000000))
[ $took -lt 3000 ] || fail "a megabyte of one letter took $took ms"

finish
