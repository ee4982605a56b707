# shellcheck shell=sh
# Sourced by scripts that ask llama-server: starts it among sid's packages on a socket file of its
# own, stops it at the end. Sets $here (tests/parity), $folder (removed at the end); exit 77 as
# tests/parity/peer.sh.
#
#   . tests/parity/llama_server.sh
#   llama_start MODEL CONTEXT [options of llama-server]
#   llama_ask PATH [options of curl]
for tool in curl jq; do
    command -v "$tool" >/dev/null 2>&1 || "$here/../../platform/posix/install.sh" parity || exit 77
done
"$here/peer.sh" >/dev/null || exit $?

folder=$(mktemp -d)
server=
llama_finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || :
    rm -rf "$folder"
}
trap llama_finish EXIT

llama_ask() {
    path=$1
    shift
    curl -sS --max-time 600 --unix-socket "$folder/llama.sock" "http://localhost$path" "$@"
}

llama_start() {
    model=$1 context=$2
    shift 2
    PEER_OUT=$folder "$here/peer.sh" "$model" "exec llama-server -m /mnt/model.gguf \
        --host /mnt/out/llama.sock -c $context -np 1 -t $(nproc) -ngl 0 \
        -fit off --no-cache-prompt --cache-ram 0 --no-ui --offline $*" >"$folder/log" 2>&1 \
        </dev/null &
    server=$!
    tries=0
    until llama_ask /health 2>/dev/null | grep -q '"ok"'; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
            tail -n 20 "$folder/log" >&2
            echo "llama-server did not start on $model" >&2
            exit 1
        fi
        sleep 0.2
    done
}
