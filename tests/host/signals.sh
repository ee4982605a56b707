#!/bin/bash
# Signals: an answer is ended cleanly, on a terminal and in a pipe.
. "$(dirname "$0")/lib.sh"

need script
model
long="run -m model.gguf --context 100000 --budget 4G --seed 1 --show-reasoning $(endless)"
# stops SIGNAL CODE: sent after the first byte, it ends the answer cleanly with this exit code.
stops() {
    rm -f out # of the last call
    # shellcheck disable=SC2086  # words
    "$ossicle" $long hello >out 2>&1 &
    local pid=$!
    wait_for out
    kill -"$1" $pid
    wait $pid
    local got=$?
    [ $got = "$2" ] || fail "SIG$1 gave $got, not $2"
    [ "$(tail -c 1 out | od -An -c | tr -d ' ')" = '\n' ] || fail "no newline after SIG$1"
}
stops INT 130
stops TERM 143
# shellcheck disable=SC2086
"$ossicle" $long --json hello >out 2>err &
pid=$!
for _ in $(seq 200); do # 10 s at most, until the program handles SIGINT
    caught=$(sed -n 's/^SigCgt:[[:space:]]*/0x/p' /proc/$pid/status)
    [ $((caught & 2)) = 0 ] || break
    sleep 0.05
done
sleep 1
kill -INT $pid
wait $pid
got=$?
[ $got = 130 ] || fail "Ctrl-C with --json gave $got"
json '.finish_reason == "cancelled"'
# On a terminal: Ctrl-C typed, reasoning dimmed, colour put back.
{ sleep 1.5; printf '\003'; sleep 0.5; } |
    script -qec "'$ossicle' $long hello" typed >/dev/null
got=$?
[ $got = 130 ] || fail "Ctrl-C typed on a terminal gave $got"

finish
