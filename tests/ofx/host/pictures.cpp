// SPDX-License-Identifier: Apache-2.0
// Pictures in memory, laid out as badly as hosts do.
#include <algorithm>
#include <cstring>

#include "host.h"

namespace testhost {
namespace {

constexpr uint8_t guard = 0xA5, unwritten = 0x5A;
constexpr size_t margin = 256;

}  // namespace

std::unique_ptr<ImageObject> make_image(const uint8_t* frame) {
    const Manners& m = world().manners;
    const Footage& f = world().footage;
    auto image = std::make_unique<ImageObject>();
    const size_t stride = f.row() + static_cast<size_t>(m.padding);
    image->memory.assign(stride * static_cast<size_t>(f.height) + 2 * margin, guard);
    uint8_t* first = image->memory.data() + margin;
    image->row_bytes = static_cast<ptrdiff_t>(stride);
    image->origin = first;
    if (m.negative_rows) {
        image->origin = first + stride * static_cast<size_t>(f.height - 1);
        image->row_bytes = -image->row_bytes;
    }
    for (int y = 0; y < f.height; ++y) {
        uint8_t* row = image->origin + image->row_bytes * y;
        if (frame == nullptr)
            std::memset(row, unwritten, f.row());
        else
            std::memcpy(row, frame + f.row() * static_cast<size_t>(f.height - 1 - y), f.row());
    }
    Props& p = *image;
    p.set(ofx::prop_type, std::string(ofx::type_image));
    p.set(ofx::image_data, static_cast<void*>(image->origin));
    p.set(ofx::image_row_bytes, static_cast<int>(image->row_bytes));
    const int bounds[] = {m.origin_x, m.origin_y, m.origin_x + f.width, m.origin_y + f.height};
    for (size_t i = 0; i < 4; ++i) {
        p.set(ofx::image_bounds, bounds[i], i);
        p.set(ofx::image_region, bounds[i], i);
    }
    const std::string depth = m.calls_bytes_float ? "float" : f.depth;
    p.set(ofx::prop_depth, std::string(depth == "byte"    ? ofx::depth_byte
                                       : depth == "short" ? ofx::depth_short
                                       : depth == "half"  ? ofx::depth_half
                                                          : ofx::depth_float));
    p.set(ofx::prop_components, std::string(f.channels == 3   ? ofx::components_rgb
                                            : f.channels == 1 ? ofx::components_alpha
                                                              : ofx::components_rgba));
    p.set(ofx::prop_premultiplication, std::string(f.premultiplied ? ofx::premultiplied : ofx::unpremultiplied));
    p.set(ofx::image_field, std::string(ofx::field_none));
    return image;
}

bool ImageObject::guards_hold(size_t used_row) const {
    const size_t stride = static_cast<size_t>(std::abs(row_bytes));
    const size_t rows = (memory.size() - 2 * margin) / stride;
    const auto clean = [](const uint8_t* from, size_t size) {
        return std::all_of(from, from + size, [](uint8_t b) { return b == guard; });
    };
    if (!clean(memory.data(), margin) || !clean(memory.data() + memory.size() - margin, margin)) return false;
    for (size_t row = 0; row < rows; ++row)
        if (!clean(memory.data() + margin + row * stride + used_row, stride - used_row)) return false;
    return true;
}

void read_image(const ImageObject& image, uint8_t* to) {
    const Footage& f = world().footage;
    for (int y = 0; y < f.height; ++y)
        std::memcpy(to + f.row() * static_cast<size_t>(f.height - 1 - y), image.origin + image.row_bytes * y, f.row());
}

bool play(Manners& m, const std::string& name) {
    if (name == "mlt") {
        m.name = "net.mlt.openfx", m.temporal = false, m.answers_current = true, m.per_frame_instance = true;
        m.no_frame_range = true, m.no_identifiers = true;
    } else if (name == "natron") {
        m.name = "fr.inria.Natron", m.holds_ends = true;
    } else if (name == "hostdemo") {
        m.name = "uk.co.thefoundry.OfxHostDemo", m.calls_bytes_float = true, m.strings_break = true;
        m.no_identifiers = true, m.negative_rows = true;
    } else if (name == "runner") {
        m.name = "openfx.runner", m.temporal = false, m.no_message = true, m.no_progress = true;
        m.no_frame_range = true, m.no_identifiers = true;
    } else if (name == "resolve") {
        m.name = "DaVinciResolve", m.no_persistent = true, m.padding = 64;
    } else if (name == "nuke") {
        m.name = "uk.co.thefoundry.nuke", m.origin_x = -16, m.origin_y = 8;
    } else {
        return name == "plain";
    }
    return true;
}

}  // namespace testhost
