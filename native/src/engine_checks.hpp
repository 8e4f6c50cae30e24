// What both engines check of a model and of a picture.

#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine.hpp"
#include "error.hpp"

namespace edge {

inline std::string describe(const std::vector<std::int64_t>& shape) {
    std::string text = "(";
    for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + ")";
}

// Throw unless a tensor of the file is what the manifest says. A size below 0 is free.
inline void require_shape(const TensorSpec& spec, const std::vector<std::int64_t>& found) {
    const auto fits = [](std::int64_t wanted, std::int64_t has) { return has < 0 || has == wanted; };
    if (!std::equal(spec.shape.begin(), spec.shape.end(), found.begin(), found.end(), fits))
        throw Error(EDGE_ERROR_ENGINE, "tensor " + spec.name + " of the model has the shape " + describe(found) +
                                           "; the manifest says " + describe(spec.shape));
}

// Throw unless a picture can be run. Int8 networks make ordinary numbers of NaN, so outputs would not show it.
inline void require_picture(const TensorSpec& spec, const Tensor& picture) {
    if (picture.shape != spec.shape || picture.values.size() != elements(spec.shape))
        throw Error(EDGE_ERROR_ENGINE, "the network takes " + describe(spec.shape) + ", not " +
                                           describe(picture.shape));
    if (!std::all_of(picture.values.begin(), picture.values.end(), [](float value) { return std::isfinite(value); }))
        throw Error(EDGE_ERROR_ENGINE, "the picture holds values that are not finite");
}

}  // namespace edge
