// Faces: found by a locator's outputs, cut out or aligned, and assessed.
//
// The same arithmetic as edge_sdk/scoring/face_boxes.py, edge_sdk/runtime/locator.py, edge_sdk/preprocess/align.py and
// crop.py, edge_sdk/runtime/frames.py and face_quality.py, named alike.

#pragma once

#include <array>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine.hpp"
#include "flags.hpp"
#include "json.hpp"

namespace edge {

using Points = std::array<cv::Point2d, 5>;  // right eye (left in the picture), left eye, nose, mouth's corners

struct Face {
    cv::Rect box;  // inside the picture
    Points points;
    double confidence = 0;

    int width() const { return std::max(box.width, box.height); }
};

// --- where faces are ---

class FaceBoxes {
  public:
    // The manifest's score and pre-processing; throws Error(EDGE_ERROR_BUNDLE) unless they locate faces.
    FaceBoxes(const Json& score, const Json& operations);

    // The names of the outputs that it needs, as the manifest has them.
    std::vector<std::string> outputs() const;

    // The faces of a picture of rows x columns pixels, the largest first. Throws Error(EDGE_ERROR_ENGINE) for numbers
    // that are no faces.
    std::vector<Face> faces(const Tensors& tensors, int rows, int columns, double threshold) const;

    // The golden score of one picture: the mean of the surest face's confidence, edges and points, each in [0, 1].
    double golden(const Tensors& tensors) const;

  private:
    struct Level {
        double stride;
        std::string confidence, geometry;
    };

    struct Cell {
        double confidence;
        std::array<double, 14> shape;  // edges left, top, right, bottom, then the points

        double area() const { return (shape[2] - shape[0]) * (shape[3] - shape[1]); }
        double common(const Cell& other) const;
    };

    std::vector<Cell> candidates(const Tensors& tensors, double threshold) const;
    static std::vector<Cell> cells(const Level& level, const Tensors& tensors, double threshold);
    Cell blended(const std::vector<Cell>& group) const;

    std::vector<Level> levels_;
    double overlap_, blend_, stretch_;
    int height_, width_;  // of the network's input
};

// A box made smaller or larger about its middle, as far as the picture goes.
cv::Rect rescaled(const cv::Rect& box, double scale, cv::Size picture);

// --- cut out ---

// The manifest's source.alignment.
class Alignment {
  public:
    // Throws Error(EDGE_ERROR_BUNDLE) for values beyond their bounds.
    explicit Alignment(const Json& alignment);

    int side() const { return side_; }

    // Where the five points lie in the aligned square.
    const Points& targets() const { return targets_; }

    // The square; nothing for points that lie as no face's do.
    std::optional<cv::Mat> operator()(const cv::Mat& image, const Points& points) const;

  private:
    int side_;
    Points targets_;
};

// The manifest's source.face.
class Crop {
  public:
    // Throws Error(EDGE_ERROR_BUNDLE) for values beyond their bounds.
    explicit Crop(const Json& rule);

    // A square round a box; throws Error(EDGE_ERROR_INPUT) if it is larger than a picture may be.
    cv::Mat operator()(const cv::Mat& image, const cv::Rect& box) const;

  private:
    double scale_;
    std::string overflow_;
};

// --- quality ---

// Flags of a frame, or of a face alone, each of which blocks.
std::uint64_t assess_frame(const cv::Mat& image);

// Fine detail of an aligned face, relative to its contrast.
double sharpness(const cv::Mat& face);

// Flags of a face that was cut out. alignment: what aligned it, null if a crop cut it out. points: where they lie in
// the frame; null if nobody knows.
Flags assess_face(const cv::Mat& face, const Alignment* alignment, const Points* points, cv::Size frame);

}  // namespace edge
