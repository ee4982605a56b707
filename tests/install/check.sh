#!/bin/sh
# Installs a build into an empty folder and compiles the README's example against it, once by
# pkg-config and once by cmake, in C and with the header in C++ where there is a compiler for it.
#
#   tests/install/check.sh BUILD MAKE_GGUF
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$(CDPATH='' cd -- "$here/../.." && pwd -P)
build=$1
make_gguf=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Moved after the installation: nothing may remember where it was.
cmake --install "$build" --prefix "$folder/first" >"$folder/install.log"
mv "$folder/first" "$folder/moved"
prefix=$folder/moved
source=$root/boards/example/answer.c

for file in bin/ossicle include/ossicle.h; do
    [ -f "$prefix/$file" ] || { echo "not installed: $file"; exit 1; }
done
lines=$(wc -l <"$source")
[ "$lines" -lt 60 ] || { echo "the example has $lines lines; the promise is under 60"; exit 1; }

config=$(find "$prefix" -name ossicle.pc)
PKG_CONFIG_PATH=$(dirname "$config")
export PKG_CONFIG_PATH
# The same line as in the README.
# shellcheck disable=SC2046  # flags are words
${CC:-cc} -std=c11 -Wall -Wextra -Werror "$source" \
    $(pkg-config --cflags --libs --static ossicle) -o "$folder/answer"

if command -v c++ >/dev/null 2>&1; then
    printf '#include <ossicle.h>\nint main() { return *ossicle_version() == 0; }\n' \
        >"$folder/header.cc"
    # shellcheck disable=SC2046
    c++ -Wall -Wextra -Werror "$folder/header.cc" \
        $(pkg-config --cflags --libs --static ossicle) -o "$folder/header"
    "$folder/header"
fi

cmake -G Ninja -S "$here" -B "$folder/consumer" -DCMAKE_PREFIX_PATH="$prefix" \
    -DANSWER_SOURCE="$source" >"$folder/cmake.log" 2>&1 || { cat "$folder/cmake.log"; exit 1; }
cmake --build "$folder/consumer" >"$folder/cmake.log" 2>&1 || { cat "$folder/cmake.log"; exit 1; }

# A random model does not stop by itself: a short context ends it.
"$make_gguf" --preset tiny --context 512 --out "$folder/model.gguf" >"$folder/make.log"
for program in "$folder/answer" "$folder/consumer/answer"; do
    code=0
    "$program" 2>"$folder/usage.txt" || code=$?
    [ "$code" -eq 1 ] || { echo "$program without arguments: exit $code, not 1"; exit 1; }
    code=0
    "$program" /nonexistent.gguf hello 2>"$folder/missing.txt" || code=$?
    [ "$code" -eq 3 ] || { echo "$program on no file: exit $code, not 3"; exit 1; }
    grep -q nonexistent.gguf "$folder/missing.txt" || { echo "the error names no file"; exit 1; }
    "$program" "$folder/model.gguf" "What is an ossicle?" >"$folder/out.txt"
    [ -s "$folder/out.txt" ] || { echo "$program wrote no answer"; exit 1; }
done
echo "installed, found by pkg-config and by cmake, and it runs"
