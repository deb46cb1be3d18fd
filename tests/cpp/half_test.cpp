// SPDX-License-Identifier: Apache-2.0
// Half precision against the definition, worked out in double. Compiled twice, as DEBLUR_HALF_TEST says: for any
// processor, and for those that convert by themselves.
#include "half.h"

#include <cmath>

#include "testing.h"

namespace deblur {
namespace {

#if defined(__F16C__) && defined(__GNUC__)
bool can_run() { return __builtin_cpu_supports("avx2"); }  // and with it F16C
#else
bool can_run() { return true; }
#endif

int32_t float_bits_of(uint16_t half) {
    const int exponent = (half >> 10) & 31, mantissa = half & 0x3ff;
    const int32_t sign = (half & 0x8000) << 16;
    if (exponent == 31) return sign | 0x7f800000 | (mantissa != 0 ? 0x00400000 | mantissa << 13 : 0);
    const double value = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    return sign | bits_of(static_cast<float>(value));
}

uint16_t half_bits_of(float x) {
    const int32_t bits = bits_of(x);
    const int sign = (bits >> 16) & 0x8000;
    if (std::isnan(x)) return static_cast<uint16_t>(sign | 0x7e00 | ((bits >> 13) & 0x3ff));
    const double magnitude = std::fabs(static_cast<double>(x));
    if (magnitude >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00);  // half way beyond the largest
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    if (magnitude < 6.103515625e-5) exponent = -13;  // 2^-14: below it the denormals share one exponent, with zero
    const double places = std::nearbyint(std::ldexp(magnitude, 11 - exponent));  // in last places; ties to even
    // Counting last places goes on from one binade into the next.
    return static_cast<uint16_t>(sign | static_cast<int>(places + 1024.0 * (exponent + 13)));
}

void check_to_half(const std::vector<float>& values) {
    std::vector<Half> run(values.size());
    to_halfs(values.data(), run.data(), static_cast<int64_t>(values.size()));
    int64_t wrong = 0;
    for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t wanted = half_bits_of(values[i]);
        wrong += to_half(values[i]).bits != wanted || run[i].bits != wanted;
    }
    EXPECT(wrong == 0);
}

}  // namespace

void DEBLUR_HALF_TEST() {
    if (!can_run()) return;
    std::vector<Half> halfs(65536);
    for (int i = 0; i < 65536; ++i) halfs[static_cast<size_t>(i)].bits = static_cast<uint16_t>(i);
    std::vector<float> floats(halfs.size());
    to_floats(halfs.data(), floats.data(), 65536);
    int64_t wrong = 0;
    for (size_t i = 0; i < halfs.size(); ++i) {
        const int32_t wanted = float_bits_of(halfs[i].bits);
        wrong += bits_of(to_float(halfs[i])) != wanted || bits_of(floats[i]) != wanted;
    }
    EXPECT(wrong == 0);

    // Each half, the middle between it and the next, and the floats on both sides of these.
    std::vector<float> near;
    for (int i = 0; i < 0x7c00; ++i) {
        const int32_t here = float_bits_of(static_cast<uint16_t>(i));
        const float next = i == 0x7bff ? 65536.0f : float_of(float_bits_of(static_cast<uint16_t>(i + 1)));
        const int32_t middle = bits_of((float_of(here) + next) * 0.5f);
        for (const int32_t bits : {here, here + 1, middle - 1, middle, middle + 1})
            near.push_back(float_of(bits)), near.push_back(-float_of(bits));
    }
    check_to_half(near);

    std::vector<float> any(1 << 20);
    for (float& v : any) v = float_of(static_cast<int32_t>(generator()));
    check_to_half(any);
    check_to_half({0.0f, -0.0f, 1e-45f, -1e-45f, std::numeric_limits<float>::infinity(),
                   -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                   float_of(0x7f800001), float_of(static_cast<int32_t>(0xff812345))});
}

}  // namespace deblur
