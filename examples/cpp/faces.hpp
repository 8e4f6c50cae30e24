// Faces in C++: found by face_locator's outputs, assessed, aligned or cut out. The same arithmetic as
// edge_sdk/scoring/face_boxes.py, edge_sdk/runtime/face_quality.py and edge_sdk/preprocess/align.py, named alike.

#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <opencv2/imgproc.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "preprocess.hpp"

namespace edge {

struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

using Tensors = std::map<std::string, Tensor>;  // by their names in the graph
using Points = std::array<cv::Point2d, 5>;      // right eye (left in the picture), left eye, nose, mouth's corners

struct Face {
    cv::Rect box;  // inside the picture
    Points points;
    double confidence = 0;
};

// --- where faces are ---

namespace detail {

// A name of the manifest, "model.confidence8", without its graph.
inline const Tensor& tensor(const Tensors& tensors, const std::string& name, std::int64_t channels) {
    const auto found = tensors.find(name.substr(name.find('.') + 1));
    if (found == tensors.end()) throw std::runtime_error("the engine gave no " + name);
    const Tensor& tensor = found->second;
    const auto& shape = tensor.shape;
    if (shape.size() != 4 || shape[0] != 1 || shape[1] != channels ||
        tensor.values.size() != static_cast<std::size_t>(channels * shape[2] * shape[3]))
        throw std::runtime_error(name + " has another shape than a grid of faces");
    for (const float value : tensor.values)
        if (!std::isfinite(value)) throw std::runtime_error(name + " is not finite");
    return tensor;
}

struct Cell {
    double confidence;
    std::array<double, 14> shape;  // edges left, top, right, bottom, then the points

    double area() const { return (shape[2] - shape[0]) * (shape[3] - shape[1]); }

