// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set (DEBLUR_ISA); isa.cpp chooses when the first op runs.
#include <type_traits>

#include "blend_loops.h"

namespace deblur {
namespace {

constexpr int64_t kRun = 384;  // values at a time: whole pixels of 1, 2, 3 and 4 channels

// The line of a picture that holds T.
template <class T, class P>
T* line_of(const Picture<P>& p, int64_t n, int64_t c, int64_t y) {
    return static_cast<T*>(p.data) + n * p.sn + c * p.sc + y * p.sh;
}

// A run of values that is read: where it lies, or brought together in `room`.
template <class T>
const T* run_of(const T* from, int64_t step, int64_t count, T* room) {
    if (step == 1) return from;
    for (int64_t i = 0; i < count; ++i) room[i] = from[i * step];
    return room;
}

// The same of weights, each for `channels` values in turn.
template <int C>
void repeat(const float* from, int64_t step, int64_t pixels, float* to) {
    for (int64_t i = 0; i < pixels; ++i)
        for (int c = 0; c < C; ++c) to[i * C + c] = from[i * step];
}

const float* weights_of(const float* from, int64_t step, int64_t count, int64_t channels, float* room) {
    switch (channels) {
        case 2: repeat<2>(from, step, count / 2, room); return room;
        case 3: repeat<3>(from, step, count / 3, room); return room;
        case 4: repeat<4>(from, step, count / 4, room); return room;
        default: return run_of(from, step, count, room);
    }
}

template <class P>
bool interleaved(const Picture<P>& p) {
    return p.c >= 2 && p.c <= 4 && p.sc == 1 && p.sw == p.c;
}

template <class T>
void finish_run(const float* sum, const float* weight, T* out, int64_t count, float full) {
    if constexpr (std::is_same<T, Half>::value) {
        float values[kRun];
        for (int64_t i = 0; i < count; ++i) values[i] = finished(sum[i], weight[i], full);
        to_halfs(values, out, count);
    } else {
        for (int64_t i = 0; i < count; ++i) put(out[i], finished(sum[i], weight[i], full), full);
    }
}

template <class T>
void mix_run(const T* base, const float* result, const float* weight, T* out, int64_t count, const MixTask& t) {
    const float full = t.full, strength = t.strength;
    if constexpr (std::is_same<T, Half>::value) {
        float values[kRun];
        Half halfs[kRun];
        to_floats(base, values, count);
        for (int64_t i = 0; i < count; ++i) values[i] = mixed(values[i], result[i], weight[i] * strength, full);
        to_halfs(values, halfs, count);
        for (int64_t i = 0; i < count; ++i) out[i].bits = weight[i] * strength == 0.0f ? base[i].bits : halfs[i].bits;
    } else {
        for (int64_t i = 0; i < count; ++i) {
            const float w = weight[i] * strength;
            T changed;
            put(changed, mixed(value_of(base[i]), result[i], w, full), full);
            out[i] = w == 0.0f ? base[i] : changed;
        }
    }
}

// Asks for `count` values that are due kAhead bytes later: a processor foresees a stream by itself, but not beyond the
// page that it is in. Inlined always: a call of a function that does nothing else has no effect that GCC would see.
constexpr int64_t kAhead = 2048;

template <int Writes, class T>
DEBLUR_FN void prefetch(const T* from, int64_t count) {
#if defined(__GNUC__)
    constexpr int64_t kLine = 64 / sizeof(T);
    from += kAhead / static_cast<int64_t>(sizeof(T));
    for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i, Writes);
#else
    (void)from, (void)count;
#endif
}

// Lines begin..end of picture n in runs, over pixels and channels at once where all of `out`, `first` and `second` are
// interleaved: run(first, second, weights, out, count).
template <class T, class A, class B, class Run>
void in_runs(const Picture<void>& out, const Picture<A>& first, const Picture<B>& second,
             const Picture<const float>& weight, int64_t n, int64_t begin, int64_t end, const Run& run) {
    typedef std::conditional_t<std::is_same<A, const void>::value, T, float> First;
    const bool together = interleaved(out) && interleaved(first) && interleaved(second);
    const int64_t channels = together ? out.c : 1, width = out.w * channels;
    const int64_t step = together ? 1 : out.sw, step_first = together ? 1 : first.sw;
    const int64_t step_second = together ? 1 : second.sw;
    First room_first[kRun];
    float room_second[kRun], room_weight[kRun];
    T room_out[kRun];
    for (int64_t y = begin; y < end; ++y)
        for (int64_t c = 0; c < out.c; c += channels) {
            const First* a = line_of<const First>(first, n, c, y);
            const float* b = line_of<const float>(second, n, c, y);
            const float* w = line_of<const float>(weight, n, 0, y);
            T* to = line_of<T>(out, n, c, y);
            for (int64_t i = 0; i < width; i += kRun) {
                const int64_t count = i + kRun < width ? kRun : width - i;
                T* const changed = step == 1 ? to + i : room_out;
                if (step_first == 1) prefetch<0>(a + i, count);
                if (step_second == 1 && static_cast<const void*>(a) != b) prefetch<0>(b + i, count);
                if (weight.sw == 1) prefetch<0>(w + i / channels, count / channels);
                if (step == 1) prefetch<1>(to + i, count);
                run(run_of(a + i * step_first, step_first, count, room_first),
                    run_of(b + i * step_second, step_second, count, room_second),
                    weights_of(w + i / channels * weight.sw, weight.sw, count, channels, room_weight), changed, count);
                if (step != 1)
                    for (int64_t k = 0; k < count; ++k) to[(i + k) * step] = changed[k];
            }
        }
}

template <class T>
void finish_lines(const FinishTask& t, int64_t n, int64_t begin, int64_t end) {
    in_runs<T>(t.out, t.sum, t.sum, t.weight, n, begin, end,
               [&](const float* sum, const float*, const float* weight, T* out, int64_t count) {
                   finish_run(sum, weight, out, count, t.full);
               });
}

template <class T>
void mix_lines(const MixTask& t, int64_t n, int64_t begin, int64_t end) {
    in_runs<T>(t.out, t.base, t.result, t.weight, n, begin, end,
               [&](const T* base, const float* result, const float* weight, T* out, int64_t count) {
                   mix_run(base, result, weight, out, count, t);
               });
}

}  // namespace

