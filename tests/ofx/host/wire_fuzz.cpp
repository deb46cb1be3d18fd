// SPDX-License-Identifier: Apache-2.0
// Messages that a worker might send, broken in every way that chance finds, to every reader. Each either reads all of
// it or throws Malformed; the sanitizers see the rest. Also an entry for libFuzzer, where there is one.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "wire.h"

using namespace bridge::wire;

namespace {

template <class T>
int read(const uint8_t* data, size_t size) {
    try {
        T message{Reader(data, size)};
        return 1;
    } catch (const Malformed&) {
        return 0;
    }
}

int read_all(const uint8_t* data, size_t size) {
    return read<Welcome>(data, size) + read<Error>(data, size) + read<ModelInfo>(data, size) +
           read<Needed>(data, size) + read<Rendered>(data, size) + read<Job>(data, size) + read<FitState>(data, size);
}

std::vector<std::vector<uint8_t>> good_ones() {
    const auto bytes = [](const Writer& w) { return w.bytes(); };
    return {
        bytes(Writer().number(7u).text("0.1.0").text("cpu").text("/tmp/worker.log")),
        bytes(Writer().number(9u).text("der Film fehlt: \xc3\xa4").text("")),
        bytes(Writer()
                  .text("/a.onnx")
                  .text("/a.mov")
                  .number(1920u)
                  .number(1080u)
                  .number(int64_t{99})
                  .number(1u)
                  .number(2u)
                  .number(uint64_t{5})
                  .text("")),
        bytes(Writer().number(2u).number(3u).number(int64_t{1}).number(int64_t{2}).number(int64_t{9})),
        bytes(Writer().number(0u).number(2u).number(1u).number(1u).number(2u).number(3u).number(4u).text("note")),
        bytes(Writer().number(uint64_t{12})),
        bytes(Writer().number(1u).number(0.5f).number(0u).text("loop").text("").text("")),
    };
}

}  // namespace

#if defined(DEBLUR_LIBFUZZER)
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    read_all(data, size);
    return 0;
}
#else
int main(int argc, char** argv) {
    const long rounds = argc > 1 ? std::atol(argv[1]) : 100000;
    std::mt19937 random(20);
    const auto seeds = good_ones();
    for (const auto& seed : seeds)
        if (read_all(seed.data(), seed.size()) < 1) return std::printf("a good message was refused\n"), 1;
    long accepted = 0;
    for (long round = 0; round < rounds; ++round) {
        std::vector<uint8_t> bytes = seeds[random() % seeds.size()];
        for (unsigned k = random() % 4 + 1; k-- > 0 && !bytes.empty();) {
            const size_t where = random() % bytes.size();
            switch (random() % 5) {
                case 0: bytes[where] = static_cast<uint8_t>(random()); break;
                case 1: bytes[where] ^= static_cast<uint8_t>(1u << random() % 8); break;
                case 2: bytes.resize(where); break;
                case 3: bytes.insert(bytes.begin() + static_cast<long>(where), static_cast<uint8_t>(random())); break;
                default:  // a length of great size
                    for (size_t i = where; i < std::min(where + 4, bytes.size()); ++i) bytes[i] = 0xff;
            }
        }
        // Memory that ends where the message does.
        const std::vector<uint8_t> exact(bytes);
        accepted += read_all(exact.data(), exact.size());
    }
    std::printf("%ld rounds, %ld messages still whole\n", rounds, accepted);
    return accepted > 0 ? 0 : 1;
}
#endif