    double common(const Cell& other) const {
        const double width = std::min(shape[2], other.shape[2]) - std::max(shape[0], other.shape[0]);
        const double height = std::min(shape[3], other.shape[3]) - std::max(shape[1], other.shape[1]);
        return std::max(0.0, width) * std::max(0.0, height);
    }
};

inline std::vector<Cell> cells(const Json& level, const Tensors& tensors, double threshold) {
    const Tensor& logits = tensor(tensors, level.at("confidence"), 1);
    const Tensor& geometry = tensor(tensors, level.at("geometry"), 14);
    const std::int64_t rows = logits.shape[2], columns = logits.shape[3], size = rows * columns;
    if (geometry.shape[2] != rows || geometry.shape[3] != columns) throw std::runtime_error("grids of different sizes");
    const double stride = level.at("stride");
    std::vector<Cell> found;
    for (std::int64_t at = 0; at < size; ++at) {
        Cell cell;
        cell.confidence = std::nearbyint(1e8 / (1 + std::exp(-static_cast<double>(logits.values[at])))) / 1e8;
        if (cell.confidence < threshold) continue;
        const std::array<double, 2> centre = {(at % columns + 0.5) * stride, (at / columns + 0.5) * stride};
        for (std::int64_t i = 0; i < 14; ++i) {
            const double shift = geometry.values[i * size + at] * stride;
            cell.shape[i] = i < 2 ? centre[i] - shift : centre[i % 2] + shift;
        }
        if (cell.shape[2] > cell.shape[0] && cell.shape[3] > cell.shape[1]) found.push_back(cell);
    }
    return found;
}

// The mean of the cells that see one face, weighted by confidence, as far as they are sure enough beside the surest.
inline Cell blended(const std::vector<Cell>& group, double blend) {
    Cell mean{group.front().confidence, {}};
    double sum = 0;
    for (const Cell& cell : group) {
        if (cell.confidence < blend * mean.confidence) continue;
        const double weight = std::max(cell.confidence, std::numeric_limits<double>::min());
        for (std::size_t i = 0; i < mean.shape.size(); ++i) mean.shape[i] += weight * cell.shape[i];
        sum += weight;
    }
    for (double& value : mean.shape) value /= sum;
    return mean;
}

inline std::vector<Cell> candidates(const Json& score, const Tensors& tensors, double threshold) {
    constexpr std::size_t most = 200;
    const double overlap = score.at("overlap"), blend = score.at("blend");
    std::vector<Cell> left, faces;
    for (const Json& level : score.at("levels")) {
        const auto found = cells(level, tensors, threshold * blend);
        left.insert(left.end(), found.begin(), found.end());
    }
    std::stable_sort(left.begin(), left.end(),
                     [](const Cell& a, const Cell& b) { return a.confidence > b.confidence; });
    left.resize(std::min(left.size(), most));
    while (!left.empty() && left.front().confidence >= threshold) {
        const Cell best = left.front();
        std::vector<Cell> same = {best}, others;
        for (std::size_t i = 1; i < left.size(); ++i) {
            const double common = best.common(left[i]);
            (common > overlap * (left[i].area() + best.area() - common) ? same : others).push_back(left[i]);
        }
        faces.push_back(blended(same, blend));
        left = others;
    }
    return faces;
}

}  // namespace detail

// The faces of a picture of rows x columns pixels, the largest first, from the outputs of the locator's network.
// smallest: the longer side of the smallest box that counts, as a share of the picture's shorter side.
inline std::vector<Face> faces(const Json& manifest, const Tensors& tensors, int rows, int columns, double threshold,
                               double smallest = 0.2) {
    const Json* fit = nullptr;
    for (const Json& step : manifest.at("preprocessing"))
        if (step.at("op") == "fit") fit = &step;
    if (!fit) throw std::runtime_error("the locator's pre-processing has no fit");
    const int height = fit->at("height"), width = fit->at("width");
    const double stretch = fit->at("stretch");
    const double tall = static_cast<double>(height) / rows, wide = static_cast<double>(width) / columns;
    const int shown_rows = std::min(height, std::max(1, op::round(rows * std::min(tall, wide * stretch))));
    const int shown_columns = std::min(width, std::max(1, op::round(columns * std::min(wide, tall * stretch))));
    // Rows and columns that no whole block of pixels covers are not shown: see op::scaled.
    const auto covered = [](int size, int shown) { return size - size % std::max(1, size / shown); };
    const double scale_y = static_cast<double>(covered(rows, shown_rows)) / shown_rows;
    const double scale_x = static_cast<double>(covered(columns, shown_columns)) / shown_columns;
    const int top = (height - shown_rows) / 2, left = (width - shown_columns) / 2;

    std::vector<Face> found;
    for (const detail::Cell& cell : detail::candidates(manifest.at("score"), tensors, threshold)) {
        std::array<double, 14> at;
        for (std::size_t i = 0; i < at.size(); ++i)
            at[i] = i % 2 == 0 ? (cell.shape[i] - left) * scale_x : (cell.shape[i] - top) * scale_y;
        const double x = (at[0] + at[2]) / 2, y = (at[1] + at[3]) / 2;
        const auto edge = [](double value, int limit) {
            return static_cast<int>(std::clamp(std::nearbyint(value), 0.0, static_cast<double>(limit)));
        };
        const cv::Rect box(cv::Point(edge(at[0], columns), edge(at[1], rows)),
                           cv::Point(edge(at[2], columns), edge(at[3], rows)));
        if (x < 0 || y < 0 || x >= columns || y >= rows || box.width < 1 || box.height < 1) continue;
        // Grids of different strides see one face at two sizes: what lies within a surer box, which came before, is it.
        const bool nested = std::any_of(found.begin(), found.end(), [&](const Face& other) {
            return (box & other.box).area() >= 0.8 * std::min(box.area(), other.box.area());
        });
        if (nested) continue;
        Face face{box, {}, cell.confidence};
        for (std::size_t i = 0; i < 5; ++i) face.points[i] = {at[4 + 2 * i], at[5 + 2 * i]};
        found.push_back(face);
    }
    const double least = smallest * std::min(rows, columns);
    const auto small = [&](const Face& face) { return std::max(face.box.width, face.box.height) < least; };
    found.erase(std::remove_if(found.begin(), found.end(), small), found.end());
    std::stable_sort(found.begin(), found.end(),
                     [](const Face& a, const Face& b) { return a.box.area() > b.box.area(); });
    return found;
}

// --- cut out ---

// Where the five points lie in the aligned square.
inline Points template_points(const Json& alignment) {
    const double side = alignment.at("side"), margin = alignment.at("margin"), scale = side * (1 - 2 * margin) / 112;
    Points points;
    for (std::size_t i = 0; i < 5; ++i) {
        const Json& point = alignment.at("template").at(i);
        points[i] = cv::Point2d(point.at(0), point.at(1)) * scale + cv::Point2d(side, side) * margin;
    }
    return points;
}

// x' = a x - b y + c, y' = b x + a y + d by least squares (Umeyama, 1991): {a + b i, c + d i}.
struct Similarity {
    std::complex<double> turn, shift;
};

inline Similarity similarity(const Points& points, const Points& targets) {
    using Complex = std::complex<double>;
    constexpr double least_fit = 0.25;
    Complex middle = 0, aim = 0, product = 0;
    for (std::size_t i = 0; i < 5; ++i) {
        if (!std::isfinite(points[i].x) || !std::isfinite(points[i].y)) throw std::runtime_error("points not finite");
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
    if (!(spread > 1e-6) || std::norm(product) < least_fit * spread * wanted)
        throw std::runtime_error("the points lie as no face's do");
    const Complex turn = product / spread;
    return {turn, aim - turn * middle};
}

inline cv::Mat align(const Json& alignment, const cv::Mat& image, const Points& points) {
    const int side = alignment.at("side");
    const Similarity there = similarity(points, template_points(alignment));
    const std::complex<double> turn = 1.0 / there.turn, shift = -there.shift / there.turn;  // and back
    const double step = std::abs(turn);
    if (side * step * side * step > 64e6) throw std::runtime_error("the face is larger than a picture may be");
    const int finer = std::clamp(static_cast<int>(step + 1e-6), 1, 16);
    // The part of the frame that the square shows: OpenCV warps no picture above 32,767 pixels.
    double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
    for (const double x : {0, side})
        for (const double y : {0, side}) {
            const std::complex<double> at = turn * std::complex<double>(x, y) + shift;
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
    const std::complex<double> unit = turn / static_cast<double>(finer), half(0.5, 0.5);
    const std::complex<double> from = shift - std::complex<double>(x, y) + unit * half - half;
    const cv::Mat matrix =
        (cv::Mat_<double>(2, 3) << unit.real(), -unit.imag(), from.real(), unit.imag(), unit.real(), from.imag());
    cv::Mat warped;
    cv::warpAffine(image({x, y, to_x - x, to_y - y}), warped, matrix, {side * finer, side * finer},
                   cv::INTER_LINEAR | cv::WARP_INVERSE_MAP, cv::BORDER_REPLICATE);
    return op::block_means(warped, finer, finer);
}

// A square round a box: the manifest's source.face with overflow "replicate", as the shipped bundles have it.
inline cv::Mat crop(const Json& rule, const cv::Mat& image, const cv::Rect& box) {
    if (rule.at("overflow") != "replicate") throw std::runtime_error("this program cuts out by replicate only");
    const auto up = [](double value) { return static_cast<int>(std::floor(value + 0.5)); };
    const int side = std::max(1, up(rule.at("scale").get<double>() * std::max(box.width, box.height)));
    const int left = up(box.x + (box.width - side) / 2.0), top = up(box.y + (box.height - side) / 2.0);
    const cv::Rect square(left, top, side, side), inside = square & cv::Rect({}, image.size());
    cv::Mat out;
    cv::copyMakeBorder(image(inside), out, inside.y - top, top + side - inside.br().y, inside.x - left,
                       left + side - inside.br().x, cv::BORDER_REPLICATE);
    return out;
}

// --- quality ---

// edge_sdk/runtime/frames.py: of a frame, and of a face alone. Empty if nothing was found wrong.
inline std::string unfit(const cv::Mat& image) {
    const cv::Mat gray = op::to_gray(image, {});
    std::array<double, 256> shares{};
    for (int y = 0; y < gray.rows; ++y)
        for (int x = 0; x < gray.cols; ++x) shares[gray.at<uchar>(y, x)] += 1.0 / static_cast<double>(gray.total());
    std::partial_sum(shares.begin(), shares.end(), shares.begin());
    const auto level = [&](double share) {
        return static_cast<int>(std::lower_bound(shares.begin(), shares.end(), share - 1e-12) - shares.begin());
    };
    if (std::min(gray.rows, gray.cols) < 32) return "too_small";
    if (level(0.99) < 32) return "too_dark";
    if (1 - shares[249] >= 0.75) return "overexposed";
    if (level(0.99) - level(0.01) < 16) return "flat";
    return "";
}

inline double sharpness(const cv::Mat& face) {
    const cv::Mat gray = op::scaled(op::to_gray(face, {}), 112, 112);
    cv::Mat levels, coarse;
    gray({24, 28, 64, 76}).convertTo(levels, CV_32F);
    cv::GaussianBlur(levels, coarse, {}, 1.5);
    cv::Scalar mean, all, fine;
    cv::meanStdDev(levels, mean, all);
    cv::meanStdDev(levels - coarse, mean, fine);
    return fine[0] / std::max(all[0], 1.0);
}

// edge_sdk/runtime/face_quality.py: what is wrong with an aligned face; empty if nothing. With `enrolling` what only
// forbids to enrol counts too.
inline std::string assess(const cv::Mat& aligned, const Points& points, const Json& alignment, cv::Size frame,
                          bool enrolling) {
    if (const std::string wrong = unfit(aligned); !wrong.empty()) return wrong;
    if (sharpness(aligned) < (enrolling ? 0.1 : 0.08)) return "blurred";
    const Points targets = template_points(alignment);
    const double eyes = cv::norm(targets[1] - targets[0]) / std::abs(similarity(points, targets).turn);
    if (eyes < (enrolling ? 24 : 16)) return "too_small";
    for (const cv::Point2d& point : points)
        if (point.x < 0 || point.y < 0 || point.x > frame.width || point.y > frame.height) return "cut_off";
    const cv::Point2d between = (points[0] + points[1]) / 2, axis = (points[3] + points[4]) / 2 - between;
    const double length = cv::norm(axis);
    if (length < 1e-6) return "no_face";
    if (std::abs(std::atan2(-axis.x, axis.y)) * 180 / CV_PI > 60) return "tilted";
    const cv::Point2d down = axis / length, nose = (points[2] - between) / length;
    const double yaw = nose.x * down.y - nose.y * down.x, pitch = nose.dot(down);
    if (enrolling && (std::abs(yaw) > 0.25 || pitch < 0.4 || pitch > 0.7)) return "turned_away";
    return "";
}

}  // namespace edge
