#!/bin/sh
# Compares our tokenizer, with the real vocabulary, to npm's tiktoken (tokenizer_tiktoken.js).
#   tests/tokenizer_tiktoken.sh TOKENIZER_TOOL MAKE_GGUF [SCALE [LIMIT]]
# Exit 77 (skip), with one line that says why, where the package cannot be had.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
tool=$1
make_gguf=$2
folder=$(sh "$here/npm.sh") || exit $?
ranks=$(sh "$here/fixtures/o200k.sh") || exit $?
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$make_gguf" --preset tiny --vocabulary real --vocab 201088 --ranks "$ranks" --header-only \
    --out "$work/real.gguf"
NODE_PATH="$folder/node_modules" node "$here/tokenizer_tiktoken.js" "$tool" "$work/real.gguf" \
    "${3:-1}" "${4:-1000}"
