#include "images.hpp"

#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <vector>

#include "error.hpp"
#include "image_files.hpp"

namespace edge {

namespace {

constexpr std::size_t MOST_FILE_BYTES = std::size_t{256} << 20;

// (color * alpha + 255 * (255 - alpha)) / 255, rounded.
cv::Mat composed(const cv::Mat& colors, const cv::Mat& alpha) {
    cv::Mat weights = alpha, out;
    if (colors.channels() == 3) cv::merge(std::vector<cv::Mat>(3, alpha), weights);
    cv::bitwise_not(colors, out);
    cv::multiply(out, weights, out, 1.0 / 255);
    cv::bitwise_not(out, out);
    return out;
}

// BGRA as it looks on white paper. Where every partly transparent pixel is pure white, an editor has not kept the
// colours of the edges: they take the darkest opaque colour within two pixels.
cv::Mat on_paper(const cv::Mat& bgra) {
    cv::Mat colors, alpha, partly;
    cv::cvtColor(bgra, colors, cv::COLOR_BGRA2BGR);
    cv::extractChannel(bgra, alpha, 3);
    double lowest = 0, highest = 0;
    cv::minMaxLoc(alpha, &lowest, &highest);
    if (lowest == highest && (lowest == 0 || lowest == 255)) return colors;  // the fourth byte of a camera's pixel
    cv::inRange(alpha, 1, 254, partly);
    bool white = cv::countNonZero(partly) > 0;
    for (int channel = 0; white && channel < 3; ++channel) {
        cv::Mat one;
        cv::extractChannel(colors, one, channel);
        double darkest = 0;
        cv::minMaxLoc(one, &darkest, nullptr, nullptr, nullptr, partly);
        white = darkest == 255;
    }
    if (white) {
        cv::Mat ink = colors.clone(), kept;
        ink.setTo(cv::Scalar::all(255), alpha < 255);
        cv::erode(ink, ink, cv::Mat::ones(5, 5, CV_8U));
        colors.copyTo(ink, partly == 0);
        colors = ink;
    }
    return composed(colors, alpha);
}

cv::Mat upright(const cv::Mat& image, int orientation) {
    cv::Mat out = image;
    switch (orientation) {
        case 2: cv::flip(image, out, 1); break;
        case 3: cv::rotate(image, out, cv::ROTATE_180); break;
        case 4: cv::flip(image, out, 0); break;
        case 5: cv::transpose(image, out); break;
        case 6: cv::rotate(image, out, cv::ROTATE_90_CLOCKWISE); break;
        case 7: cv::transpose(image, out), cv::flip(out, out, -1); break;
        case 8: cv::rotate(image, out, cv::ROTATE_90_COUNTERCLOCKWISE); break;
        default: break;
    }
    return out;
}

cv::Mat decoded(const std::vector<std::uint8_t>& file, int flags) {
    cv::Mat image;
    try {
        image = cv::imdecode(file, flags);
    } catch (const cv::Exception&) {
        image.release();
    }
    if (image.empty()) throw Error(EDGE_ERROR_INPUT, "a picture that is damaged");
    if (image.depth() == CV_16U) cv::convertScaleAbs(image, image, 1 / 257.0);
    if (image.depth() != CV_8U) throw Error(EDGE_ERROR_INPUT, "a picture that is neither of 8 nor of 16 bits");
    return image.channels() == 4 ? on_paper(image) : image;
}

cv::Mat from_pixels(const edge_image& image) {
    static constexpr int CHANNELS[] = {0, 1, 3, 3, 4, 4};
    const int channels = CHANNELS[image.format];
    if (image.width < 1 || image.height < 1) throw Error(EDGE_ERROR_USAGE, "a picture without width or height");
    check_size(image.width, image.height);
    const auto row = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(channels);
    const std::size_t stride = image.stride ? image.stride : row;
    const auto rows = static_cast<std::size_t>(image.height);
    if (stride < row || image.length < row || (image.length - row) / stride < rows - 1)
        throw Error(EDGE_ERROR_USAGE, "a picture's stride or length is too small for its width and height");
    cv::Mat copy(image.height, image.width, CV_8UC(channels)), out;
    for (int y = 0; y < image.height; ++y)
        std::memcpy(copy.ptr(y), image.data + static_cast<std::size_t>(y) * stride, row);
    switch (image.format) {
        case EDGE_RGB8: cv::cvtColor(copy, out, cv::COLOR_RGB2BGR); return out;
        case EDGE_RGBA8: cv::cvtColor(copy, out, cv::COLOR_RGBA2BGRA); return on_paper(out);
        case EDGE_BGRA8: return on_paper(copy);
        default: return copy;
    }
}

}  // namespace

cv::Mat decode(const std::uint8_t* file, std::size_t length) {
    if (length > MOST_FILE_BYTES) throw Error(EDGE_ERROR_INPUT, "a picture of more than 256 MiB");
    if (length > 8 && std::memcmp(file, "\x89PNG\r\n\x1a\n", 8) == 0) {
        const Png png = check_png(file, length);
        const int flags = png.alpha ? cv::IMREAD_UNCHANGED : cv::IMREAD_ANYCOLOR | cv::IMREAD_ANYDEPTH |
                                                                 cv::IMREAD_IGNORE_ORIENTATION;
        return upright(decoded({file, file + length}, flags), png.orientation);
    }
    if (length > 3 && std::memcmp(file, "\xff\xd8\xff", 3) == 0)
        return decoded(check_jpeg(file, length), cv::IMREAD_ANYCOLOR);
    throw Error(EDGE_ERROR_INPUT, "neither a PNG nor a JPEG file: save it as one of these, or pass its pixels");
}

cv::Mat picture(const edge_image* image) {
    if (!image) throw Error(EDGE_ERROR_USAGE, "a picture is a null pointer");
    if (image->struct_size != sizeof(edge_image)) throw Error(EDGE_ERROR_USAGE, "edge_image has another struct_size");
    if (!image->data || image->length == 0) throw Error(EDGE_ERROR_USAGE, "a picture without data");
    if (image->format < EDGE_ENCODED || image->format > EDGE_RGBA8)
        throw Error(EDGE_ERROR_USAGE, "a picture of no format that there is");
    if (image->format != EDGE_ENCODED) return from_pixels(*image);
    if (image->width || image->height || image->stride)
        throw Error(EDGE_ERROR_USAGE, "an encoded picture has no width, height and stride of its own: leave them 0");
    return decode(image->data, image->length);
}

}  // namespace edge
