// Decode a picture file as edge_sdk/images does. Here OpenCV alone decides whether a file is whole.

#pragma once

#include <cstdint>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <vector>

namespace edge {

// The bytes of a PNG, JPEG, BMP or TIFF file to CV_8U: gray, BGR or BGRA.
inline cv::Mat decode(const std::vector<std::uint8_t>& file) {
    const bool png = file.size() > 4 && file[1] == 'P' && file[2] == 'N' && file[3] == 'G';
    const int any_but_alpha = cv::IMREAD_ANYCOLOR | cv::IMREAD_ANYDEPTH;  // unlike UNCHANGED, honours EXIF orientation
    cv::Mat image = cv::imdecode(file, png ? cv::IMREAD_UNCHANGED : any_but_alpha);
    if (image.empty()) throw std::runtime_error("a picture that cannot be decoded");
    if (image.depth() == CV_16U) cv::convertScaleAbs(image, image, 1 / 257.0);
    return image;
}

}  // namespace edge
