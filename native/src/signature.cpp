#include "signature.hpp"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <set>
#include <string>

#include "error.hpp"
#include "preprocess.hpp"

namespace edge {

namespace {

constexpr int SIDE = 640, LEAST_INK = 300, LEAST_SIDE = 32, LEAST_INK_SIDE = 48, BORDER = 10;
constexpr double MOST_COVERAGE = 0.5, LEAST_THICK = 0.5;

// How many strokes, apart from each other, go from the first row to the one `depth` further in.
int leaving(const cv::Mat& mask, int depth) {
    if (mask.rows <= depth) return 0;
    cv::Mat labels;
    cv::connectedComponents(mask.rowRange(0, depth + 1), labels, 8, CV_32S);
    std::set<int> first, last;
    for (int x = 0; x < labels.cols; ++x) first.insert(labels.at<int>(0, x)), last.insert(labels.at<int>(depth, x));
    int both = 0;
    for (const int label : first) both += label > 0 && last.count(label) > 0;
    return both;
}

// The flags of a picture. ink: 8 bits, above 127 where there is ink; image: what it was found in, which may be larger.
std::uint64_t assess(const cv::Mat& ink, const cv::Mat& image, const std::array<bool, 4>& at_border) {
    cv::Mat mask, opened;
    cv::threshold(ink, mask, 127, 1, cv::THRESH_BINARY);
    const double scale =
        static_cast<double>(std::min(SIDE, std::max(image.rows, image.cols))) / std::max(mask.rows, mask.cols);
    const int amount = cv::countNonZero(mask);
    const cv::Rect box = cv::boundingRect(mask);
    std::uint64_t flags = 0;
    if (amount == 0 || amount > MOST_COVERAGE * static_cast<double>(mask.total())) flags |= EDGE_FLAG_EMPTY;
    if (amount * scale * scale < LEAST_INK) flags |= EDGE_FLAG_TOO_LITTLE_INK;
    if (std::min(image.rows, image.cols) < LEAST_SIDE || std::max(box.width, box.height) * scale < LEAST_INK_SIDE)
        flags |= EDGE_FLAG_TOO_SMALL;
    cv::Mat sides[4] = {mask, {}, mask.t(), {}};
    cv::flip(mask, sides[1], 0);
    cv::flip(sides[2], sides[3], 0);
    const int depth = std::max(1, op::round(BORDER / scale));
    for (std::size_t side = 0; side < 4; ++side)
        if (at_border[side] && leaving(sides[side], depth) > 1) flags |= EDGE_FLAG_CLIPPED;
    cv::morphologyEx(mask, opened, cv::MORPH_OPEN, cv::Mat::ones(2, 2, CV_8U));
    if (cv::countNonZero(opened) < LEAST_THICK * amount) flags |= EDGE_FLAG_THIN_STROKES;
    return flags;
}

bool named(const Json& step, std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return step.at("op") == name; });
}

// Stroke width, share of the box that is ink, shape of the box, how upright strokes are, how many pieces there are.
std::vector<double> measure(const Tensor& picture) {
    const int rows = static_cast<int>(picture.shape[2]), columns = static_cast<int>(picture.shape[3]);
    cv::Mat mask(rows, columns, CV_8U), labels;
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x)
            mask.at<uchar>(y, x) = picture.values[static_cast<std::size_t>(y * columns + x)] > 0.5f;
    const int area = cv::countNonZero(mask);
    if (area == 0) return {};
    int along_rows = 0, along_columns = 0;
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) {
            along_rows += x > 0 && mask.at<uchar>(y, x) != mask.at<uchar>(y, x - 1);
            along_columns += y > 0 && mask.at<uchar>(y, x) != mask.at<uchar>(y - 1, x);
        }
    const int steps = std::max(1, along_rows + along_columns);
    const cv::Rect box = cv::boundingRect(mask);
    const int count = cv::connectedComponents(mask, labels, 8, CV_32S);
    return {std::log(2 * area / (steps * CV_PI / 4)), std::log(static_cast<double>(area) / box.area()),
            std::log(static_cast<double>(box.width) / box.height), static_cast<double>(along_rows) / steps,
            std::log(count - 1.0)};
}

}  // namespace

