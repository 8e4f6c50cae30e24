// From a decoded picture to the network's input: the operations of a manifest, in C++.
//
// The same OpenCV calls in the same order as edge_sdk/preprocess/, one function an operation and named alike, so that
// a phone computes what the model was trained on. Between operations a picture is CV_8U: gray, or BGR or BGRA before
// to_gray; preprocess() ends with CV_32FC1 in [0, 1], rows and columns as the manifest's input says. No operation
// changes its argument. Needs OpenCV's core and imgproc, and nlohmann/json.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace edge {

using Json = nlohmann::json;

namespace op {

// Halves go to the even neighbour, as in Python.
inline int round(double value) { return static_cast<int>(std::nearbyint(value)); }

inline cv::Mat resized(const cv::Mat& image, cv::Size size, int interpolation) {
    cv::Mat out;
    cv::resize(image, out, size, 0, 0, interpolation);
    return out;
}

// A transparent pixel shows white paper.
inline cv::Mat over_white(const cv::Mat& bgra) {
    cv::Mat bgr(bgra.size(), CV_8UC3);
    for (int y = 0; y < bgra.rows; ++y)
        for (int x = 0; x < bgra.cols; ++x) {
            const auto& pixel = bgra.at<cv::Vec4b>(y, x);
            for (int c = 0; c < 3; ++c)
                bgr.at<cv::Vec3b>(y, x)[c] =
                    static_cast<uchar>((pixel[c] * pixel[3] + 255 * (255 - pixel[3]) + 127) / 255);
        }
    return bgr;
}

inline cv::Mat to_gray(const cv::Mat& image, const Json&) {
    if (image.channels() == 1) return image;
    cv::Mat gray;
    cv::cvtColor(image.channels() == 4 ? over_white(image) : image, gray, cv::COLOR_BGR2GRAY);
    return gray;
}

// The mean of each block of rows x columns pixels, by halves as long as both factors are even.
inline cv::Mat block_means(const cv::Mat& image, int rows, int columns) {
    cv::Mat out = image;
    for (; rows % 2 == 0 && columns % 2 == 0; rows /= 2, columns /= 2)
        out = resized(out, {out.cols / 2, out.rows / 2}, cv::INTER_AREA);
    return rows == 1 && columns == 1 ? out : resized(out, {out.cols / columns, out.rows / rows}, cv::INTER_AREA);
}

// Means over whole blocks of pixels as far as they go, then bilinear.
inline cv::Mat scaled(const cv::Mat& image, int height, int width) {
    const int rows = std::max(1, image.rows / height), columns = std::max(1, image.cols / width);
    if (rows == 1 && columns == 1) return resized(image, {width, height}, cv::INTER_LINEAR);
    const cv::Mat whole = image({0, 0, image.cols / columns * columns, image.rows / rows * rows});
    return resized(block_means(whole, rows, columns), {width, height}, cv::INTER_LINEAR);
}

inline cv::Mat limit_size(const cv::Mat& image, const Json& with) {
    const int side = with.at("side"), longer = std::max(image.rows, image.cols);
    if (longer <= side) return image;
    const auto shrunk = [&](int size) { return std::max(1, round(static_cast<double>(size) * side / longer)); };
    return scaled(image, shrunk(image.rows), shrunk(image.cols));
}

inline cv::Mat threshold(const cv::Mat& image, const Json& with) {
    cv::Mat out;
    cv::threshold(image, out, with.at("at").get<int>() - 1, 255, cv::THRESH_BINARY);
    return out;
}

inline cv::Mat median_blur(const cv::Mat& image, const Json& with) {
    cv::Mat out = image;
    for (int n = with.at("iterations"); n > 0; --n) {
        cv::Mat blurred;
        cv::medianBlur(out, blurred, with.at("size"));
        out = blurred;
    }
    return out;
}

inline cv::Mat resize(const cv::Mat& image, const Json& with) {
    const std::string kernel = with.at("interpolation");
    const int flag = kernel == "nearest"  ? cv::INTER_NEAREST
                     : kernel == "linear" ? cv::INTER_LINEAR
                     : kernel == "area"   ? cv::INTER_AREA
                                          : throw std::runtime_error("resize: unknown interpolation " + kernel);
    return resized(image, {with.at("width").get<int>(), with.at("height").get<int>()}, flag);
}

inline cv::Mat invert(const cv::Mat& image, const Json&) {
    cv::Mat out;
    cv::bitwise_not(image, out);
    return out;
}

inline cv::Mat flatten_paper(const cv::Mat& image, const Json& with) {
    const int window = with.at("window"), shrink = with.at("shrink"), side = std::max(1, window / shrink) | 1;
    const int outside = 3 * side / 4;
    const auto missing = [&](int size) { return (shrink - size % shrink) % shrink; };
    cv::Mat whole, paper, out;
    cv::copyMakeBorder(image, whole, 0, missing(image.rows), 0, missing(image.cols), cv::BORDER_REPLICATE);
    const cv::Size cells = whole.size() / shrink;
    paper = block_means(whole, shrink, shrink);
    cv::copyMakeBorder(paper, paper, outside, outside, outside, outside, cv::BORDER_REPLICATE);
    const cv::Mat square = cv::Mat::ones(side, side, CV_8U);
    cv::morphologyEx(paper, paper, cv::MORPH_CLOSE, square, {-1, -1}, 1, cv::BORDER_CONSTANT, cv::Scalar(255));
    paper = paper(cv::Rect({outside, outside}, cells)).clone();
    cv::divide(image, resized(paper, whole.size(), cv::INTER_LINEAR)({0, 0, image.cols, image.rows}), out, 255);
    return out;
}

inline cv::Mat binarize(const cv::Mat& image, const Json& with) {
    const int floor = with.at("floor"), every = std::max(1, image.rows / 64);
    std::vector<std::int64_t> darker(256);  // by darkness, 0 is white
    for (int y = 0; y < image.rows; y += every)
        for (int x = 0; x < image.cols; ++x) ++darker[255 - image.at<uchar>(y, x)];
    std::partial_sum(darker.begin() + floor, darker.end(), darker.begin() + floor);
    if (darker.back() == 0) return cv::Mat::zeros(image.size(), CV_8U);
    // In single precision, like numpy's histogram.
    const float wanted = static_cast<float>(darker.back()) * with.at("percentile").get<float>() / 100;
    const auto stroke = std::lower_bound(darker.begin() + floor, darker.end(), wanted,
                                         [](std::int64_t sum, float value) { return static_cast<float>(sum) < value; });
    const int darkness = std::max(floor, round(with.at("fraction").get<double>() * (stroke - darker.begin())));
    cv::Mat out;
    cv::threshold(image, out, 255 - darkness, 255, cv::THRESH_BINARY_INV);
    return out;
}

// The middle rows of the runs of ink in a strip of the picture.
inline std::vector<double> ink_runs(const cv::Mat& strip) {
    std::vector<double> middles;
    for (int y = 0, start = -1; y <= strip.rows; ++y) {
        const bool ink = y < strip.rows && cv::countNonZero(strip.row(y)) > 0;
        if (ink && start < 0) start = y;
        if (ink || start < 0) continue;
        middles.push_back((start + y - 1) / 2.0);
        start = -1;
    }
    return middles;
}

// A straight line from row `start` on the left to row `end` on the right.
struct Rule {
    double start, end;

