#!/bin/sh
# A whole run of the program under the Khronos validation layer, synchronization validation
# included, switched on from outside: not one message.
#
#   tests/gpu/validate.sh OSSICLE MODEL
#
# Exit 77 where there is no device or no layer.
set -eu
program=$1 model=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
layer=VK_LAYER_KHRONOS_validation
"$program" plan -m "$model" --device vulkan >/dev/null 2>&1 ||
    { echo "SKIP: no Vulkan device here"; exit 77; }

# Settings of the layer, by the names of old versions and new ones.
cat >"$folder/vk_layer_settings.txt" <<SETTINGS
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.report_flags = error,warn
khronos_validation.log_filename = $folder/messages
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
khronos_validation.validate_sync = true
SETTINGS
watched() {
    VK_INSTANCE_LAYERS=$layer VK_LAYER_SETTINGS_PATH=$folder/vk_layer_settings.txt \
        VK_LOADER_DEBUG=layer "$@" 2>"$folder/log" || { cat "$folder/log"; exit 1; }
    grep -q "$layer" "$folder/log" || { echo "SKIP: no $layer here"; exit 77; }
    if [ -s "$folder/messages" ]; then
        cat "$folder/messages"
        echo "FAILED: the validation layer speaks during: $*"
        exit 1
    fi
}

echo '[[1,2,3],[5,8,13,21,34]]' >"$folder/ids.json"
watched "$program" score -m "$model" --device vulkan --ids "$folder/ids.json" --top 5 --json \
    >/dev/null
watched "$program" run -m "$model" --device vulkan --context 512 -n 24 --seed 3 "hello" >/dev/null
watched "$program" bench -m "$model" --device vulkan -p 64 -n 8 -r 1 >/dev/null
echo "score, run and bench: not one message"
