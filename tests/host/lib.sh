# shellcheck shell=bash
# What the scripts beside this one share: each drives the real program, in a folder of its own.
#
#   tests/host/NAME.sh PROGRAM MAKE_GGUF
#     PROGRAM    ossicle
#     MAKE_GGUF  the writer of model files
#
# They print what failed. Exit 0 if nothing did, 77 if a tool is missing, else 1.
set -u
ossicle=$1
make_gguf=$2
dir=$(mktemp -d)
# Not in a child that a signal ends before it has become the program: it has this trap too.
trap '[ $BASHPID != $$ ] || rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export XDG_STATE_HOME=$dir/state # nothing of a test is kept in the user's home
failures=0

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$*"
    [ ! -s err ] || sed 's/^/    stderr: /' err | head -5
}

# expect RC ARGS...: runs ossicle; stdout in `out`, stderr in `err`, stdin from `in` if there.
expect() {
    local want=$1 got=0
    shift
    [ -e in ] || : >in
    "$ossicle" "$@" >out 2>err <in
    got=$?
    rm -f in
    [ "$got" = "$want" ] || fail "ossicle $* gave $got, not $want"
}
says() { grep -qF -- "$1" err || fail "stderr lacks '$1'"; }
prints() { grep -qF -- "$1" out || fail "stdout lacks '$1': $(head -c 300 out)"; }
json() { jq -e "$1" out >/dev/null 2>>err || fail "JSON is not so: $1: $(head -c 300 out)"; }
one_line() { [ "$(wc -l <err)" = 1 ] || fail "stderr has not one line"; }
silent() { [ ! -s "$1" ] || fail "$1 is not empty: $(head -c 200 "$1")"; }
# Is there a Vulkan device, if only in software? Says so where not.
has_vulkan() {
    "$ossicle" devices --json 2>devices.err | jq -e 'any(.vulkan[]; .usable)' >/dev/null && return
    echo "left out: the tests on a Vulkan device ($(head -1 devices.err))"
    return 1
}
# without_driver WANT ARGS...: as expect, on a machine whose loader finds no driver.
without_driver() {
    export VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent
    expect "$@"
    unset VK_DRIVER_FILES VK_ICD_FILENAMES
}
need() { command -v "$1" >/dev/null || { echo "skipped: no $1 here"; exit 77; }; }

# model [OPTIONS of make_gguf]: makes model.gguf, a tiny one with room for a long context.
model() {
    [ -e model.gguf ] ||
        "$make_gguf" --preset tiny --context 131072 "$@" --out model.gguf >/dev/null || exit 1
}

# wait_for FILE: until it has a byte; 10 s at most.
wait_for() {
    for _ in $(seq 200); do
        [ ! -s "$1" ] || return 0
        sleep 0.05
    done
    fail "nothing came in $1"
}

# Options that keep an answer from ending: no token may end a message or the turn.
endless() {
    local id
    for id in $(printf '<|return|><|end|><|call|><|endoftext|>' |
        "$ossicle" tokenize -m model.gguf --specials); do
        printf -- '--logit-bias %s=-100 ' "$id"
    done
}

# Options that make the tiny model write on the final channel, which chance alone seldom does.
talkative() {
    local id
    id=$(printf final | "$ossicle" tokenize -m model.gguf)
    printf -- '--logit-bias %s=7' "${id%% *}"
}

finish() {
    [ $failures = 0 ] || { echo "$failures failures"; exit 1; }
    exit 0
}
need jq
