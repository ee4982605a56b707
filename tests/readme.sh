#!/bin/sh
# The README's example is the example: what is printed there is the file that is compiled.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$root/README.md" >"$shown"
if ! diff -u "$root/boards/example/answer.c" "$shown"; then
    echo "README.md shows another example than boards/example/answer.c (-: the file, +: README)"
    exit 1
fi
# Every file and folder that a link names is there.
grep -o '](\([^)#:]*\))' "$root/README.md" | tr -d '()]' | sort -u | while IFS= read -r target; do
    [ -e "$root/$target" ] || { echo "README.md links to $target, which is not there"; exit 1; }
done
echo "the example and the links are right"
