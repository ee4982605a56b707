// 16-bit floats in the bits of integers, both ways exactly, subnormals and all: what a driver does
// to them on its own conversions (flush, round some other way) is not to be relied on.

// An f16 in the low half of h, exactly.
float osl_half(uint h)
{
    uint magnitude = (h & 0x7fffu) << 13;
    float value = uintBitsToFloat(magnitude + (112u << 23));
    if ((h & 0x7c00u) == 0u) { // subnormal: one added above 2^-14, then taken off
        value = uintBitsToFloat(magnitude + (113u << 23)) - uintBitsToFloat(113u << 23);
    } else if ((h & 0x7c00u) == 0x7c00u) {
        value = uintBitsToFloat(magnitude | 0x7f800000u);
    }
    return (h & 0x8000u) != 0u ? -value : value;
}

// Nearest, ties to even, as compute/cpu/half.h has it; beyond 65504 infinity.
uint osl_to_half(float value)
{
    uint bits = floatBitsToUint(value);
    uint sign = (bits >> 16) & 0x8000u;
    uint magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    }
    if (magnitude >= 0x477ff000u) { // 65520, half way to the next power of two
        return sign | 0x7c00u;
    }
    if (magnitude < 0x38800000u) { // below 2^-14: a multiple of 2^-24
        uint shift = min(126u - (magnitude >> 23), 31u); // below 2^-33 nothing is left anyway
        uint mantissa = (magnitude & 0x7fffffu) | 0x800000u;
        uint kept = mantissa >> shift;
        uint left = mantissa & ((1u << shift) - 1u), middle = 1u << (shift - 1u);
        return sign | (kept + uint(left > middle || (left == middle && (kept & 1u) != 0u)));
    }
    return sign | ((magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13);
}
