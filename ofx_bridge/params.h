// SPDX-License-Identifier: Apache-2.0
// The effect's controls, all of them, in the order in which they are shown. A name, once published, stands in people's
// projects: it is never changed nor used for something else. tests/ofx/test_params.py reads this table and holds it
// against the engine's settings. Strings come last: one host loses every control that is defined after one.
#pragma once

namespace bridge {

enum class Kind { number, whole, toggle, choice, button, text, path };

struct Control {
    const char* name;
    Kind kind;
    const char* label;
    double standard;  // the default: a number, 0 or 1, or an option's place
    double low, high;
    bool animates;
    const char* options;  // of a choice, with '|' between them
    const char* hint;
};

inline constexpr Control controls[] = {
    {"strength", Kind::number, "Strength", 1, 0, 1, true, "",
     "How much of the blur's removal is applied: 0 leaves the clip as it is, 1 is the full effect."},
    {"protect", Kind::toggle, "Protect Sharp Areas", 1, 0, 1, false, "",
     "Frames and places that are sharp already stay exactly as they are."},
    {"footage", Kind::choice, "Footage Colour", 0, 0, 3, false, "Auto|Display referred|Scene linear|Log",
     "What the pixels that arrive here stand for. Auto: scene linear in hosts that work so, in half or float. Display "
     "referred and Log pass as they are: the model has to be fitted to the same."},
    {"view", Kind::choice, "View", 0, 0, 3, false, "Result|Before and after|Difference|Sharpness map",
     "Result; the source on the left and the result on the right; twice their difference about a middle grey; or where "
     "the engine finds the frame sharp (white)."},
    {"device", Kind::choice, "Device", 0, 0, 2, false, "auto|cpu|cuda",
     "What the network runs on. Auto takes a GPU where one really works."},
    {"firstFrame", Kind::whole, "First Frame", 0, -1000000, 1000000, false, "",
     "Where on the time line the clip's first frame (number 0) lies. Not needed where the host tells the frame or the "
     "clip's file is there: then frames are found by what they show."},
    {"preset", Kind::choice, "Fit Quality", 1, 0, 2, false, "draft|standard|high",
     "How long a fit may take: about 3, 12 or 90 minutes."},
    {"background", Kind::toggle, "Fit in Background", 0, 0, 1, false, "",
     "Go on working while a fit runs: the status line says how far it is, and the effect takes the new model by "
     "itself. "
     "The project keeps the model's path from the next control that is touched on."},
    {"fit", Kind::button, "Fit", 0, 0, 0, false, "", "Fit a model to this clip now, and use it when it is done."},
    {"cancel", Kind::button, "Cancel Fit", 0, 0, 0, false, "", "Stop the fit that runs for this effect."},
    {"reload", Kind::button, "Reload", 0, 0, 0, false, "",
     "Read the model anew, look after a fit that runs, and try at once to start an engine that could not be started."},
    {"openLog", Kind::button, "Open Log", 0, 0, 0, false, "", "Show the file in which the engine says what it does."},
    {"model", Kind::path, "Model File", 0, 0, 0, false, "",
     "The clip's CLIP.deblur.onnx. Empty: the one beside the source clip."},
    {"clip", Kind::path, "Source Clip", 0, 0, 0, false, "",
     "The clip's own file, for its sharp frames. Empty: as the host says, or the one beside the model."},
    {"status", Kind::text, "Status", 0, 0, 0, false, "", "What the effect did last."},
};

enum class Footage { automatic = 0, display = 1, linear = 2, log = 3 };
enum class View { result = 0, split = 1, difference = 2, map = 3 };
inline constexpr const char* devices[] = {"auto", "cpu", "cuda"};
inline constexpr const char* presets[] = {"draft", "standard", "high"};

}  // namespace bridge
