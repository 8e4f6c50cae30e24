#include "faces.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>
#include <opencv2/imgproc.hpp>

#include "error.hpp"
#include "image_files.hpp"
#include "preprocess.hpp"

namespace edge {

namespace {

constexpr std::size_t MOST_CELLS = 200;
constexpr double NESTED = 0.8;

const Tensor& grid(const Tensors& tensors, const std::string& name, std::int64_t channels) {
    const auto found = tensors.find(name.substr(name.find('.') + 1));
    if (found == tensors.end()) throw Error(EDGE_ERROR_ENGINE, "the engine gave no " + name);
    const Tensor& tensor = found->second;
    const auto& shape = tensor.shape;
    if (shape.size() != 4 || shape[0] != 1 || shape[1] != channels || shape[2] < 1 || shape[3] < 1 ||
        tensor.values.size() != static_cast<std::size_t>(channels * shape[2] * shape[3]))
        throw Error(EDGE_ERROR_ENGINE, name + " has another shape than a grid of faces");
    for (const float value : tensor.values)
        if (!std::isfinite(value)) throw Error(EDGE_ERROR_ENGINE, name + " is not finite");
    return tensor;
}

}  // namespace

FaceBoxes::FaceBoxes(const Json& score, const Json& operations)
    : overlap_(score.at("overlap")), blend_(score.at("blend")), stretch_(0), height_(0), width_(0) {
    if (score.at("kind") != "face_boxes") throw Error(EDGE_ERROR_UNSUPPORTED, "the bundle locates nothing");
    require_known(score, {"kind", "levels", "overlap", "blend"});
    for (const Json& level : score.at("levels")) {
        const int stride = whole(level.at("stride"), 1, 256, "stride of a level of faces");
        levels_.push_back({static_cast<double>(stride), level.at("confidence"), level.at("geometry")});
        require_known(level, {"stride", "confidence", "geometry"});
    }
    int fits = 0;
    for (const Json& step : operations) {
        const std::string name = step.at("op");
        if (name == "fit") {
            ++fits;
            height_ = step.at("height"), width_ = step.at("width"), stretch_ = step.at("stretch");
        } else if (name == "resize" || name == "crop_to_ink" || name == "crop_square" || name == "limit_size") {
            fits = 2;
        }
    }
    if (fits != 1 || levels_.empty() || !(overlap_ > 0 && overlap_ <= 1) || !(blend_ >= 0.1 && blend_ <= 1))
        throw Error(EDGE_ERROR_BUNDLE, "the manifest does not say how outputs become faces");
}

std::vector<std::string> FaceBoxes::outputs() const {
    std::vector<std::string> names;
    for (const Level& level : levels_) names.insert(names.end(), {level.confidence, level.geometry});
    return names;
}

double FaceBoxes::Cell::common(const Cell& other) const {
    const double width = std::min(shape[2], other.shape[2]) - std::max(shape[0], other.shape[0]);
    const double height = std::min(shape[3], other.shape[3]) - std::max(shape[1], other.shape[1]);
    return std::max(0.0, width) * std::max(0.0, height);
}

std::vector<FaceBoxes::Cell> FaceBoxes::cells(const Level& level, const Tensors& tensors, double threshold) {
    const Tensor& logits = grid(tensors, level.confidence, 1);
    const Tensor& geometry = grid(tensors, level.geometry, 14);
    const auto rows = static_cast<std::size_t>(logits.shape[2]), columns = static_cast<std::size_t>(logits.shape[3]);
    if (geometry.shape[2] != logits.shape[2] || geometry.shape[3] != logits.shape[3])
        throw Error(EDGE_ERROR_ENGINE, "the engine gave grids of different sizes");
    std::vector<Cell> found;
    for (std::size_t at = 0; at < rows * columns; ++at) {
        Cell cell{};
        cell.confidence = std::nearbyint(1e8 / (1 + std::exp(-static_cast<double>(logits.values[at])))) / 1e8;
        if (cell.confidence < threshold) continue;
        const std::array<double, 2> centre = {(static_cast<double>(at % columns) + 0.5) * level.stride,
                                              (static_cast<double>(at / columns) + 0.5) * level.stride};
        for (std::size_t i = 0; i < 14; ++i) {
            const double shift = geometry.values[i * rows * columns + at] * level.stride;
            cell.shape[i] = i < 2 ? centre[i] - shift : centre[i % 2] + shift;
        }
        if (cell.shape[2] > cell.shape[0] && cell.shape[3] > cell.shape[1]) found.push_back(cell);
    }
    return found;
}

// The mean of the cells that see one face, weighted by confidence, as far as they are sure enough beside the surest.
FaceBoxes::Cell FaceBoxes::blended(const std::vector<Cell>& group) const {
    Cell mean{group.front().confidence, {}};
    double sum = 0;
    for (const Cell& cell : group) {
        if (cell.confidence < blend_ * mean.confidence) continue;
        const double weight = std::max(cell.confidence, std::numeric_limits<double>::min());
        for (std::size_t i = 0; i < mean.shape.size(); ++i) mean.shape[i] += weight * cell.shape[i];
        sum += weight;
    }
    for (double& value : mean.shape) value /= sum;
    return mean;
}

std::vector<FaceBoxes::Cell> FaceBoxes::candidates(const Tensors& tensors, double threshold) const {
    std::vector<Cell> left, faces;
    for (const Level& level : levels_) {
        const auto found = cells(level, tensors, threshold * blend_);
        left.insert(left.end(), found.begin(), found.end());
    }
    std::stable_sort(left.begin(), left.end(),
                     [](const Cell& a, const Cell& b) { return a.confidence > b.confidence; });
    left.resize(std::min(left.size(), MOST_CELLS));
    while (!left.empty() && left.front().confidence >= threshold) {
        const Cell best = left.front();
        std::vector<Cell> same = {best}, others;
        for (std::size_t i = 1; i < left.size(); ++i) {
            const double common = best.common(left[i]);
            (common > overlap_ * (left[i].area() + best.area() - common) ? same : others).push_back(left[i]);
        }
        faces.push_back(blended(same));
        left = others;
    }
    return faces;
}

std::vector<Face> FaceBoxes::faces(const Tensors& tensors, int rows, int columns, double threshold) const {
    const double tall = static_cast<double>(height_) / rows, wide = static_cast<double>(width_) / columns;
    const int shown_rows = std::min(height_, std::max(1, op::round(rows * std::min(tall, wide * stretch_))));
    const int shown_columns = std::min(width_, std::max(1, op::round(columns * std::min(wide, tall * stretch_))));
    // Rows and columns that no whole block of pixels covers are not shown: see op::scaled.
    const auto covered = [](int size, int shown) { return size - size % std::max(1, size / shown); };
    const double scale_y = static_cast<double>(covered(rows, shown_rows)) / shown_rows;
    const double scale_x = static_cast<double>(covered(columns, shown_columns)) / shown_columns;
    const int top = (height_ - shown_rows) / 2, left = (width_ - shown_columns) / 2;

    std::vector<Face> found;
    for (const Cell& cell : candidates(tensors, threshold)) {
        std::array<double, 14> at;
        for (std::size_t i = 0; i < at.size(); ++i)
            at[i] = i % 2 == 0 ? (cell.shape[i] - left) * scale_x : (cell.shape[i] - top) * scale_y;
        const double x = (at[0] + at[2]) / 2, y = (at[1] + at[3]) / 2;
        const auto edge = [](double value, int limit) {
            return static_cast<int>(std::clamp(std::nearbyint(value), 0.0, static_cast<double>(limit)));
        };
        const cv::Rect box(cv::Point(edge(at[0], columns), edge(at[1], rows)),
                           cv::Point(edge(at[2], columns), edge(at[3], rows)));
        if (!(x >= 0 && y >= 0 && x < columns && y < rows) || box.width < 1 || box.height < 1) continue;
        // Grids of different strides see one face at two sizes: what lies within a surer box, which came before, is it.
        const bool nested = std::any_of(found.begin(), found.end(), [&](const Face& other) {
            return (box & other.box).area() >= NESTED * std::min(box.area(), other.box.area());
        });
        if (nested) continue;
        Face face{box, {}, cell.confidence};
        for (std::size_t i = 0; i < 5; ++i) face.points[i] = {at[4 + 2 * i], at[5 + 2 * i]};
        found.push_back(face);
    }
    std::stable_sort(found.begin(), found.end(), [](const Face& a, const Face& b) {
        const auto key = [](const Face& face) { return std::array<int, 3>{-face.box.area(), face.box.x, face.box.y}; };
        return key(a) < key(b);
    });
    return found;
}

double FaceBoxes::golden(const Tensors& tensors) const {
    const auto found = candidates(tensors, 0.0);
    if (found.empty()) throw Error(EDGE_ERROR_ENGINE, "the golden picture has no cell with a box");
    double sum = found.front().confidence;
    for (std::size_t i = 0; i < 14; ++i)
        sum += std::clamp(found.front().shape[i] / (i % 2 == 0 ? width_ : height_), 0.0, 1.0);
    return sum / 15;
}

cv::Rect rescaled(const cv::Rect& box, double scale, cv::Size picture) {
    const double across = box.width * (1 - scale) / 2, down = box.height * (1 - scale) / 2;
    const int left = std::max(0, op::round(box.x + across)), top = std::max(0, op::round(box.y + down));
    const int right = std::min(picture.width, std::max(left + 1, op::round(box.x + box.width - across)));
    const int bottom = std::min(picture.height, std::max(top + 1, op::round(box.y + box.height - down)));
    return {left, top, right - left, bottom - top};
}

// --- cut out ---

namespace {

using Complex = std::complex<double>;

constexpr double FARTHEST = 1e6, LEAST_FIT = 0.25;
constexpr int FINEST = 16;

// x' = a x - b y + c, y' = b x + a y + d by least squares (Umeyama, 1991): {a + b i, c + d i}.
struct Similarity {
    Complex turn, shift;
};

std::optional<Similarity> similarity(const Points& points, const Points& targets) {
    Complex middle = 0, aim = 0, product = 0;
    for (std::size_t i = 0; i < 5; ++i) {
        if (!(std::abs(points[i].x) <= FARTHEST && std::abs(points[i].y) <= FARTHEST)) return std::nullopt;
        middle += Complex(points[i].x, points[i].y) / 5.0;
        aim += Complex(targets[i].x, targets[i].y) / 5.0;
    }
    double spread = 0, wanted = 0;
    for (std::size_t i = 0; i < 5; ++i) {
        const Complex p = Complex(points[i].x, points[i].y) - middle, t = Complex(targets[i].x, targets[i].y) - aim;
        product += std::conj(p) * t;
        spread += std::norm(p);
        wanted += std::norm(t);
    }
    if (!(spread > 1e-6) || std::norm(product) < LEAST_FIT * spread * wanted) return std::nullopt;
    const Complex turn = product / spread;
    return Similarity{turn, aim - turn * middle};
}

}  // namespace

Alignment::Alignment(const Json& alignment) : side_(whole(alignment.at("side"), 8, 1024, "source.alignment.side")) {
    require_known(alignment, {"side", "margin", "template"});
    const double margin = alignment.at("margin"), scale = side_ * (1 - 2 * margin) / 112;
    if (!(margin >= 0 && margin < 0.5) || alignment.at("template").size() != 5)
        throw Error(EDGE_ERROR_BUNDLE, "the manifest's source.alignment is beyond its bounds");
    for (std::size_t i = 0; i < 5; ++i) {
        const Json& point = alignment.at("template").at(i);
        targets_[i] = cv::Point2d(point.at(0), point.at(1)) * scale + cv::Point2d(side_, side_) * margin;
    }
}

std::optional<cv::Mat> Alignment::operator()(const cv::Mat& image, const Points& points) const {
    const auto there = similarity(points, targets_);
    if (!there) return std::nullopt;
    const Complex turn = 1.0 / there->turn, shift = -there->shift / there->turn;  // and back
    const double step = std::abs(turn);
    if (!(side_ * step * side_ * step <= MOST_PIXELS)) return std::nullopt;
    const int finer = std::clamp(static_cast<int>(step + 1e-6), 1, FINEST);
    // The part of the frame that the square shows: OpenCV warps no picture above 32,767 pixels.
    double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
    for (const int x : {0, side_})
        for (const int y : {0, side_}) {
            const Complex at = turn * Complex(x, y) + shift;
            left = std::min(left, at.real()), right = std::max(right, at.real());
            top = std::min(top, at.imag()), bottom = std::max(bottom, at.imag());
        }
    const auto whole = [](double value, int low, int high) {
        return static_cast<int>(std::clamp(value, static_cast<double>(low), static_cast<double>(high)));
    };
    const int x = whole(std::floor(left) - 2, 0, image.cols - 1), y = whole(std::floor(top) - 2, 0, image.rows - 1);
    const int to_x = whole(std::ceil(right) + 2, x + 1, image.cols);
    const int to_y = whole(std::ceil(bottom) + 2, y + 1, image.rows);
    // OpenCV calls the centre of the first pixel 0, here it is 0.5.
    const Complex unit = turn / static_cast<double>(finer), half(0.5, 0.5);
    const Complex from = shift - Complex(x, y) + unit * half - half;
    const cv::Mat matrix =
        (cv::Mat_<double>(2, 3) << unit.real(), -unit.imag(), from.real(), unit.imag(), unit.real(), from.imag());
    cv::Mat warped;
    cv::warpAffine(image({x, y, to_x - x, to_y - y}), warped, matrix, {side_ * finer, side_ * finer},
                   cv::INTER_LINEAR | cv::WARP_INVERSE_MAP, cv::BORDER_REPLICATE);
    return op::block_means(warped, finer, finer);
}

Crop::Crop(const Json& rule) : scale_(rule.at("scale")), overflow_(rule.at("overflow")) {
    require_known(rule, {"scale", "overflow"});
    const bool known = overflow_ == "replicate" || overflow_ == "black" || overflow_ == "shift";
    if (!(scale_ > 0 && scale_ <= 4) || !known)
        throw Error(EDGE_ERROR_BUNDLE, "the manifest's source.face is beyond its bounds");
}

cv::Mat Crop::operator()(const cv::Mat& image, const cv::Rect& box) const {
    const auto up = [](double value) { return static_cast<int>(std::floor(value + 0.5)); };
    const bool shifts = overflow_ == "shift";
    int side = std::max(1, up(scale_ * std::max(box.width, box.height)));
    if (shifts) side = std::min({side, image.rows, image.cols});
    if (std::int64_t{side} * side > MOST_PIXELS)
        throw Error(EDGE_ERROR_INPUT, "a face that fills too much of a large picture");
    int left = up(box.x + (box.width - side) / 2.0), top = up(box.y + (box.height - side) / 2.0);
    if (shifts)
        left = std::clamp(left, 0, image.cols - side), top = std::clamp(top, 0, image.rows - side);
    const cv::Rect square(left, top, side, side), inside = square & cv::Rect({}, image.size());
    cv::Mat out;
    cv::copyMakeBorder(image(inside), out, inside.y - top, top + side - inside.br().y, inside.x - left,
                       left + side - inside.br().x,
                       (overflow_ == "black" ? cv::BORDER_CONSTANT : cv::BORDER_REPLICATE) | cv::BORDER_ISOLATED);
    return out;
}

// --- quality ---

namespace {

constexpr int MIN_SIDE = 32, MIN_BRIGHT = 32, MIN_RANGE = 16, SATURATED = 250;
constexpr double MAX_SATURATED = 0.75, TAIL = 0.01;

struct Limit {
    double block, enroll;
};

constexpr Limit EYES = {16, 24}, SHARPNESS = {0.08, 0.1};
constexpr double MAX_YAW = 0.25, MIN_PITCH = 0.4, MIDDLE_PITCH = 0.55, MAX_PITCH = 0.7, MAX_ROLL = 60;

void below(Flags& flags, std::uint64_t flag, double measured, Limit limit) {
    if (measured < limit.block)
        flags.block(flag);
    else if (measured < limit.enroll)
        flags.refuse_to_enroll(flag);
}

}  // namespace

std::uint64_t assess_frame(const cv::Mat& image) {
    const cv::Mat gray = op::to_gray(image);
    std::array<std::int64_t, 256> counts{};
    for (int y = 0; y < gray.rows; ++y)
        for (int x = 0; x < gray.cols; ++x) ++counts[gray.at<uchar>(y, x)];
    std::partial_sum(counts.begin(), counts.end(), counts.begin());
    const double size = static_cast<double>(gray.total());
    const auto share = [&](std::int64_t pixels) { return static_cast<double>(pixels) / size; };
    const auto level = [&](double wanted) {
        const auto reached = [&](std::int64_t sum) { return share(sum) >= wanted; };
        const auto at = std::find_if(counts.begin(), counts.end(), reached);
        return static_cast<int>(at - counts.begin());
    };
    const int low = level(TAIL), high = level(1 - TAIL);
    std::uint64_t flags = 0;
    if (std::min(gray.rows, gray.cols) < MIN_SIDE) flags |= EDGE_FLAG_TOO_SMALL;
    if (high < MIN_BRIGHT) flags |= EDGE_FLAG_TOO_DARK;
    if (1 - share(counts[SATURATED - 1]) >= MAX_SATURATED) flags |= EDGE_FLAG_OVEREXPOSED;
    if (high - low < MIN_RANGE) flags |= EDGE_FLAG_FLAT;
    return flags;
}

double sharpness(const cv::Mat& face) {
    const cv::Mat gray = op::scaled(op::to_gray(face), 112, 112);
    cv::Mat levels, coarse;
    gray({24, 28, 64, 76}).convertTo(levels, CV_32F);
    cv::GaussianBlur(levels, coarse, {}, 1.5);
    cv::Scalar mean, all, fine;
    cv::meanStdDev(levels, mean, all);
    cv::meanStdDev(levels - coarse, mean, fine);
    return fine[0] / std::max(all[0], 1.0);
}

Flags assess_face(const cv::Mat& face, const Alignment* alignment, const Points* points, cv::Size frame) {
    Flags flags;
    flags.block(assess_frame(face));
    if (!alignment) return flags;
    below(flags, EDGE_FLAG_BLURRED, sharpness(face), SHARPNESS);
    if (!points) return flags;
    const Points& targets = alignment->targets();
    const auto there = similarity(*points, targets);
    const cv::Point2d between = ((*points)[0] + (*points)[1]) / 2, axis = ((*points)[3] + (*points)[4]) / 2 - between;
    const double length = std::hypot(axis.x, axis.y);
    if (!there || length < 1e-6) {
        flags.block(EDGE_FLAG_NO_FACE);
        return flags;
    }
    below(flags, EDGE_FLAG_TOO_SMALL, cv::norm(targets[1] - targets[0]) / std::abs(there->turn), EYES);
    const cv::Point2d down = axis / length, nose = ((*points)[2] - between) / length;
    const double yaw = nose.x * down.y - nose.y * down.x, pitch = nose.dot(down);
    const double span = pitch > MIDDLE_PITCH ? MAX_PITCH - MIDDLE_PITCH : MIDDLE_PITCH - MIN_PITCH;
    if (std::max(std::abs(yaw) / MAX_YAW, std::abs(pitch - MIDDLE_PITCH) / span) > 1)
        flags.refuse_to_enroll(EDGE_FLAG_TURNED_AWAY);
    if (std::abs(std::atan2(-down.x, down.y)) * 180 / CV_PI > MAX_ROLL) flags.block(EDGE_FLAG_TILTED);
    for (const cv::Point2d& point : *points)
        if (!(point.x >= 0 && point.y >= 0 && point.x <= frame.width && point.y <= frame.height))
            flags.block(EDGE_FLAG_CUT_OFF);
    return flags;
}

}  // namespace edge
