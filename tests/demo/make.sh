#!/bin/sh
# make.sh [DIR]: the demo model from nothing: corpus, training, DIR/demo.gguf (default build/demo).
# Installs PyTorch and a C compiler where they are missing. 250 M rows: 140 minutes on two free
# Zen 5 cores, at 30,000 a second. Cut off, it goes on where it was. ROWS=N in the environment
# trains on another number.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=$here/../..
dir=${1:-$root/build/demo}
rows=${ROWS:-250000000}
python=${PYTHON:-/usr/bin/python3} # the distribution's, which its PyTorch is for
export PYTHONDONTWRITEBYTECODE=1
"$root/platform/posix/install.sh" training
mkdir -p "$dir"
tokenizer=$here/tokenizer.json
# 20,000 conversations of a shard are 1.8 M rows once system messages are shared.
shards=$((rows / 1800000 + 1))
if [ ! -e "$dir/shards.done" ]; then
    "$python" "$here/corpus/corpus.py" --seed 1 --conversations $((shards * 20000)) \
        --tokenizer "$tokenizer" --out "$dir/shards"
    touch "$dir/shards.done"
fi
"$python" "$here/training/train.py" --data "$dir/shards" --tokenizer "$tokenizer" \
    --out "$dir/run" --tokens "$rows" --decay $((rows * 9 / 10)) --eight-bits \
    --task-weights '{"8": 0.25}'
"$python" "$here/training/export.py" "$dir/run/last.pt" "$tokenizer" "$dir/demo.gguf" \
    --data "$dir/shards"