    int row(int x, int width) const { return round(start + (end - start) * (x / std::max(1.0, width - 1.0))); }

    bool covered(const cv::Mat& near, double coverage) const {
        int ink = 0, inside = 0;
        for (int x = 0; x < near.cols; ++x)
            if (const int y = row(x, near.cols); y >= 0 && y < near.rows) {
                ++inside;
                ink += near.at<uchar>(y, x) > 0;
            }
        return ink >= coverage * std::max(1, inside);
    }
};

// Straight thin ink from border to border, and what runs alike and leaves through the top or the bottom.
inline std::vector<Rule> find_rules(const cv::Mat& image, double coverage) {
    constexpr double steepest = 0.2;
    constexpr std::size_t candidates = 64;
    const int width = image.cols, border = std::max(1, width / 40), steep = round(steepest * width);
    const auto left = ink_runs(image.colRange(0, border)), right = ink_runs(image.colRange(width - border, width));
    if (std::min(left.size(), right.size()) < 2 || std::max(left.size(), right.size()) > candidates) return {};
    cv::Mat near;
    cv::dilate(image, near, cv::Mat::ones(3, 2 * (width / 80) + 1, CV_8U));
    std::vector<Rule> rules;
    std::set<double> starts, ends;
    for (const double end : right)
        for (const double start : left)
            if (const Rule rule{start, end};
                std::abs(end - start) <= steepest * width && rule.covered(near, coverage)) {
                rules.push_back(rule);
                starts.insert(start);
                ends.insert(end);
            }
    if (std::min(starts.size(), ends.size()) < 2) return {};
    double mean_start = 0, mean_end = 0, together = 0, spread = 0;  // least squares
    for (const Rule& rule : rules) mean_start += rule.start / rules.size(), mean_end += rule.end / rules.size();
    for (const Rule& rule : rules) {
        together += (rule.start - mean_start) * (rule.end - mean_end);
        spread += (rule.start - mean_start) * (rule.start - mean_start);
    }
    for (int start = -steep; start < image.rows + steep; ++start) {
        const Rule rule{static_cast<double>(start), mean_end + together / spread * (start - mean_start)};
        const bool leaves = std::min(rule.start, rule.end) < 0 || std::max(rule.start, rule.end) > image.rows - 1;
        if (leaves && rule.covered(near, coverage)) rules.push_back(rule);
    }
    return rules;
}

inline cv::Mat erase_rules(const cv::Mat& image, const Json& with) {
    constexpr double thickest = 0.01;
    const auto found = find_rules(image, with.at("coverage"));
    if (found.empty()) return image;
    cv::Mat rules = cv::Mat::zeros(image.size(), CV_8U), share, strokes;
    for (const Rule& rule : found)
        for (int x = 0; x < image.cols; ++x)
            if (const int y = rule.row(x, image.cols); y >= 0 && y < image.rows) rules.at<uchar>(y, x) = 255;
    const int tallest = std::max(2, static_cast<int>(thickest * image.cols)), window = 2 * tallest + 1;
    cv::blur(image, share, {1, window}, {-1, -1}, cv::BORDER_CONSTANT);
    std::vector<int> ink;
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x)
            if (rules.at<uchar>(y, x) && image.at<uchar>(y, x)) ink.push_back(share.at<uchar>(y, x));
    if (ink.empty()) return image;
    std::sort(ink.begin(), ink.end());
    const double median = (ink[(ink.size() - 1) / 2] + ink[ink.size() / 2]) / 2.0;
    const int thickness = round(median * window / 255);
    if (thickness > tallest) return image;
    cv::morphologyEx(image, strokes, cv::MORPH_OPEN, cv::Mat::ones(2 * thickness + 2, 1, CV_8U));
    cv::dilate(rules, rules, cv::Mat::ones(2 * (thickness / 2) + 3, 1, CV_8U));
    cv::Mat out = image.clone();
    out.setTo(0, (rules > 0) & (strokes == 0));
    return out;
}

