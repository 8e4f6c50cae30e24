#include "region.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "error.hpp"
#include "preprocess.hpp"

namespace edge {

namespace {

// Shares of the page's longer side, and what else edge_sdk/preprocess/region.py explains.
constexpr double DUST = 1.0 / 200, NEAR = 1.0 / 16, RUN = 1.0 / 40, TILT = 0.06, LINE = 1.0 / 8, THIN = 1.0 / 64;
constexpr double THICK = 1.0 / 300, BROAD = 0.25, HOLE = 1.0 / 100, FRAME = 1.0 / 8, DARK = 0.35;
constexpr int PIECES = 120, FLAT = 4, INK_FLOOR = 30;
constexpr double APART = 0.12, FREE = 0.08, TALL = 1.25, SPARSE = 0.02;

using Labels = std::vector<char>;  // whether each label counts

int longer(const cv::Mat& image) { return std::max(image.rows, image.cols); }

struct Components {
    explicit Components(const cv::Mat& ink) {
        cv::Mat centroids;
        count = cv::connectedComponentsWithStats(ink, labels, stats, centroids, 8, CV_32S);
    }

    cv::Rect box(int label) const {
        return {stats.at<int>(label, cv::CC_STAT_LEFT), stats.at<int>(label, cv::CC_STAT_TOP),
                stats.at<int>(label, cv::CC_STAT_WIDTH), stats.at<int>(label, cv::CC_STAT_HEIGHT)};
    }

    int area(int label) const { return stats.at<int>(label, cv::CC_STAT_AREA); }

    // 255 where the label counts.
    cv::Mat mask(const Labels& counts) const {
        cv::Mat out(labels.size(), CV_8U);
        for (int y = 0; y < labels.rows; ++y)
            for (int x = 0; x < labels.cols; ++x)
                out.at<uchar>(y, x) = counts[static_cast<std::size_t>(labels.at<int>(y, x))] ? 255 : 0;
        return out;
    }

    // How many pixels of each label there are where a mask is not 0.
    std::vector<int> pixels(const cv::Mat& mask) const {
        std::vector<int> found(static_cast<std::size_t>(count));
        for (int y = 0; y < labels.rows; ++y)
            for (int x = 0; x < labels.cols; ++x)
                if (mask.at<uchar>(y, x)) ++found[static_cast<std::size_t>(labels.at<int>(y, x))];
        return found;
    }

    // How many pixels of the picture's border each label has; a corner counts twice.
    std::vector<int> along_border() const {
        std::vector<int> found(static_cast<std::size_t>(count));
        const auto add = [&](int y, int x) { ++found[static_cast<std::size_t>(labels.at<int>(y, x))]; };
        for (int x = 0; x < labels.cols; ++x) add(0, x), add(labels.rows - 1, x);
        for (int y = 0; y < labels.rows; ++y) add(y, 0), add(y, labels.cols - 1);
        return found;
    }

