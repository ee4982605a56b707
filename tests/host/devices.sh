#!/bin/bash
# devices and selftest: the list, what is missing, and what a test of the shaders leaves behind.
. "$(dirname "$0")/lib.sh"

# What to install: the loader, or a driver for it.
says_package() {
    grep -qE 'libvulkan1|mesa-vulkan-drivers' err || fail "stderr names no package"
}
without_driver 0 devices
prints "cpu "
says_package
without_driver 0 devices --json
json '.cpu.level != "" and .cpu.threads >= 1 and .cpu.memory_bytes > 0'
json '.vulkan == [] and (.missing | length) > 0'
expect 1 devices --device cpu
says "unknown option"

expect 0 selftest --json --device cpu
json '.ok and .vulkan == null and ([.checks[].device] | unique) == ["cpu"]'
expect 1 selftest --device cpu --vulkan-tier base
says "--vulkan-tier is for a Vulkan device"
without_driver 5 selftest --device vulkan
says_package
one_line
without_driver 0 selftest
silent err

if has_vulkan; then
    expect 0 devices --json
    json '.missing == "" and ([.vulkan[].index] == [range(.vulkan | length)])'
    json '[.vulkan[] | .name != "" and .driver != "" and (.heaps | length) > 0 and
          (.heaps | all(.budget_bytes <= .bytes)) and (.usable or .refusal != "")] | all'
    json 'all(.vulkan[]; .tier_kept == "")'
    index=$(jq 'first(.vulkan[] | select(.usable)).index' out)
    tier=$(jq -r "first(.vulkan[] | select(.index == $index)).tier" out)
    expect 0 devices
    prints "vulkan:$index"
    prints "$tier reported, none tested yet"

    expect 0 selftest --json --device "vulkan:$index" --vulkan-tier base
    json '.ok and .vulkan.tier == "base" and .vulkan.name != "" and all(.checks[]; .pass)'
    json "[.checks[].device] | unique == [\"cpu\", \"vulkan:$index\"]"
    expect 0 devices
    prints "$tier reported, base proved right"
    expect 5 selftest --device vulkan:15
    one_line
fi

finish