inline cv::Mat clear_border(const cv::Mat& image, const Json& with) {
    cv::Mat labels;
    std::vector<bool> outside(cv::connectedComponents(image, labels, 8, CV_32S));
    for (int x = 0; x < image.cols; ++x)
        outside[labels.at<int>(0, x)] = outside[labels.at<int>(image.rows - 1, x)] = true;
    for (int y = 0; y < image.rows; ++y)
        outside[labels.at<int>(y, 0)] = outside[labels.at<int>(y, image.cols - 1)] = true;
    cv::Mat out = image.clone();
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x)
            if (outside[labels.at<int>(y, x)]) out.at<uchar>(y, x) = 0;
    const int ink = cv::countNonZero(image), cleared = ink - cv::countNonZero(out);
    return cleared < with.at("share").get<double>() * ink ? out : image;
}

inline cv::Mat despeckle(const cv::Mat& image, const Json& with) {
    const int area = with.at("area"), side = 2 * area - 1;
    cv::Mat count, out;
    cv::boxFilter(image & 1, count, -1, {side, side}, {-1, -1}, false, cv::BORDER_CONSTANT);
    cv::threshold(count, count, area - 1, 255, cv::THRESH_BINARY);
    cv::bitwise_and(image, count, out);
    return out;
}

inline cv::Mat crop_to_ink(const cv::Mat& image, const Json& with) {
    const auto span = [&](int axis) -> cv::Range {
        cv::Mat sums;
        cv::reduce(image, sums, axis, cv::REDUCE_SUM, CV_32S);
        std::vector<std::int64_t> ink(sums.begin<int>(), sums.end<int>());
        std::partial_sum(ink.begin(), ink.end(), ink.begin());
        if (ink.empty() || ink.back() == 0) return {0, 0};
        const double total = static_cast<double>(ink.back()), tail = with.at("tail").get<double>() * total;
        const auto first = std::upper_bound(ink.begin(), ink.end(), tail);
        const auto last = std::lower_bound(ink.begin(), ink.end(), total - tail);
        return {static_cast<int>(first - ink.begin()), static_cast<int>(last - ink.begin()) + 1};
    };
    const cv::Range rows = span(1), columns = span(0);
    if (rows.size() <= 0 || columns.size() <= 0) return image;
    const int pad = round(with.at("margin").get<double>() * std::max(rows.size(), columns.size()));
    return image({std::max(0, rows.start - pad), std::min(image.rows, rows.end + pad)},
                 {std::max(0, columns.start - pad), std::min(image.cols, columns.end + pad)});
}

