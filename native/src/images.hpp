// From what the application gives to a picture: CV_8UC1 gray or CV_8UC3 BGR.

#pragma once

#include <cstddef>
#include <cstdint>
#include <opencv2/core.hpp>

#include "edge_sdk.h"

namespace edge {

// A picture of edge_sdk.h. Its bytes are copied or decoded; throws Error(EDGE_ERROR_USAGE or EDGE_ERROR_INPUT).
cv::Mat picture(const edge_image* image);

// The bytes of a PNG or JPEG file, whole to the last byte. As edge_sdk.images.load: transparent pixels show white
// paper, an orientation is applied, 16 bits are scaled. Throws Error(EDGE_ERROR_INPUT).
cv::Mat decode(const std::uint8_t* file, std::size_t length);

}  // namespace edge
