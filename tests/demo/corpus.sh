#!/bin/sh
# The demo's corpus and training are as told: sums in it are true, calls fit their tools, nothing
# held out is in it, conversations are rendered as the program does, and the questions can be made
# again. Training's parts are tested where PyTorch is there.
#
#   tests/demo/corpus.sh OSSICLE MODEL    (MODEL: for the token ids)
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
python=/usr/bin/python3 # the distribution's, which its PyTorch is for
export PYTHONDONTWRITEBYTECODE=1
program=$(readlink -f -- "$1") model=$(readlink -f -- "$2")
cd "$here"
"$python" corpus/questions.py | cmp - questions.json
"$python" corpus/check_corpus.py --tokenizer tokenizer.json --conversations 20000
"$python" corpus/check_render.py --ossicle "$program" --model "$model" --tokenizer tokenizer.json
if "$python" -c 'import torch' 2>/dev/null; then
    "$python" training/test_train.py
else
    echo "no PyTorch here: the parts of training are not tested"
fi