Familiarity::Familiarity(const Json& familiarity) : limit_(familiarity.at("limit")) {
    static const Json measures = {"stroke_width", "ink_in_box", "aspect", "upright", "pieces"};
    if (familiarity.at("measures") != measures)
        throw Error(EDGE_ERROR_UNSUPPORTED, "the bundle measures what this library does not: export it again");
    mean_ = familiarity.at("mean").get<std::vector<double>>();
    whitening_ = familiarity.at("whitening").get<std::vector<std::vector<double>>>();
    bool fine = mean_.size() == measures.size() && whitening_.size() == measures.size() && limit_ > 0;
    for (const auto& row : whitening_) fine = fine && row.size() == measures.size();
    if (!fine) throw Error(EDGE_ERROR_BUNDLE, "the manifest's familiarity is none");
}

bool Familiarity::knows(const Tensor& picture) const {
    const std::vector<double> values = measure(picture);
    if (values.empty()) return false;
    double squares = 0;
    for (const auto& row : whitening_) {
        double along = 0;
        for (std::size_t i = 0; i < row.size(); ++i) along += row[i] * (values[i] - mean_[i]);
        squares += along * along;
    }
    return std::sqrt(squares) <= limit_;
}

Signatures::Signatures(Json operations, const Json& region, const Json& familiarity)
    : operations_(std::move(operations)) {
    check_operations(operations_);
    if (!region.is_null()) region_ = InkRegion::of(region);
    if (!familiarity.is_null()) familiarity_.emplace(familiarity);
    inverts_ = std::any_of(geometry(), operations_.cend(), [](const Json& step) { return named(step, {"invert"}); });
}

Json::const_iterator Signatures::geometry() const {
    return std::find_if(operations_.cbegin(), operations_.cend(), [](const Json& step) {
        return named(step, {"resize", "crop_to_ink", "fit", "crop_square"});
    });
}

cv::Mat Signatures::bright(const cv::Mat& ink) const {
    if (!inverts_) return op::to_gray(ink);
    cv::Mat inverted;
    cv::bitwise_not(ink, inverted);
    return op::to_gray(inverted);
}

Prepared Signatures::prepare(const cv::Mat& image) const {
    FoundInk found;
    cv::Mat ink;
    if (region_) {
        bool page = true;
        if (std::max(image.rows, image.cols) <= SMALL_PICTURE) {
            ink = run(operations_.cbegin(), geometry(), image);
            cv::Mat mask;
            cv::threshold(bright(ink), mask, 127, 255, cv::THRESH_BINARY);
            page = may_be_page(mask);
        }
        if (page) found = find_ink(*region_, image);
    }
    const cv::Mat part = found.cut(image);
    if (ink.empty() || !found.box.empty()) ink = run(operations_.cbegin(), geometry(), part);
    std::uint64_t flags = assess(bright(ink), part, found.at_border(image));
    if (found.empty) flags |= EDGE_FLAG_EMPTY;
    if (found.several) flags |= EDGE_FLAG_SEVERAL_REGIONS;
    if (found.lined) flags |= EDGE_FLAG_PRINTED_LINES;

    Prepared prepared{tensor(run(geometry(), operations_.cend(), ink)), {}};
    prepared.flags.raised = flags;
    prepared.flags.block(flags & (EDGE_FLAG_EMPTY | EDGE_FLAG_TOO_LITTLE_INK | EDGE_FLAG_TOO_SMALL |
                                  EDGE_FLAG_SEVERAL_REGIONS));
    if (familiarity_ && !prepared.flags.blocking && !familiarity_->knows(prepared.tensor))
        prepared.flags.raised |= EDGE_FLAG_UNFAMILIAR;
    return prepared;
}

}  // namespace edge
