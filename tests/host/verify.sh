#!/bin/bash
# verify against sha256sum, manifests, and what is no regular file.
. "$(dirname "$0")/lib.sh"

printf 'hello\n' >a
printf 'other\n' >b
sha256sum a b >SUMS
expect 0 verify a
[ "$(cat out)" = "$(sha256sum a)" ] || fail "verify differs from sha256sum"
expect 0 verify a --manifest SUMS
prints "a: OK"
silent err
echo changed >a
expect 4 verify a --manifest SUMS
prints "a: FAILED"
says "fetch it again"
expect 4 verify a --manifest SUMS --json
json '.ok == false and (.expected | length) == 64'
expect 1 verify out --manifest SUMS
says "has no line for out"
echo "no digest" >SUMS
expect 4 verify b --manifest SUMS
says "SUMS:1:"
expect 3 verify /nonexistent
expect 3 verify /
mkfifo fifo
expect 3 verify fifo
expect 1 verify
: >empty
expect 0 verify empty --json
json '.sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"'

finish
