#include "images.hpp"

#include <algorithm>
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

// Gray or BGR as it looks on white paper. Where every partly transparent pixel is pure white, an editor has not kept
// the colours of the edges: they take the darkest opaque colour within two pixels.
cv::Mat on_paper(const cv::Mat& colors, const cv::Mat& alpha) {
    cv::Mat partly;
    cv::inRange(alpha, 1, 254, partly);
    bool white = cv::countNonZero(partly) > 0;
    for (int channel = 0; white && channel < colors.channels(); ++channel) {
        cv::Mat one;
        cv::extractChannel(colors, one, channel);
        double darkest = 0;
        cv::minMaxLoc(one, &darkest, nullptr, nullptr, nullptr, partly);
        white = darkest == 255;
    }
    if (!white) return composed(colors, alpha);
    cv::Mat ink = colors.clone();
    ink.setTo(cv::Scalar::all(255), alpha < 255);
    cv::erode(ink, ink, cv::Mat::ones(5, 5, CV_8U));
    colors.copyTo(ink, partly == 0);
    return composed(ink, alpha);
}

// BGR of pixels that an application made. Cameras and screens fill the fourth byte of a pixel with 0 or 255: no alpha.
cv::Mat opaque(const cv::Mat& bgra) {
    cv::Mat colors, alpha;
    cv::cvtColor(bgra, colors, cv::COLOR_BGRA2BGR);
    cv::extractChannel(bgra, alpha, 3);
    double lowest = 0, highest = 0;
    cv::minMaxLoc(alpha, &lowest, &highest);
    if (lowest == highest && (lowest == 0 || lowest == 255)) return colors;
    return on_paper(colors, alpha);
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

// What OpenCV makes of a checked file, of 8 or 16 bits.
cv::Mat decoded(const std::vector<std::uint8_t>& file, int flags) {
    cv::Mat image;
    try {
        image = cv::imdecode(file, flags);
    } catch (const cv::Exception&) {
        image.release();
    }
    if (image.empty()) throw Error(EDGE_ERROR_INPUT, "a picture that is damaged");
    return image;
}

// Full scale to full scale: [0, 65535] to [0, 255], rounded.
cv::Mat eight_bits(const cv::Mat& image) {
    cv::Mat out = image;
    if (image.depth() == CV_16U) cv::convertScaleAbs(image, out, 1 / 257.0);
    if (out.depth() != CV_8U) throw Error(EDGE_ERROR_INPUT, "a picture that is neither of 8 nor of 16 bits");
    return out;
}

// BGR on paper of a palette's indices, which OpenCV has spread over [0, 255].
cv::Mat from_palette(const cv::Mat& levels, const Png& png) {
    const int step = 255 / ((1 << png.depth) - 1);
    const int count = std::min(static_cast<int>(png.palette.size() / 3), 1 << png.depth);
    double highest = 0;
    cv::minMaxLoc(levels, nullptr, &highest);
    if (static_cast<int>(highest) / step >= count)
        throw Error(EDGE_ERROR_INPUT, "a damaged PNG: colours that its palette has not");
    cv::Mat colors(1, count, CV_8UC3), opacity(1, count, CV_8U, cv::Scalar(255)), table(1, 256, CV_8UC3), indices, out;
    for (int n = 0; n < count; ++n) {
        const std::uint8_t* rgb = png.palette.data() + 3 * n;
        colors.at<cv::Vec3b>(n) = {rgb[2], rgb[1], rgb[0]};
        if (static_cast<std::size_t>(n) < png.transparent.size())
            opacity.at<std::uint8_t>(n) = png.transparent[static_cast<std::size_t>(n)];
    }
    colors = composed(colors, opacity);
    for (int n = 0; n < count; ++n) table.at<cv::Vec3b>(n * step) = colors.at<cv::Vec3b>(n);
    cv::cvtColor(levels, indices, cv::COLOR_GRAY2BGR);
    cv::LUT(indices, table, out);
    return out;
}

// Gray or BGR, in which the one gray level or colour that tRNS names is paper.
cv::Mat with_key(const cv::Mat& pixels, const Png& png) {
    const auto samples = static_cast<std::size_t>(pixels.channels());
    if (png.transparent.size() < 2 * samples) throw Error(EDGE_ERROR_INPUT, "a damaged PNG: transparency is cut off");
    const int highest = (1 << png.depth) - 1;
    cv::Scalar key;  // in the order BGR
    for (std::size_t n = 0; n < samples; ++n) {
        const int value = (png.transparent[2 * n] << 8 | png.transparent[2 * n + 1]) & highest;
        key[static_cast<int>(samples - 1 - n)] = png.depth < 8 ? value * 255 / highest : value;  // spread by OpenCV
    }
    cv::Mat found, image = eight_bits(pixels).clone();
    cv::inRange(pixels, key, key, found);
    image.setTo(cv::Scalar::all(255), found);
    return image;
}

cv::Mat decode_png(const Png& png) {
    const cv::Mat pixels = decoded(png.pixels, cv::IMREAD_UNCHANGED);
    if (png.color == PNG_PALETTE) return from_palette(eight_bits(pixels), png);
    if (png.color == PNG_GRAY || png.color == PNG_RGB)
        return png.transparent.empty() ? eight_bits(pixels) : with_key(pixels, png);
    const cv::Mat image = eight_bits(pixels);
    cv::Mat colors, alpha;
    cv::extractChannel(image, alpha, 3);
    if (png.color == PNG_GRAY_ALPHA)
        cv::extractChannel(image, colors, 0);
    else
        cv::cvtColor(image, colors, cv::COLOR_BGRA2BGR);
    return on_paper(colors, alpha);
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
        case EDGE_RGBA8: cv::cvtColor(copy, out, cv::COLOR_RGBA2BGRA); return opaque(out);
        case EDGE_BGRA8: return opaque(copy);
        default: return copy;
    }
}

}  // namespace

