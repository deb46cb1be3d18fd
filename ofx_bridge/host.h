// SPDX-License-Identifier: Apache-2.0
// The host as the effect sees it: its suites, of which the optional ones may be missing, and properties that any host
// may lack or refuse. Nothing here throws but where it says so.
#pragma once

#include <optional>
#include <string>
#include <tuple>

#include "openfx_api.h"
#include "pixels.h"

namespace bridge {

class HostSide {
public:
    // False where a suite is missing that nothing can be done without. There are hosts that load for each frame, while
    // other threads render: nothing is touched where nothing has changed.
    bool attach(const ofx::Host* host);
    bool attached() const { return image_ != nullptr; }

    const ofx::ImageEffectSuite& image() const { return *image_; }
    const ofx::ParameterSuite& params() const { return *params_; }
    // Null, too, where a bar is neither shown nor can be cancelled.
    const ofx::ProgressSuiteV1* progress() const { return progress_; }

    std::string text(ofx::PropertySet set, const char* name, int index = 0) const;
    std::optional<int> whole(ofx::PropertySet set, const char* name, int index = 0) const;
    std::optional<double> number(ofx::PropertySet set, const char* name, int index = 0) const;
    void* pointer(ofx::PropertySet set, const char* name) const;
    std::optional<Box> box(ofx::PropertySet set, const char* name) const;

    void set(ofx::PropertySet set, const char* name, const char* value, int index = 0) const;
    void set(ofx::PropertySet set, const char* name, int value, int index = 0) const;
    void set(ofx::PropertySet set, const char* name, double value, int index = 0) const;
    void set_pointer(ofx::PropertySet set, const char* name, void* value) const;

    // A message that stays at the effect until it is cleared; a plain one where the host knows no other.
    void show_persistent(ofx::Effect effect, const char* type, const std::string& message) const;
    void clear_persistent(ofx::Effect effect) const;
    void show_message(ofx::Effect effect, const std::string& message) const;

    const std::string& name() const { return name_; }
    bool temporal() const { return temporal_; }  // frames other than the current one can be had
    bool linear() const { return linear_; }      // float pictures are scene linear
    bool deaf() const { return deaf_; }          // a render that failed is written out like any other

private:
    static HostSide of(const ofx::Host* host);
    auto all() const { return std::tie(host_, props_, image_, params_, message_, progress_, name_, temporal_); }

    const ofx::Host* host_ = nullptr;
    const ofx::PropertySuite* props_ = nullptr;
    const ofx::ImageEffectSuite* image_ = nullptr;
    const ofx::ParameterSuite* params_ = nullptr;
    const ofx::MessageSuiteV2* message_ = nullptr;
    const ofx::ProgressSuiteV1* progress_ = nullptr;
    std::string name_;
    bool temporal_ = false, linear_ = false, deaf_ = false;
};

// One for the process: OpenFX sets one host for a binary.
HostSide& host();

// A picture on loan from a clip; empty where the host has none.
class Image {
public:
    Image(ofx::Clip clip, double time);
    ~Image();
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;

    explicit operator bool() const { return picture_.has_value(); }
    const HostPicture& picture() const { return *picture_; }
    const std::string& identifier() const { return identifier_; }  // "" unknown
    const std::string& trouble() const { return trouble_; }        // why there is no picture

private:
    void read();
    ofx::PropertySet handle_ = nullptr;
    std::optional<HostPicture> picture_;
    std::string identifier_, trouble_;
};

}  // namespace bridge
