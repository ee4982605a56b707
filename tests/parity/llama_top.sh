#!/bin/sh
# What llama.cpp finds most likely after each prompt, in the shape that `ossicle score` prints.
#
#   tests/parity/llama_top.sh MODEL IDS.json TOP [options of llama-server] >OUT.json
#
# IDS.json: an array of arrays of token ids. The CPU path unless options say otherwise. The server
# listens on a socket file in a folder of its own. Exit 77 as tests/parity/peer.sh.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
model=$1 ids=$2 top=$3
shift 3
. "$here/llama_server.sh"
longest=$(jq 'map(length) | max + 8' "$ids")
llama_start "$model" $((longest > 512 ? longest : 512)) "$@"

count=$(jq length "$ids")
index=0
while [ "$index" -lt "$count" ]; do
    # The probabilities are those before sampling, whichever token is drawn; but none are given if
    # the token drawn is half a character. Then another is drawn.
    draw=0
    while :; do
        jq -c --argjson i "$index" --argjson top "$top" --argjson draw "$draw" '{prompt: .[$i],
            n_predict: 1, n_probs: $top, temperature: ($draw / 2), seed: $draw,
            cache_prompt: false}' "$ids" >"$folder/request"
        llama_ask /completion -d "@$folder/request" >"$folder/answer"
        jq -c '{top: [.completion_probabilities[0] | (.top_logprobs // .top_probs)[] |
            [.id, .logprob]]}' "$folder/answer" >"$folder/prompt" 2>/dev/null && break
        draw=$((draw + 1))
        if [ "$draw" -gt 20 ]; then
            head -c 2000 "$folder/answer" >&2
            echo "llama-server gives no log-probabilities" >&2
            exit 1
        fi
    done
    cat "$folder/prompt" >>"$folder/prompts"
    index=$((index + 1))
done
jq -s '{prompts: .}' "$folder/prompts"