cv::Mat decode(const std::uint8_t* file, std::size_t length) {
    if (length > MOST_FILE_BYTES) throw Error(EDGE_ERROR_INPUT, "a picture of more than 256 MiB");
    if (length > 8 && std::memcmp(file, "\x89PNG\r\n\x1a\n", 8) == 0) {
        const Png png = check_png(file, length);
        return upright(decode_png(png), png.orientation);
    }
    if (length > 3 && std::memcmp(file, "\xff\xd8\xff", 3) == 0) {
        const Jpeg jpeg = check_jpeg(file, length);
        const int flags = cv::IMREAD_ANYCOLOR | cv::IMREAD_IGNORE_ORIENTATION;
        return upright(eight_bits(decoded(jpeg.file, flags)), jpeg.orientation);
    }
    throw Error(EDGE_ERROR_INPUT, "neither a PNG nor a JPEG file: save it as one of these, or pass its pixels");
}

cv::Mat picture(const edge_image* image) {
    if (!image) throw Error(EDGE_ERROR_USAGE, "a picture is a null pointer");
    if (image->struct_size != sizeof(edge_image))
        throw Error(EDGE_ERROR_USAGE,
                    "struct_size is not sizeof(edge_image): set it, and compile with this library's edge_sdk.h");
    if (!image->data || image->length == 0) throw Error(EDGE_ERROR_USAGE, "a picture without data");
    if (image->format < EDGE_ENCODED || image->format > EDGE_RGBA8)
        throw Error(EDGE_ERROR_USAGE, "a picture of no format that there is");
    if (image->format != EDGE_ENCODED) return from_pixels(*image);
    if (image->width || image->height || image->stride)
        throw Error(EDGE_ERROR_USAGE, "an encoded picture has no width, height and stride of its own: leave them 0");
    return decode(image->data, image->length);
}

}  // namespace edge
