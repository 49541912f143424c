#include "aggregate/decay_weight.h"

#include "aggregate/partial.h"
#include "base/check.h"

enum {
    FAST_LOST = 32, /* units of 2^-63: no fast result is less by as much than what it stands for */
    FAST_HALF = 1 << 10, /* half a unit of the result in the fast unit */
    SLOW_CUT = 127 - DECAY_WEIGHT_BITS,
};

static const uint64_t LN_2 = 0xb17217f7d1cf79ab; /* * 2^64 */

/* [g][d] is 2^(d / 16^(g + 1)) * 2^63, cut off. */
static const uint64_t FAST[4][16] = {
    {
        0x8000000000000000,
        0x85aac367cc487b14,
        0x8b95c1e3ea8bd6e6,
        0x91c3d373ab11c336,
        0x9837f0518db8a96f,
        0x9ef5326091a111ad,
        0xa5fed6a9b15138ea,
        0xad583eea42a14ac6,
        0xb504f333f9de6484,
        0xbd08a39f580c36be,
        0xc5672a115506dadd,
        0xce248c151f8480e3,
        0xd744fccad69d6af4,
        0xe0ccdeec2a94e111,
        0xeac0c6e7dd24392e,
        0xf5257d152486cc2c,
    },
    {
        0x8000000000000000,
        0x8058d7d2d5e5f6b0,
        0x80b1ed4fd999ab6c,
        0x810b40a1d81406d4,
        0x8164d1f3bc030773,
        0x81bea1708dde6055,
        0x8218af4373fc25eb,
        0x8272fb97b2a5894c,
        0x82cd8698ac2ba1d7,
        0x83285071e0fc4546,
        0x8383594eefb6ee36,
        0x83dea15b9541b132,
        0x843a28c3acde4046,
        0x8495efb3303efd2f,
        0x84f1f656379c1a29,
        0x854e3cd8f9c8c95d,
    },
    {
        0x8000000000000000,
        0x80058baf7fee3b5d,
        0x800b179c82028fd0,
        0x8010a3c708e73282,
        0x8016302f17467628,
        0x801bbcd4afcacb08,
        0x802149b7d51ebefb,
        0x8026d6d889ecfd69,
        0x802c6436d0e04f50,
        0x8031f1d2aca39b43,
        0x80377fac1fe1e56a,
        0x803d0dc32d464f85,
        0x80429c17d77c18ed,
        0x80482aaa212e9e95,
        0x804db97a0d095b0c,
        0x805348879db7e67d,
    },
    {
        0x8000000000000000,
        0x800058b92abbae02,
        0x8000b17292f702a3,
        0x80010a2c38b22885,
        0x800162e61bed4a48,
        0x8001bba03ca8928e,
        0x8002145a9ae42bf6,
        0x80026d1536a04123,
        0x8002c5d00fdcfcb6,
        0x80031e8b269a8950,
        0x800377467ad91193,
        0x8003d0020c98c020,
        0x800428bddbd9bf99,
        0x80048179e89c3a9f,
        0x8004da3632e05bd6,
        0x800532f2baa64ddf,
    },
};

