// The rotation of a position: cosine and sine, times the concentration. Declares binding 3 (AUX).
//
// ROPE holds, for each of head_dim / 2 pairs, how far one position turns it, in turns, as a 64-bit
// binary fraction: high words first, then low words, then the concentration as f32. Made on the
// host by osl_vk_rope_fill. The product with a position, modulo whole turns, is integer
// arithmetic and so exact anywhere; an f32 angle would be off by 0.008 at position 131,072. Sine
// and cosine are our own series on an eighth of a turn to either side: Vulkan allows a driver's
// to be off by 2^-11. Together within 2e-7 of the double (test_vk_rows.c).

layout(std430, set = 0, binding = 3) readonly buffer Rope { uint rope[]; };

// x = float(an eighth of a turn at most), |x| <= pi/4. Next terms: 2e-9 and 3e-9 there.
float osl_sin_eighth(float x)
{
    float z = x * x;
    return x + x * z *
                   (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362880.0))));
}

float osl_cos_eighth(float x)
{
    float z = x * x;
    return 1.0 - 0.5 * z +
           z * z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40320.0 - z * (1.0 / 3628800.0))));
}

// (cos, sin) of pair `pair`, half_dim = head_dim / 2.
vec2 osl_rotation(uint position, uint pair, uint half_dim)
{
    uint carry, low;
    umulExtended(position, rope[half_dim + pair], carry, low);
    uint turn = position * rope[pair] + carry;             // of 2^32
    uint quarter = (turn + (1u << 29)) >> 30;              // the nearest, 4 means 0
    float x = float(int(turn - (quarter << 30))) * 1.46291807926715968e-9; // 2 pi / 2^32
    float s = osl_sin_eighth(x), c = osl_cos_eighth(x);
    vec2 turned = (quarter & 1u) == 0u ? vec2(c, s) : vec2(-s, c);
    turned = (quarter & 2u) == 0u ? turned : -turned;
    return turned * uintBitsToFloat(rope[2u * half_dim]);
}

// A pair (x of dimension i, y of dimension i + head_dim / 2) rotated: two products and one sum,
// each rounded, as the plain C has it.
vec2 osl_rotate(vec2 pair, vec2 rotation)
{
    precise float low = pair.x * rotation.x - pair.y * rotation.y;
    precise float high = pair.y * rotation.x + pair.x * rotation.y;
    return vec2(low, high);
}
