#!/bin/bash
# chat: from a pipe, and on a terminal by way of tmux.
# shellcheck disable=SC2086  # common is a list of words
. "$(dirname "$0")/lib.sh"

model
common="-m model.gguf --board tiny -n 60 $(talkative) --seed 1"

printf 'hello\n' >in
expect 0 chat $common
cp out one
[ -s one ] || fail "no answer in a pipe"
printf 'hello\n/save kept\n/reset\n/load kept\n/stats\n/quit\nnot read\n' >in
expect 0 chat $common
cmp -s out one || fail "commands changed the answer"
says "saved to kept"
says "loaded kept"
says "prompt tokens in"
printf 'he\\\nllo\n' >in
expect 0 chat $common
printf '/nope\n' >in
expect 1 chat $common
says "no command '/nope'"
printf '/load /nonexistent\n' >in
expect 3 chat $common
printf '/save\n' >in
expect 1 chat $common
says "usage: /save FILE"

# A conversation saved and loaded goes on as if it had not been: the second answer draws from the
# next seed, which the loading program is given.
printf 'hello\ntwo\n' >in
expect 0 chat $common
cp out whole
printf '/load kept\ntwo\n' >in
expect 0 chat $common --seed 2
cat one out | cmp -s - whole || fail "a loaded conversation goes on differently"

command -v tmux >/dev/null || { echo "no tmux here: the terminal is not tested"; finish; }

screen() { tmux -L "ossicle$$" "$@"; }
trap 'screen kill-server 2>/dev/null; rm -rf "$dir"' EXIT

# shows TEXT: it appears on the screen within 10 s.
shows() {
    for _ in $(seq 100); do
        screen capture-pane -pJ -t chat -S - >seen
        ! grep -qF -- "$1" seen || return 0
        sleep 0.1
    done
    fail "the screen lacks '$1':"
    grep -v '^$' seen | tail -20
}

# By bash: other shells end with the first Ctrl-C that the program has handled itself.
SHELL=$(command -v bash) screen -f /dev/null new-session -d -s chat -x 100 -y 50 \
    "'$ossicle' chat -m model.gguf --context 100000 --budget 4G --seed 1 $(endless)
    echo left \$?; sleep 60"
shows "/help lists the commands"
screen send-keys -t chat '/help' Enter
shows "keep the conversation in a file"
screen send-keys -t chat 'hello' Enter
sleep 1
screen send-keys -t chat C-c
shows "stopped"
screen send-keys -t chat '/stats' Enter
shows "cancelled"
# What is pasted stays one message; a key goes on editing it.
printf 'first line\nsecond' >paste
screen load-buffer -b paste paste
screen paste-buffer -p -b paste -t chat
shows "> first line␤second"
screen send-keys -t chat C-c
shows "Ctrl-D leaves"
# History, then the end of input.
screen send-keys -t chat Up
sleep 0.2
screen send-keys -t chat C-u
screen send-keys -t chat C-d
shows "left 0"

finish
