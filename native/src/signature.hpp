// A picture of a signature: cut out of a page, pre-processed, and assessed where the ink is found.
//
// edge_sdk/quality.py, edge_sdk/modalities/strokes.py and edge_sdk/manifest/familiarity.py.

#pragma once

#include <opencv2/core.hpp>
#include <optional>
#include <vector>

#include "engine.hpp"
#include "flags.hpp"
#include "region.hpp"

namespace edge {

// A picture as the network takes it, and what was found wrong with it.
struct Prepared {
    Tensor tensor;  // of no values where there is nothing to look at
    Flags flags;
};

// Which pictures are like those that a bundle was made with: the manifest's `familiarity`.
class Familiarity {
  public:
    // Throws Error(EDGE_ERROR_BUNDLE or EDGE_ERROR_UNSUPPORTED).
    explicit Familiarity(const Json& familiarity);

    // Of a pre-processed picture, ink 1 and paper 0.
    bool knows(const Tensor& picture) const;

  private:
    std::vector<double> mean_;
    std::vector<std::vector<double>> whitening_;
    double limit_ = 0;
};

class Signatures {
  public:
    // Throws Error(EDGE_ERROR_BUNDLE) for operations, a region or familiarity that no manifest has.
    Signatures(Json operations, const Json& region, const Json& familiarity);

    Prepared prepare(const cv::Mat& image) const;

  private:
    Json operations_;
    Json::const_iterator geometry() const;  // the first operation that cuts or stretches
    cv::Mat bright(const cv::Mat& ink) const;

    std::optional<InkRegion> region_;
    std::optional<Familiarity> familiarity_;
    bool inverts_ = false;  // ink is inverted only after it was cut or stretched
};

}  // namespace edge
