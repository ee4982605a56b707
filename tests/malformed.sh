#!/bin/bash
# Broken model files: each is refused with one line that names the file, with a documented exit
# code, in under a second and under 100 MB, by the program as a whole.
#
#   tests/malformed.sh OSSICLE PEAK MODEL [FILES]
#
# MODEL is a small good file. Made from it: truncations at every size of the start and at steps
# through the rest, and seeded damage of single bytes and of 8-byte fields in the header. Damage may
# leave a file that is still good; a truncation may not. Run it on an ASan build (.ci/run does).
set -euo pipefail
program=$1 peak=$2 model=$3 damaged=${4:-300}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
size=$(stat -c %s "$model")
files=0 worst_ms=0 worst_kb=0 good=0

fail() {
    echo "$1: $2"
    cat "$folder/err"
    cp "$folder/model.gguf" "${TMPDIR:-/tmp}/malformed.gguf"
    echo "the file is kept as ${TMPDIR:-/tmp}/malformed.gguf"
    exit 1
}

# check WHAT MAY_BE_GOOD: runs the program on $folder/model.gguf
check() {
    local what=$1 may_be_good=$2 code ms kb lines
    "$peak" "$folder/took" 10 "$program" plan -m "$folder/model.gguf" --context 256 \
        >"$folder/out" 2>"$folder/err" </dev/null
    read -r code ms kb <"$folder/took"
    files=$((files + 1))
    if [ "$ms" -gt "$worst_ms" ]; then worst_ms=$ms; fi
    if [ "$kb" -gt "$worst_kb" ]; then worst_kb=$kb; fi
    [ "$ms" -lt 1000 ] || fail "$what" "took $ms ms"
    [ "$kb" -lt 102400 ] || fail "$what" "took $kb KiB"
    if [ "$code" -eq 0 ] && [ "$may_be_good" = yes ]; then
        good=$((good + 1))
        return
    fi
    case $code in 3 | 4 | 5 | 6 | 7) ;; *) fail "$what" "exit code $code" ;; esac
    lines=$(wc -l <"$folder/err")
    [ "$lines" -eq 1 ] || fail "$what" "$lines lines on stderr, not one"
    grep -q 'model\.gguf' "$folder/err" || fail "$what" "the line does not name the file"
}

cut_at() {
    head -c "$1" "$model" >"$folder/model.gguf"
    check "cut at $1 of $size bytes" no
}
for ((at = 0; at < 64 && at < size; at++)); do cut_at "$at"; done
for ((at = 64; at < size - 32; at += size / 100 + 1)); do cut_at "$at"; done
# The end of the file may be padding, of up to 31 bytes, which nobody misses.
cut_at $((size - 32))

# Damage within the first part, where counts, lengths, types and offsets are.
header=$((size < 65536 ? size : 65536))
cp "$model" "$folder/model.gguf"
RANDOM=7
damage() { # damage OFFSET BYTES(printf)
    local width=${3}
    # shellcheck disable=SC2059
    printf "$2" | dd of="$folder/model.gguf" bs=1 seek="$1" conv=notrunc status=none
    check "bytes at $1 set to $2" yes
    dd if="$model" of="$folder/model.gguf" bs=1 skip="$1" seek="$1" count="$width" conv=notrunc \
        status=none
}
fields=('\xff' '\x00' '\x80' '\xff\xff\xff\xff\xff\xff\xff\xff' '\x00\x00\x00\x00\x00\x00\x00\x80'
    '\x00\x00\x00\x00\x01\x00\x00\x00' '\xff\xff\xff\x7f' '\x00\x00\xc0\x7f')
for ((i = 0; i < damaged; i++)); do
    # Half of them in the first 2 KiB.
    range=$((i % 2 == 0 && header > 2048 ? 2048 : header))
    field=${fields[i % ${#fields[@]}]}
    width=$((${#field} / 4))
    damage $(((RANDOM * 32768 + RANDOM) % (range - width))) "$field" "$width"
done

# Things that are no file.
: >"$folder/model.gguf"
check "an empty file" no
rm "$folder/model.gguf"
check "no file" no
mkdir "$folder/model.gguf"
check "a folder" no
rmdir "$folder/model.gguf"
mkfifo "$folder/model.gguf"
check "a pipe" no
rm "$folder/model.gguf"
head -c 100000 /dev/urandom >"$folder/model.gguf"
check "noise" no
echo "$files files, $good of them still good, worst $worst_ms ms and $worst_kb KiB"
