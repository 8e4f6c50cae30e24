// Quality flags: the bits of edge_sdk.h and their names.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "edge_sdk.h"

namespace edge {

constexpr std::array<std::pair<std::uint64_t, const char*>, 18> FLAGS = {{
    {EDGE_FLAG_EMPTY, "empty"},
    {EDGE_FLAG_TOO_LITTLE_INK, "too_little_ink"},
    {EDGE_FLAG_TOO_SMALL, "too_small"},
    {EDGE_FLAG_SEVERAL_REGIONS, "several_regions"},
    {EDGE_FLAG_CLIPPED, "clipped"},
    {EDGE_FLAG_PRINTED_LINES, "printed_lines"},
    {EDGE_FLAG_THIN_STROKES, "thin_strokes"},
    {EDGE_FLAG_UNFAMILIAR, "unfamiliar"},
    {EDGE_FLAG_NO_FACE, "no_face"},
    {EDGE_FLAG_SEVERAL_FACES, "several_faces"},
    {EDGE_FLAG_OTHER_FACES, "other_faces"},
    {EDGE_FLAG_TOO_DARK, "too_dark"},
    {EDGE_FLAG_OVEREXPOSED, "overexposed"},
    {EDGE_FLAG_FLAT, "flat"},
    {EDGE_FLAG_TILTED, "tilted"},
    {EDGE_FLAG_CUT_OFF, "cut_off"},
    {EDGE_FLAG_TURNED_AWAY, "turned_away"},
    {EDGE_FLAG_BLURRED, "blurred"},
}};

// What was found wrong with a picture.
struct Flags {
    std::uint64_t raised = 0;
    std::uint64_t blocking = 0;      // those of them that forbid to use the picture
    std::uint64_t not_enrolled = 0;  // those of them that forbid only to enrol it

    void block(std::uint64_t flags) { raised |= flags, blocking |= flags; }
    void refuse_to_enroll(std::uint64_t flags) { raised |= flags, not_enrolled |= flags; }
    void add(const Flags& other) {
        raised |= other.raised, blocking |= other.blocking, not_enrolled |= other.not_enrolled;
    }
};

// "too_dark, flat"
inline std::string names(std::uint64_t flags) {
    std::string text;
    for (const auto& [flag, name] : FLAGS)
        if (flags & flag) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
}

}  // namespace edge
