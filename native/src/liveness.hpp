// Scores of one picture of task spoof, from a network's outputs: edge_sdk/scoring/ and its fusion.py.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "engine.hpp"
#include "json.hpp"

namespace edge {

class LivenessScore {
  public:
    LivenessScore() = default;
    LivenessScore(const LivenessScore&) = delete;
    LivenessScore& operator=(const LivenessScore&) = delete;
    virtual ~LivenessScore() = default;

    // Higher is more likely live. Throws Error(EDGE_ERROR_ENGINE) for numbers that cannot be scored.
    virtual double operator()(const Tensors& tensors) const = 0;

    // The scores that can come.
    virtual std::pair<double, double> range() const = 0;
};

// output: the name in the graph of an output that the manifest calls "model.logit". auxiliary: reads a file of the
// bundle, checked. Throws Error(EDGE_ERROR_UNSUPPORTED) for scores that this library does not compute.
std::unique_ptr<LivenessScore> open_liveness(const Json& score,
                                             const std::function<std::string(const std::string&)>& output,
                                             const std::function<Bytes(const std::string&)>& auxiliary);

}  // namespace edge
