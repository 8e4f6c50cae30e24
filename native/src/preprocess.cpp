#include "preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "error.hpp"

namespace edge {

namespace op {

int round(double value) { return static_cast<int>(std::nearbyint(value)); }

namespace {

cv::Mat resized(const cv::Mat& image, cv::Size size, int interpolation) {
    cv::Mat out;
    cv::resize(image, out, size, 0, 0, interpolation);
    return out;
}

}  // namespace

cv::Mat to_gray(const cv::Mat& image) {
    if (image.channels() == 1) return image;
    cv::Mat gray;
    cv::cvtColor(image, gray, cv::COLOR_BGR2GRAY);
    return gray;
}

cv::Mat block_means(const cv::Mat& image, int rows, int columns) {
    cv::Mat out = image;
    for (; rows % 2 == 0 && columns % 2 == 0; rows /= 2, columns /= 2)
        out = resized(out, {out.cols / 2, out.rows / 2}, cv::INTER_AREA);
    return rows == 1 && columns == 1 ? out : resized(out, {out.cols / columns, out.rows / rows}, cv::INTER_AREA);
}

cv::Mat scaled(const cv::Mat& image, int height, int width) {
    const int rows = std::max(1, image.rows / height), columns = std::max(1, image.cols / width);
    if (rows == 1 && columns == 1) return resized(image, {width, height}, cv::INTER_LINEAR);
    const cv::Mat whole = image({0, 0, image.cols / columns * columns, image.rows / rows * rows});
    return resized(block_means(whole, rows, columns), {width, height}, cv::INTER_LINEAR);
}

cv::Mat limit_size(const cv::Mat& image, int side) {
    const int longer = std::max(image.rows, image.cols);
    if (longer <= side) return image;
    const auto shrunk = [&](int size) { return std::max(1, round(static_cast<double>(size) * side / longer)); };
    return scaled(image, shrunk(image.rows), shrunk(image.cols));
}

cv::Mat flatten_paper(const cv::Mat& image, int window, int shrink) {
    const int side = std::max(1, window / shrink) | 1, outside = 3 * side / 4;
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

cv::Mat binarize(const cv::Mat& image, int floor, double fraction, double percentile) {
    const int every = std::max(1, image.rows / 64);
    std::vector<std::int64_t> darker(256);  // by darkness, 0 is white
    for (int y = 0; y < image.rows; y += every)
        for (int x = 0; x < image.cols; ++x) ++darker[255 - image.at<uchar>(y, x)];
    std::partial_sum(darker.begin() + floor, darker.end(), darker.begin() + floor);
    if (darker.back() == 0) return cv::Mat::zeros(image.size(), CV_8U);
    // In single precision, like numpy's histogram.
    const float wanted = static_cast<float>(darker.back()) * static_cast<float>(percentile) / 100;
    const auto stroke = std::lower_bound(darker.begin() + floor, darker.end(), wanted,
                                         [](std::int64_t sum, float value) { return static_cast<float>(sum) < value; });
    const int darkness = std::max(floor, round(fraction * static_cast<double>(stroke - darker.begin())));
    cv::Mat out;
    cv::threshold(image, out, 255 - darkness, 255, cv::THRESH_BINARY_INV);
    return out;
}

namespace {

// The middle rows of the runs of ink in a strip of the picture.
std::vector<double> ink_runs(const cv::Mat& strip) {
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
std::vector<Rule> find_rules(const cv::Mat& image, double coverage) {
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
    const auto count = static_cast<double>(rules.size());
    double mean_start = 0, mean_end = 0, together = 0, spread = 0;  // least squares
    for (const Rule& rule : rules) mean_start += rule.start / count, mean_end += rule.end / count;
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

}  // namespace

cv::Mat erase_rules(const cv::Mat& image, double coverage) {
    constexpr double thickest = 0.01;
    const auto found = find_rules(image, coverage);
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
    if (thickness < 1 || thickness > tallest) return image;
    cv::morphologyEx(image, strokes, cv::MORPH_OPEN, cv::Mat::ones(2 * thickness + 2, 1, CV_8U));
    cv::dilate(rules, rules, cv::Mat::ones(2 * (thickness / 2) + 3, 1, CV_8U));
    cv::Mat out = image.clone();
    out.setTo(0, (rules > 0) & (strokes == 0));
    return out;
}

namespace {

cv::Mat to_color(const cv::Mat& image, bool rgb) {
    if (image.channels() == 3 && !rgb) return image;
    cv::Mat out;
    cv::cvtColor(image, out, image.channels() == 1 ? cv::COLOR_GRAY2BGR : cv::COLOR_BGR2RGB);
    return out;
}

cv::Mat threshold(const cv::Mat& image, int at) {
    cv::Mat out;
    cv::threshold(image, out, at - 1, 255, cv::THRESH_BINARY);
    return out;
}

cv::Mat median_blur(const cv::Mat& image, int size, int iterations) {
    cv::Mat out = image;
    for (; iterations > 0; --iterations) {
        cv::Mat blurred;
        cv::medianBlur(out, blurred, size);
        out = blurred;
    }
    return out;
}

cv::Mat resize(const cv::Mat& image, int height, int width, const std::string& kernel) {
    const int flag = kernel == "nearest" ? cv::INTER_NEAREST : kernel == "linear" ? cv::INTER_LINEAR : cv::INTER_AREA;
    return resized(image, {width, height}, flag);
}

cv::Mat invert(const cv::Mat& image) {
    cv::Mat out;
    cv::bitwise_not(image, out);
    return out;
}

cv::Mat clear_border(const cv::Mat& image, double share) {
    cv::Mat labels;
    std::vector<bool> outside(static_cast<std::size_t>(cv::connectedComponents(image, labels, 8, CV_32S)));
    const auto label = [&](int y, int x) { return static_cast<std::size_t>(labels.at<int>(y, x)); };
    for (int x = 0; x < image.cols; ++x) outside[label(0, x)] = outside[label(image.rows - 1, x)] = true;
    for (int y = 0; y < image.rows; ++y) outside[label(y, 0)] = outside[label(y, image.cols - 1)] = true;
    cv::Mat out = image.clone();
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x)
            if (outside[label(y, x)]) out.at<uchar>(y, x) = 0;
    const int ink = cv::countNonZero(image), cleared = ink - cv::countNonZero(out);
    return cleared < share * ink ? out : image;
}

cv::Mat despeckle(const cv::Mat& image, int area) {
    const int side = 2 * area - 1;
    cv::Mat count, out;
    cv::boxFilter(image & 1, count, -1, {side, side}, {-1, -1}, false, cv::BORDER_CONSTANT);
    cv::threshold(count, count, area - 1, 255, cv::THRESH_BINARY);
    cv::bitwise_and(image, count, out);
    return out;
}

cv::Mat crop_to_ink(const cv::Mat& image, double share, double margin) {
    const auto span = [&](int axis) -> cv::Range {
        cv::Mat sums;
        cv::reduce(image, sums, axis, cv::REDUCE_SUM, CV_32S);
        std::vector<std::int64_t> ink(sums.begin<int>(), sums.end<int>());
        std::partial_sum(ink.begin(), ink.end(), ink.begin());
        if (ink.empty() || ink.back() == 0) return {0, 0};
        const double total = static_cast<double>(ink.back()), tail = share * total;
        const auto first = std::upper_bound(ink.begin(), ink.end(), tail);
        const auto last = std::lower_bound(ink.begin(), ink.end(), total - tail);
        return {static_cast<int>(first - ink.begin()), static_cast<int>(last - ink.begin()) + 1};
    };
    const cv::Range rows = span(1), columns = span(0);
    if (rows.size() <= 0 || columns.size() <= 0) return image;
    const int pad = round(margin * std::max(rows.size(), columns.size()));
    return image({std::max(0, rows.start - pad), std::min(image.rows, rows.end + pad)},
                 {std::max(0, columns.start - pad), std::min(image.cols, columns.end + pad)})
        .clone();
}

cv::Mat fit(const cv::Mat& image, int height, int width, double stretch) {
    const double tall = static_cast<double>(height) / image.rows, wide = static_cast<double>(width) / image.cols;
    const int rows = std::min(height, std::max(1, round(image.rows * std::min(tall, wide * stretch))));
    const int columns = std::min(width, std::max(1, round(image.cols * std::min(wide, tall * stretch))));
    cv::Mat frame = cv::Mat::zeros(height, width, image.type());
    scaled(image, rows, columns).copyTo(frame({(width - columns) / 2, (height - rows) / 2, columns, rows}));
    return frame;
}

cv::Mat crop_square(const cv::Mat& image) {
    const int side = std::min(image.rows, image.cols);
    return image({(image.cols - side) / 2, (image.rows - side) / 2, side, side}).clone();
}

cv::Mat oval(const cv::Mat& image, double height, double width) {
    // The pixels' centres, the borders being at -1 and 1.
    const auto across = [](int at, int size) { return static_cast<double>(2 * at + 1 - size) / size; };
    cv::Mat outside(image.size(), CV_8U);
    std::int64_t sum = 0, count = 0;
    for (int y = 0; y < image.rows; ++y)
        for (int x = 0; x < image.cols; ++x) {
            const double v = across(y, image.rows) / height, u = across(x, image.cols) / width;
            const bool inside = v * v + u * u <= 1;
            outside.at<uchar>(y, x) = inside ? 0 : 255;
            if (inside) sum += image.at<uchar>(y, x), ++count;
        }
    cv::Mat out = image.clone();
    if (count > 0) out.setTo(round(static_cast<double>(sum) / static_cast<double>(count)), outside);
    return out;
}

cv::Mat standardize(const cv::Mat& image, double mean, double deviation) {
    const cv::Mat flat = (image.isContinuous() ? image : image.clone()).reshape(1);  // channels are scaled alike
    std::vector<double> counts(256);
    for (int y = 0; y < flat.rows; ++y)
        for (int x = 0; x < flat.cols; ++x) ++counts[flat.at<uchar>(y, x)];
    const double size = static_cast<double>(flat.total());
    double middle = 0, spread = 0;
    for (std::size_t level = 0; level < 256; ++level) middle += counts[level] * static_cast<double>(level);
    middle /= size;
    for (std::size_t level = 0; level < 256; ++level) {
        const double away = static_cast<double>(level) - middle;
        spread += counts[level] * away * away;
    }
    spread = std::sqrt(spread / size);
    cv::Mat table(1, 256, CV_8U), out;
    for (int level = 0; level < 256; ++level) {
        const double moved = spread > 0 ? deviation * (level - middle) / spread : 0;
        table.at<uchar>(level) = static_cast<uchar>(std::clamp(round(255 * (mean + moved)), 0, 255));
    }
    cv::LUT(image, table, out);
    return out;
}

}  // namespace

}  // namespace op

namespace {

// A parameter and its bounds. Whole numbers have whole bounds, of type int.
struct Bound {
    Bound(const char* called, int least, int most) : name(called), low(least), high(most), is_whole(true) {}
    Bound(const char* called, double least, double most) : name(called), low(least), high(most), is_whole(false) {}

    const char* name;
    double low, high;
    bool is_whole;
};

struct Operation {
    const char* name;
    std::vector<Bound> bounds;
    bool gray_only;
    cv::Mat (*apply)(const cv::Mat&, const Json&);
};

const std::vector<Operation>& known() {
    constexpr int side = 2048;
    constexpr double tiny = 1e-9;
    static const std::vector<Operation> all = {
        {"to_gray", {}, false, [](const cv::Mat& image, const Json&) { return op::to_gray(image); }},
        {"to_color", {}, false,
         [](const cv::Mat& image, const Json& with) { return op::to_color(image, with.at("order") == "rgb"); }},
        {"limit_size", {{"side", 1, 16384}}, false,
         [](const cv::Mat& image, const Json& with) { return op::limit_size(image, with.at("side")); }},
        {"threshold", {{"at", 0, 255}}, false,
         [](const cv::Mat& image, const Json& with) { return op::threshold(image, with.at("at")); }},
        {"median_blur", {{"size", 3, 7}, {"iterations", 1, 32}}, false,
         [](const cv::Mat& image, const Json& with) {
             return op::median_blur(image, with.at("size"), with.at("iterations"));
         }},
        {"resize", {{"height", 1, side}, {"width", 1, side}}, false,
         [](const cv::Mat& image, const Json& with) {
             return op::resize(image, with.at("height"), with.at("width"), with.at("interpolation"));
         }},
        {"invert", {}, false, [](const cv::Mat& image, const Json&) { return op::invert(image); }},
        {"flatten_paper", {{"window", 1, 512}, {"shrink", 1, 64}}, true,
         [](const cv::Mat& image, const Json& with) {
             return op::flatten_paper(image, with.at("window"), with.at("shrink"));
         }},
        {"binarize", {{"floor", 0, 255}, {"fraction", tiny, 1 - tiny}, {"percentile", tiny, 100.0}}, true,
         [](const cv::Mat& image, const Json& with) {
             return op::binarize(image, with.at("floor"), with.at("fraction"), with.at("percentile"));
         }},
        {"erase_rules", {{"coverage", tiny, 1.0}}, true,
         [](const cv::Mat& image, const Json& with) { return op::erase_rules(image, with.at("coverage")); }},
        {"clear_border", {{"share", tiny, 1 - tiny}}, true,
         [](const cv::Mat& image, const Json& with) { return op::clear_border(image, with.at("share")); }},
        {"despeckle", {{"area", 1, 8}}, true,
         [](const cv::Mat& image, const Json& with) { return op::despeckle(image, with.at("area")); }},
        {"crop_to_ink", {{"tail", 0.0, 0.5 - tiny}, {"margin", 0.0, 1.0}}, true,
         [](const cv::Mat& image, const Json& with) {
             return op::crop_to_ink(image, with.at("tail"), with.at("margin"));
         }},
        {"fit", {{"height", 1, side}, {"width", 1, side}, {"stretch", 1.0, 16.0}}, false,
         [](const cv::Mat& image, const Json& with) {
             return op::fit(image, with.at("height"), with.at("width"), with.at("stretch"));
         }},
        {"crop_square", {}, false, [](const cv::Mat& image, const Json&) { return op::crop_square(image); }},
        {"oval", {{"height", 0.01, 1.0}, {"width", 0.01, 1.0}}, true,
         [](const cv::Mat& image, const Json& with) { return op::oval(image, with.at("height"), with.at("width")); }},
        {"standardize", {{"mean", 0.01, 1.0}, {"std", 0.01, 1.0}}, false,
         [](const cv::Mat& image, const Json& with) {
             return op::standardize(image, with.at("mean"), with.at("std"));
         }},
    };
    return all;
}

const Operation& operation(const Json& step) {
    const std::string name = step.at("op");
    for (const Operation& one : known())
        if (one.name == name) return one;
    throw Error(EDGE_ERROR_UNSUPPORTED,
                "unknown pre-processing operation " + name + ": this library is older than the bundle");
}

}  // namespace

void check_operations(const Json& operations) {
    if (operations.size() > 64) throw Error(EDGE_ERROR_BUNDLE, "more than 64 operations of pre-processing");
    for (const Json& step : operations) {
        const Operation& one = operation(step);
        const auto refuse = [&](const char* what) {
            throw Error(EDGE_ERROR_BUNDLE, std::string(one.name) + " with a " + what + " beyond its bounds");
        };
        for (const Bound& bound : one.bounds) {
            const Json& given = step.at(bound.name);
            const double value = given;
            if (!(value >= bound.low && value <= bound.high) || (bound.is_whole && !given.is_number_integer()))
                refuse(bound.name);
        }
        const std::string name = one.name;
        const std::size_t words = name == "to_color" || name == "resize" ? 2 : 1;  // with "op"
        if (step.size() != one.bounds.size() + words)
            throw Error(EDGE_ERROR_UNSUPPORTED,
                        name + " has a parameter that this library does not know: it is older than the bundle");
        if (name == "to_color" && step.at("order") != "rgb" && step.at("order") != "bgr") refuse("order");
        if (name == "median_blur" && step.at("size").get<int>() % 2 == 0) refuse("size");
        if (name == "flatten_paper" && step.at("window").get<int>() / step.at("shrink").get<int>() > 64)
            refuse("window");
        if (name == "resize")
            if (const std::string kernel = step.at("interpolation");
                kernel != "nearest" && kernel != "linear" && kernel != "area")
                refuse("interpolation");
    }
}

cv::Mat run(Json::const_iterator from, Json::const_iterator to, cv::Mat image) {
    for (auto step = from; step != to; ++step) {
        const Operation& one = operation(*step);
        if (one.gray_only && image.channels() != 1)
            throw Error(EDGE_ERROR_BUNDLE, std::string(one.name) + " takes gray pictures alone");
        try {
            image = one.apply(image, *step);
        } catch (const cv::Exception& error) {
            throw Error(EDGE_ERROR_INPUT, std::string(one.name) + " fails on the picture: " + error.err);
        }
    }
    return image;
}

Tensor tensor(const cv::Mat& image) {
    const int channels = image.channels();
    Tensor made{{1, channels, image.rows, image.cols}, {}};
    made.values.reserve(image.total() * static_cast<std::size_t>(channels));
    for (int channel = 0; channel < channels; ++channel)
        for (int y = 0; y < image.rows; ++y) {
            const uchar* row = image.ptr<uchar>(y) + channel;
            for (int x = 0; x < image.cols; ++x) made.values.push_back(static_cast<float>(row[x * channels]) / 255.0f);
        }
    return made;
}

}  // namespace edge
