// SPDX-License-Identifier: Apache-2.0
#include "frames.h"

#include <algorithm>

namespace bridge {
namespace {

constexpr size_t most_pictures = 32;

}  // namespace

std::vector<int64_t> frames_needed(Connection& connection, const wire::ModelInfo& info, const std::string& model,
                                   const std::string& clip, int64_t frame, const Patience& patience) {
    if (info.route != wire::Route::host || !host().temporal()) return {frame};
    const auto payload =
        connection.ask(wire::Type::needs, wire::needs(model, clip, frame), wire::Type::needed, patience);
    wire::Needed needed{wire::Reader(payload)};
    auto& frames = needed.frames;
    if (frames.size() > most_pictures) throw wire::Malformed(std::to_string(frames.size()) + " frames for one");
    if (std::find(frames.begin(), frames.end(), frame) == frames.end()) frames.push_back(frame);
    return frames;
}

std::vector<wire::Place> bring(Connection& connection, const std::vector<int64_t>& frames, int64_t frame,
                               const Image& form, Coding coding, const std::string& scope, const Fetch& fetch,
                               const Patience& patience) {
    const Box size = form.picture().bounds;
    const size_t bytes = sizeof(float) * 3 * static_cast<size_t>(size.width()) * static_cast<size_t>(size.height());
    // Room for as many as are usual at once, so that it is not made anew for every frame.
    connection.reserve(frames.size() > 1 ? std::max<size_t>(frames.size() + 1, 8) : 2, bytes, patience);
    auto& held = connection.held();

    const auto name = [&](const Image& image) {
        if (image.identifier().empty()) return std::string();
        const Box& b = image.picture().bounds;
        return scope + '\n' + image.identifier() + '\n' + std::to_string(b.width()) + 'x' + std::to_string(b.height()) +
               '\n' + std::to_string(static_cast<int>(coding.from_light));
    };
    std::vector<bool> taken(held.size(), false);
    taken[0] = true;
    // Slots with pictures of this very frame set are kept; the others are given away first.
    for (size_t i = 1; i < held.size(); ++i)
        taken[i] = !held[i].what.empty() && std::find(frames.begin(), frames.end(), held[i].frame) != frames.end();

    std::vector<wire::Place> places;
    const auto place = [&](int64_t number, const Image& image) {
        const std::string what = name(image);
        size_t slot = 0;
        for (size_t i = 1; i < held.size(); ++i)
            if (held[i].frame == number && taken[i] && !held[i].what.empty()) {
                slot = i;
                break;
            }
        if (slot == 0) slot = static_cast<size_t>(std::find(taken.begin(), taken.end(), false) - taken.begin());
        if (slot >= held.size()) return;
        taken[slot] = true;
        if (what.empty() || held[slot].what != what || held[slot].frame != number) {
            held[slot] = {};
            const Taken taken = take(image.picture(), coding, connection.slot(slot));
            held[slot] = {what, number, taken};
        }
        places.push_back({number, Connection::surface, connection.offset(slot), held[slot].taken.mark});
    };
    for (const int64_t number : frames) {
        patience.check();
        if (number == frame) {
            place(number, form);
            continue;
        }
        fetch(number, [&](const Image& image) {
            const Box& b = image.picture().bounds;
            if (b.width() == size.width() && b.height() == size.height() && image.picture().channels >= 3)
                place(number, image);
        });
    }
    return places;
}

}  // namespace bridge