    cv::Mat labels, stats;
    int count = 0;
};

double median(std::vector<uchar> values) {
    std::sort(values.begin(), values.end());
    return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2.0;
}

// White where a dark frame, as of an open scanner or a table under the page, reaches the border.
cv::Mat without_frame(const cv::Mat& gray) {
    std::vector<uchar> sample;
    for (int y = 0; y < gray.rows; y += 8)
        for (int x = 0; x < gray.cols; x += 8) sample.push_back(gray.at<uchar>(y, x));
    const int level = static_cast<int>(DARK * median(sample));
    int dark_border = 0;
    const auto look = [&](int y, int x) { dark_border += gray.at<uchar>(y, x) <= level; };
    for (int x = 0; x < gray.cols; ++x) look(0, x), look(gray.rows - 1, x);
    for (int y = 0; y < gray.rows; ++y) look(y, 0), look(y, gray.cols - 1);
    if (dark_border < FRAME * longer(gray)) return gray;
    cv::Mat dark, wide, out = gray.clone();
    cv::threshold(gray, dark, level, 255, cv::THRESH_BINARY_INV);
    const Components parts(dark);
    Labels frame;
    for (const int pixels : parts.along_border()) frame.push_back(pixels >= FRAME * longer(gray));
    frame[0] = false;
    cv::dilate(parts.mask(frame), wide, cv::Mat::ones(9, 9, CV_8U));
    out.setTo(255, wide);
    return out;
}

// Straight lines, level or upright as far as a page is held so, of a form or a frame.
cv::Mat lines(const cv::Mat& ink) {
    const double page = longer(ink), least = LINE * page;
    const int run = std::max(2, static_cast<int>(RUN * page)), thick = static_cast<int>(std::ceil(THICK * page)) + 1;
    cv::Mat found = cv::Mat::zeros(ink.size(), CV_8U), broad;
    cv::morphologyEx(ink, broad, cv::MORPH_OPEN, cv::Mat::ones(thick, thick, CV_8U));
    for (const cv::Size kernel : {cv::Size(run, 1), cv::Size(1, run)}) {
        cv::Mat straight, joined;
        cv::morphologyEx(ink, straight, cv::MORPH_OPEN, cv::Mat::ones(kernel, CV_8U));
        if (cv::countNonZero(straight) < least) continue;
        cv::dilate(straight, joined, cv::Mat::ones(3, 3, CV_8U));
        const Components parts(joined);
        const auto in_broad = parts.pixels(broad), in_straight = parts.pixels(straight);
        Labels is_line(static_cast<std::size_t>(parts.count));
        for (int label = 1; label < parts.count; ++label) {
            const cv::Rect box = parts.box(label);
            const int length = std::max(box.width, box.height), across = std::min(box.width, box.height);
            const auto at = static_cast<std::size_t>(label);
            is_line[at] = length >= least && across <= THIN * page + TILT * length &&
                          in_broad[at] < BROAD * in_straight[at];
        }
        found |= parts.mask(is_line);
    }
    return found;
}

// Round or square ink without a stroke in it: punch holes, stamps' edges, blots.
cv::Mat holes(const cv::Mat& ink) {
    const double least = HOLE * longer(ink);
    const int core = std::max(3, static_cast<int>(least / 2));
    cv::Mat solid, wide;
    cv::morphologyEx(ink, solid, cv::MORPH_OPEN, cv::Mat::ones(core, core, CV_8U));
    if (!cv::countNonZero(solid)) return cv::Mat::zeros(ink.size(), CV_8U);
    const Components parts(solid);
    Labels hole(static_cast<std::size_t>(parts.count));
    for (int label = 1; label < parts.count; ++label) {
        const cv::Rect box = parts.box(label);
        const int shorter = std::min(box.width, box.height);
        hole[static_cast<std::size_t>(label)] = shorter >= least && std::max(box.width, box.height) <= 2 * shorter &&
                                                parts.area(label) >= 0.6 * box.area();
    }
    cv::dilate(parts.mask(hole), wide, cv::Mat::ones(5, 5, CV_8U));
    return wide;
}

int length(const cv::Rect& box) { return std::max(box.width, box.height); }

// The boxes of connected ink, without dust and without what lies along the border.
std::vector<cv::Rect> pieces(const cv::Mat& ink) {
    const Components parts(ink);
    const auto border = parts.along_border();
    const double page = longer(ink);
    std::vector<cv::Rect> kept;
    for (int label = 1; label < parts.count; ++label) {
        const cv::Rect box = parts.box(label);
        const bool edge = border[static_cast<std::size_t>(label)] >= length(box) / 2.0 && length(box) >= page / 50;
        if (length(box) >= DUST * page && !edge) kept.push_back(box);
    }
    return kept;
}

// The wider gap between two boxes, one up or down counting double; 0 where they overlap.
int distance(const cv::Rect& a, const cv::Rect& b) {
    const int across = std::max({0, b.x - a.br().x, a.x - b.br().x});
    const int down = std::max({0, b.y - a.br().y, a.y - b.br().y});
    return std::max(across, 2 * down);
}

// Join boxes until no two are near each other, and leave out what is small.
std::vector<cv::Rect> regions(const InkRegion& region, std::vector<cv::Rect> boxes, double page) {
    for (std::size_t at = 0; at < boxes.size();) {
        const double reach = std::max(NEAR * page, region.gap * length(boxes[at]));
        std::vector<cv::Rect> joined = {boxes[at]}, rest;
        for (std::size_t i = 0; i < boxes.size(); ++i)
            if (i != at) (distance(boxes[at], boxes[i]) <= reach ? joined : rest).push_back(boxes[i]);
        if (joined.size() == 1) {
            ++at;
            continue;
        }
        cv::Rect one = joined.front();
        for (const cv::Rect& other : joined) one |= other;
        rest.insert(rest.begin(), one);
        boxes = rest;
        at = 0;
    }
    int longest = 0;
    for (const cv::Rect& box : boxes) longest = std::max(longest, length(box));
    std::vector<cv::Rect> kept;
    for (const cv::Rect& box : boxes)
        if (length(box) >= std::min(region.speck * page, static_cast<double>(longest))) kept.push_back(box);
    return kept;
}

}  // namespace

InkRegion InkRegion::of(const Json& region) {
    const InkRegion found{whole(region.at("side"), 384, 4096, "source.region.side"), region.at("gap"),
                          region.at("speck"), region.at("fills"), region.at("margin")};
    require_known(region, {"side", "gap", "speck", "fills", "margin"});
    bool fine = true;
    for (const double share : {found.gap, found.speck, found.fills, found.margin})
        fine = fine && share > 0 && share <= 1;
    if (!fine) throw Error(EDGE_ERROR_BUNDLE, "the manifest's source.region is beyond its bounds");
    return found;
}

std::array<bool, 4> FoundInk::at_border(const cv::Mat& image) const {
    if (box.empty()) return {true, true, true, true};
    return {box.y == 0, box.br().y == image.rows, box.x == 0, box.br().x == image.cols};
}

bool may_be_page(const cv::Mat& ink) {
    const cv::Rect box = cv::boundingRect(ink);
    return box.area() < FREE * static_cast<double>(ink.total()) || box.height > TALL * box.width ||
           cv::countNonZero(ink) < SPARSE * box.area();
}

FoundInk find_ink(const InkRegion& region, const cv::Mat& image) {
    const cv::Mat small = without_frame(op::to_gray(op::limit_size(image, region.side)));
    const cv::Mat flat = op::flatten_paper(small, 96, 8);
    cv::Mat dark, printed, bare;
    cv::threshold(flat, dark, 255 - INK_FLOOR, 255, cv::THRESH_BINARY_INV);
    const cv::Mat ruled = lines(dark);
    cv::dilate(ruled | holes(dark), printed, cv::Mat::ones(3, 3, CV_8U));
    cv::max(flat, printed, bare);
    const auto found = pieces(op::erase_rules(op::binarize(bare, INK_FLOOR, 0.4, 75.0), 0.75));
    FoundInk ink;
    if (found.empty()) {
        ink.empty = true;
        return ink;
    }
    const auto letters = std::count_if(found.begin(), found.end(), [](const cv::Rect& box) {
        return std::min(box.width, box.height) * FLAT >= length(box);
    });
    if (letters > PIECES) {
        ink.several = true;
        return ink;
    }
    const double page = longer(small);
    const auto parts = regions(region, found, page);
    if (parts.size() > 1) {
        std::int64_t area = 0;
        for (const cv::Rect& box : parts) area += std::int64_t{box.width} * box.height;
        ink.several = static_cast<double>(area) < APART * static_cast<double>(small.total());
        return ink;
    }
    const cv::Rect& only = parts.front();
    if (length(only) >= region.fills * page) return ink;
    const int margin = static_cast<int>(std::ceil(region.margin * length(only)));
    const cv::Rect wider(only.x - margin, only.y - margin, only.width + 2 * margin, only.height + 2 * margin);
    const cv::Rect wide = wider & cv::Rect({}, small.size());
    const double across = static_cast<double>(image.cols) / small.cols;
    const double down = static_cast<double>(image.rows) / small.rows;
    const auto low = [](double value) { return static_cast<int>(std::floor(value)); };
    const auto high = [](double value) { return static_cast<int>(std::ceil(value)); };
    ink.box = cv::Rect(cv::Point(low(wide.x * across), low(wide.y * down)),
                       cv::Point(high(wide.br().x * across), high(wide.br().y * down))) &
              cv::Rect({}, image.size());
    ink.lined = cv::countNonZero(ruled(wide)) > 0;
    return ink;
}

}  // namespace edge