/* [k] is 2^(2^-(k + 1)) * 2^127, cut off: the high and the low half. */
static const uint64_t ROOTS[64][2] = {
    { 0xb504f333f9de6484, 0x597d89b3754abe9f }, { 0x9837f0518db8a96f, 0x46ad23182e42f6f6 },
    { 0x8b95c1e3ea8bd6e6, 0xfbe4628758a53c90 }, { 0x85aac367cc487b14, 0xc5c95b8c2154c1b2 },
    { 0x82cd8698ac2ba1d7, 0x3e2a475b46520bff }, { 0x8164d1f3bc030773, 0x7be56527bd14def4 },
    { 0x80b1ed4fd999ab6c, 0x25335719b6e6fd20 }, { 0x8058d7d2d5e5f6b0, 0x94d589f608ee4aa2 },
    { 0x802c6436d0e04f50, 0xff8ce94a6797b3ce }, { 0x8016302f17467628, 0x3690dfe44d11d008 },
    { 0x800b179c82028fd0, 0x945e54e2ae18f2f0 }, { 0x80058baf7fee3b5d, 0x1c718b38e549cb93 },
    { 0x8002c5d00fdcfcb6, 0xb6566a58c048be1f }, { 0x800162e61bed4a48, 0xe84c2e1a463473d9 },
    { 0x8000b17292f702a3, 0xaa22beacca949013 }, { 0x800058b92abbae02, 0x030c5fa5256f41fe },
    { 0x80002c5c8dade4d7, 0x1776c0f4dbea67d6 }, { 0x8000162e44eaf636, 0x526be456600bdbe4 },
    { 0x80000b1721fa7c18, 0x8307016c1cd4e8b6 }, { 0x8000058b90de7e4c, 0xecfc487503488bb1 },
    { 0x800002c5c8678f36, 0xcbfce50a6de60b14 }, { 0x80000162e431db9f, 0x80b2347b5d62e516 },
    { 0x800000b1721872d0, 0xc7b08cf1e0114152 }, { 0x80000058b90c1aa8, 0xa5c3736cb77e8dff },
    { 0x8000002c5c8605a4, 0x635f2efc2362d978 }, { 0x800000162e4300e6, 0x35cf4a109e3939bd },
    { 0x8000000b17217ff8, 0x1bef9c551590cf83 }, { 0x800000058b90bfdd, 0x4e39cd52c0cfa27c },
    { 0x80000002c5c85fe6, 0xf72d669e0e76e411 }, { 0x8000000162e42ff1, 0x8f9ad35186d0df28 },
    { 0x80000000b17217f8, 0x4cce71aa0dcfffe7 }, { 0x8000000058b90bfc, 0x07a77ad56ed22aaa },
    { 0x800000002c5c85fd, 0xfc23cdead40da8d6 }, { 0x80000000162e42fe, 0xfc25eb1571853a66 },
    { 0x800000000b17217f, 0x7d97f692baacded5 }, { 0x80000000058b90bf, 0xbead3b8b5dd254d7 },
    { 0x8000000002c5c85f, 0xdf4eedd62f084e67 }, { 0x800000000162e42f, 0xefa58aef378bf586 },
    { 0x8000000000b17217, 0xf7d24a78a3c7ef02 }, { 0x800000000058b90b, 0xfbe9067c93e474a6 },
    { 0x80000000002c5c85, 0xfdf47b8e5a72599f }, { 0x8000000000162e42, 0xfefa3bdb315934a2 },
    { 0x80000000000b1721, 0x7f7d1d7299b49c46 }, { 0x8000000000058b90, 0xbfbe8e9a8d1c4ea0 },
    { 0x800000000002c5c8, 0x5fdf4745969ea76f }, { 0x80000000000162e4, 0x2fefa3a0df5373bf },
    { 0x800000000000b172, 0x17f7d1cff4aac1e1 }, { 0x80000000000058b9, 0x0bfbe8e7db95a2f1 },
    { 0x8000000000002c5c, 0x85fdf473e61ae1f8 }, { 0x800000000000162e, 0x42fefa39f121751c },
    { 0x8000000000000b17, 0x217f7d1cf815bb96 }, { 0x800000000000058b, 0x90bfbe8e7bec1e0d },
    { 0x80000000000002c5, 0xc85fdf473dee5f17 }, { 0x8000000000000162, 0xe42fefa39ef5438f },
    { 0x80000000000000b1, 0x7217f7d1cf7a26c8 }, { 0x8000000000000058, 0xb90bfbe8e7bcf4a4 },
    { 0x800000000000002c, 0x5c85fdf473de72a2 }, { 0x8000000000000016, 0x2e42fefa39ef3765 },
    { 0x800000000000000b, 0x17217f7d1cf79b37 }, { 0x8000000000000005, 0x8b90bfbe8e7bcd7d },
    { 0x8000000000000002, 0xc5c85fdf473de6b6 }, { 0x8000000000000001, 0x62e42fefa39ef359 },
    { 0x8000000000000000, 0xb17217f7d1cf79ac }, { 0x8000000000000000, 0x58b90bfbe8e7bcd6 },
};

static uint64_t multiply_high (uint64_t a, uint64_t b)
{
    return (uint64_t)((uint128_t)a * b >> 64);
}

/* The high half of a product of two numbers in units of 2^-127, in the same unit. */
static uint128_t multiply (uint128_t a, uint128_t b)
{
    uint64_t a_low = (uint64_t)a, a_high = (uint64_t)(a >> 64);
    uint64_t b_low = (uint64_t)b, b_high = (uint64_t)(b >> 64);
    uint128_t low_high = (uint128_t)a_low * b_high, high_low = (uint128_t)a_high * b_low;
    uint128_t middle = ((uint128_t)a_low * b_low >> 64) + (uint64_t)low_high + (uint64_t)high_low;
    uint128_t high =
        (uint128_t)a_high * b_high + (low_high >> 64) + (high_low >> 64) + (middle >> 64);
    return high << 1 | ((uint64_t)middle >> 63);
}

/* 2^(exponent / 2^64) * 2^63, at most FAST_LOST too small and never too large: four factors from
 * the table for the first 16 bits, and the beginning of the exponential series for the rest. */
static uint64_t fast_power (uint64_t exponent)
{
    uint64_t power = FAST[0][exponent >> 60];
    for (unsigned g = 1; g < 4; g++)
        power = multiply_high (power, FAST[g][exponent >> (60 - 4 * g) & 15]) << 1;
    uint64_t x = multiply_high (exponent & (UINT64_MAX >> 16), LN_2);
    uint64_t square = multiply_high (x, x) / 2;
    uint64_t cube = multiply_high (square, x) / 3;
    return power + multiply_high (power, x + square + cube);
}

/* 2^((high + low / 2^64) / 2^64) * 2^127, at most some hundred units too small. */
static uint128_t slow_power (uint64_t high, uint64_t low)
{
    uint128_t power = (uint128_t)1 << 127;
    for (unsigned k = 0; k < 64; k++)
        if ((high >> (63 - k) & 1) != 0)
            power = multiply (power, (uint128_t)ROOTS[k][0] << 64 | ROOTS[k][1]);
    uint128_t rest = multiply_high (low, LN_2) / 2; /* * 2^-127 */
    return power + multiply (power, rest);
}

uint64_t decay_weight (uint64_t part, uint64_t whole)
{
    CHECK (part < whole);
    uint128_t shifted = (uint128_t)part << 64;
    uint64_t high = (uint64_t)(shifted / whole), rest = (uint64_t)(shifted % whole);
    uint64_t power = fast_power (high);
    unsigned cut = (unsigned)power & (2 * FAST_HALF - 1);
    if (cut < FAST_HALF - FAST_LOST || cut >= FAST_HALF)
        return (power >> 11) + (cut >= FAST_HALF);
    uint64_t low = (uint64_t)(((uint128_t)rest << 64) / whole);
    return (uint64_t)(((slow_power (high, low) >> (SLOW_CUT - 1)) + 1) >> 1);
}
