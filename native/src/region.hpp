// Where the ink of a signature lies on a page: edge_sdk/preprocess/region.py.

#pragma once

#include <array>
#include <opencv2/core.hpp>

#include "json.hpp"

namespace edge {

// The manifest's source.region.
struct InkRegion {
    int side = 1536;
    double gap = 0.25, speck = 0.05, fills = 0.4, margin = 0.04;

    // Throws Error(EDGE_ERROR_BUNDLE) for values beyond their bounds.
    static InkRegion of(const Json& region);
};

struct FoundInk {
    cv::Rect box;  // what to cut out; empty for the whole picture
    bool empty = false, several = false, lined = false;

    // The box of the picture, or all of it. A copy: OpenCV's filters look beyond the borders of a view.
    cv::Mat cut(const cv::Mat& image) const { return box.empty() ? image : image(box).clone(); }

    // Whether the top, bottom, left and right of what is cut out are those of the picture.
    std::array<bool, 4> at_border(const cv::Mat& image) const;
};

// Whether a picture is worth a look, by the ink that a pipeline found in all of it, 255 on 0.
bool may_be_page(const cv::Mat& ink);

// Pictures of a longer side above this always are.
constexpr int SMALL_PICTURE = 1152;

// Look at a picture, gray or BGR.
FoundInk find_ink(const InkRegion& region, const cv::Mat& image);

}  // namespace edge
