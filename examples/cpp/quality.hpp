// Is there a usable signature in the picture? The blocking checks of edge_sdk/quality.py, with its limits.

#pragma once

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <string>

#include "preprocess.hpp"

namespace edge {

struct Prepared {
    cv::Mat tensor;       // CV_32FC1 in [0, 1]
    std::string blocked;  // why the picture must not be accepted; empty if nothing was found wrong
};

inline std::string assess(const cv::Mat& ink, const cv::Mat& image) {
    const cv::Mat mask = ink > 127;
    const double scale =
        static_cast<double>(std::min(640, std::max(image.rows, image.cols))) / std::max(mask.rows, mask.cols);
    const int amount = cv::countNonZero(mask);
    const cv::Rect box = cv::boundingRect(mask);
    if (amount == 0 || amount > 0.5 * static_cast<double>(mask.total())) return "empty";
    if (amount * scale * scale < 300) return "too_little_ink";
    if (std::min(image.rows, image.cols) < 32 || std::max(box.width, box.height) * scale < 48) return "too_small";
    // edge-sdk finds the ink on a page (the manifest's source.region); this program takes what is cut out already.
    if (std::max(box.width, box.height) < 0.4 * std::max(mask.rows, mask.cols)) return "page: cut the signature out";
    return "";
}

// Pre-process a picture, and assess it where the ink is found, before anything is cut or stretched.
inline Prepared prepare(const Json& operations, const cv::Mat& image) {
    const auto named = [](const char* name) { return [=](const Json& step) { return step.at("op") == name; }; };
    const auto cut = std::find_if(operations.begin(), operations.end(), [&](const Json& step) {
        return named("resize")(step) || named("crop_to_ink")(step) || named("fit")(step);
    });
    cv::Mat ink = image;
    for (auto at = operations.begin(); at != cut; ++at) ink = step(*at, ink);
    const cv::Mat tensor = preprocess(Json(std::vector<Json>(cut, operations.end())), ink);
    if (std::any_of(cut, operations.end(), named("invert"))) ink = op::invert(ink, {});
    return {tensor, assess(op::to_gray(ink, {}), image)};
}

}  // namespace edge
