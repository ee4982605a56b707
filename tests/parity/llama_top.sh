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
for tool in curl jq; do
    command -v "$tool" >/dev/null 2>&1 || "$here/../../platform/posix/install.sh" parity || exit 77
done
"$here/peer.sh" >/dev/null || exit $?

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || :
    rm -rf "$folder"
}
trap finish EXIT
longest=$(jq 'map(length) | max + 8' "$ids")
PEER_OUT=$folder "$here/peer.sh" "$model" "exec llama-server -m /mnt/model.gguf \
    --host /mnt/out/llama.sock -c $((longest > 512 ? longest : 512)) -np 1 -t $(nproc) -ngl 0 \
    -fit off --no-cache-prompt --cache-ram 0 --no-ui --offline $*" >"$folder/log" 2>&1 </dev/null &
server=$!

ask() {
    curl -sS --max-time 600 --unix-socket "$folder/llama.sock" "$@"
}
tries=0
until ask http://localhost/health 2>/dev/null | grep -q '"ok"'; do
    tries=$((tries + 1))
    if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
        tail -n 20 "$folder/log" >&2
        echo "llama-server did not start on $model" >&2
        exit 1
    fi
    sleep 0.2
done

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
        ask http://localhost/completion -d "@$folder/request" >"$folder/answer"
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