void DEBLUR_ISA::blend(const BlendTask& t, int64_t n, int64_t begin, int64_t end) {
    const Picture<const float>& tile = t.tile;
    const bool left = t.x > 0, right = t.x + tile.w < t.sum.w, top = t.y > 0, bottom = t.y + tile.h < t.sum.h;
    constexpr int kBlock = 256;
    float weights[kBlock];
    for (int64_t y = begin; y < end; ++y) {
        const float down = feathered(y, tile.h, t.feather, top, bottom);
        for (int64_t x0 = 0; x0 < tile.w; x0 += kBlock) {
            const int64_t count = x0 + kBlock < tile.w ? kBlock : tile.w - x0;
            for (int64_t i = 0; i < count; ++i) weights[i] = down * feathered(x0 + i, tile.w, t.feather, left, right);
            float* total = &at(t.weight, n, 0, t.y + y, t.x + x0);
            for (int64_t i = 0; i < count; ++i) total[i * t.weight.sw] += weights[i];
            for (int64_t c = 0; c < tile.c; ++c) {
                float* sum = &at(t.sum, n, c, t.y + y, t.x + x0);
                const float* from = &at(tile, n, c, y, x0);
                for (int64_t i = 0; i < count; ++i) sum[i * t.sum.sw] += weights[i] * from[i * tile.sw];
            }
        }
    }
}

void DEBLUR_ISA::finish(const FinishTask& t, int64_t n, int64_t begin, int64_t end) {
    switch (t.sample) {
        case Sample::u8: return finish_lines<uint8_t>(t, n, begin, end);
        case Sample::u16: return finish_lines<uint16_t>(t, n, begin, end);
        case Sample::f16: return finish_lines<Half>(t, n, begin, end);
        case Sample::f32: return finish_lines<float>(t, n, begin, end);
    }
}

void DEBLUR_ISA::mix(const MixTask& t, int64_t n, int64_t begin, int64_t end) {
    switch (t.sample) {
        case Sample::u8: return mix_lines<uint8_t>(t, n, begin, end);
        case Sample::u16: return mix_lines<uint16_t>(t, n, begin, end);
        case Sample::f16: return mix_lines<Half>(t, n, begin, end);
        case Sample::f32: return mix_lines<float>(t, n, begin, end);
    }
}

}  // namespace deblur