inline cv::Mat fit(const cv::Mat& image, const Json& with) {
    const int height = with.at("height"), width = with.at("width");
    const double stretch = with.at("stretch");
    const double tall = static_cast<double>(height) / image.rows, wide = static_cast<double>(width) / image.cols;
    const int rows = std::min(height, std::max(1, round(image.rows * std::min(tall, wide * stretch))));
    const int columns = std::min(width, std::max(1, round(image.cols * std::min(wide, tall * stretch))));
    cv::Mat frame = cv::Mat::zeros(height, width, CV_8U);
    scaled(image, rows, columns).copyTo(frame({(width - columns) / 2, (height - rows) / 2, columns, rows}));
    return frame;
}

inline cv::Mat crop_square(const cv::Mat& image, const Json&) {
    const int side = std::min(image.rows, image.cols);
    return image({(image.cols - side) / 2, (image.rows - side) / 2, side, side});
}

inline cv::Mat oval(const cv::Mat& image, const Json& with) {
    // The pixels' centres, the borders being at -1 and 1.
    const auto across = [](int at, int size) { return static_cast<double>(2 * at + 1 - size) / size; };
    cv::Mat outside(image.size(), CV_8U);
    std::int64_t sum = 0, count = 0;
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x) {
            const double v = across(y, image.rows) / with.at("height").get<double>();
            const double u = across(x, image.cols) / with.at("width").get<double>();
            const bool inside = v * v + u * u <= 1;
            outside.at<uchar>(y, x) = inside ? 0 : 255;
            if (inside) sum += image.at<uchar>(y, x), ++count;
        }
    cv::Mat out = image.clone();
    if (count > 0) out.setTo(round(static_cast<double>(sum) / count), outside);
    return out;
}

inline cv::Mat standardize(const cv::Mat& image, const Json& with) {
    const double size = static_cast<double>(image.total()), mean = with.at("mean"), deviation = with.at("std");
    std::vector<double> counts(256);
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x) ++counts[image.at<uchar>(y, x)];
    double middle = 0, spread = 0;
    for (int level = 0; level < 256; ++level) middle += counts[level] * level;
    middle /= size;
    for (int level = 0; level < 256; ++level) spread += counts[level] * (level - middle) * (level - middle);
    spread = std::sqrt(spread / size);
    cv::Mat table(1, 256, CV_8U), out;
    for (int level = 0; level < 256; ++level) {
        const double scaled = spread > 0 ? deviation * (level - middle) / spread : 0;
        table.at<uchar>(level) = static_cast<uchar>(std::clamp(round(255 * (mean + scaled)), 0, 255));
    }
    cv::LUT(image, table, out);
    return out;
}

}  // namespace op

// One operation, by the name that the manifest gives it; one that is not known here is an error, never skipped.
inline cv::Mat step(const Json& operation, const cv::Mat& image) {
    using Step = cv::Mat (*)(const cv::Mat&, const Json&);
    static const std::vector<std::pair<std::string, Step>> steps = {
        {"to_gray", op::to_gray},
        {"limit_size", op::limit_size},
        {"threshold", op::threshold},
        {"median_blur", op::median_blur},
        {"resize", op::resize},
        {"invert", op::invert},
        {"flatten_paper", op::flatten_paper},
        {"binarize", op::binarize},
        {"erase_rules", op::erase_rules},
        {"clear_border", op::clear_border},
        {"despeckle", op::despeckle},
        {"crop_to_ink", op::crop_to_ink},
        {"fit", op::fit},
        {"crop_square", op::crop_square},
        {"oval", op::oval},
        {"standardize", op::standardize},
    };
    const std::string name = operation.at("op");
    for (const auto& [known, function] : steps)
        if (known == name) return function(image, operation);
    throw std::runtime_error("unknown pre-processing operation " + name + ": this program is older than the bundle");
}

// The whole pipeline: CV_8UC1, CV_8UC3 (BGR) or CV_8UC4 (BGRA) to CV_32FC1 in [0, 1].
inline cv::Mat preprocess(const Json& operations, cv::Mat image) {
    if (image.empty() || image.depth() != CV_8U)
        throw std::runtime_error("a picture must have 8 bits and not be empty");
    for (const auto& operation : operations) image = step(operation, image);
    cv::Mat values;
    image.convertTo(values, CV_32F);
    cv::divide(values, 255.0f, values);  // `values / 255` would multiply by a rounded 1 / 255
    return values;
}

}  // namespace edge
