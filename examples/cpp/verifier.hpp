// Are two signatures by the same person? The decision of edge_sdk.Verifier, for any engine that embeds a picture.

#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "images.hpp"
#include "person_model.hpp"
#include "quality.hpp"

namespace edge {

// From CV_32FC1, rows x columns of the manifest's input, to the embedding as the network gives it.
using Embed = std::function<std::vector<float>(const cv::Mat& tensor)>;

struct Result {
    bool accepted = false;
    double score = 0;     // in [0, 1], higher is more genuine
    std::string blocked;  // why a picture was refused; then the score is 0
};

// Length 1; throws if there is no direction: such an embedding must never match anything.
inline std::vector<double> normalised(const std::vector<float>& embedding) {
    std::vector<double> unit(embedding.begin(), embedding.end());
    double largest = 0, squares = 0;
    for (const double value : unit) {
        if (!std::isfinite(value)) throw std::runtime_error("the engine gave an embedding that is not finite");
        largest = std::max(largest, std::abs(value));
    }
    if (largest == 0) throw std::runtime_error("the engine gave an embedding that is all zero");
    for (double& value : unit) value /= largest, squares += value * value;  // tiny and huge values survive squaring
    for (double& value : unit) value /= std::sqrt(squares);
    return unit;
}

// Rounded to six decimals as the thresholds were measured: int8 scores tie often, and a tie must decide alike.
inline double similarity(const std::vector<float>& first, const std::vector<float>& second, const std::string& metric) {
    if (first.size() != second.size()) throw std::runtime_error("embeddings of different sizes");
    const auto a = normalised(first), b = normalised(second);
    const auto rounded = [](double value) { return std::nearbyint(value * 1e6) / 1e6; };
    double cosine = 0;
    for (std::size_t i = 0; i < a.size(); ++i) cosine += a[i] * b[i];
    cosine = std::clamp(cosine, -1.0, 1.0);
    if (metric == "euclidean") return 1 - rounded(std::sqrt(2 - 2 * cosine)) / 2;
    if (metric == "cosine") return (1 + rounded(cosine)) / 2;
    throw std::runtime_error("unknown metric " + metric);
}

// Compares two embeddings by the bundle's score; higher is more genuine.
using Compare = std::function<double(const std::vector<float>& reference, const std::vector<float>& query)>;

inline Compare comparison(const Bundle& bundle) {
    const Json& score = bundle.manifest().at("score");
    if (score.at("kind") == "person_model") {
        const PersonModel model(bundle.auxiliary(score.at("background")));
        return [model](const auto& first, const auto& second) {
            return model.score(normalised(first), normalised(second));
        };
    }
    bundle.require("embedding_distance");
    const std::string metric = score.at("metric");
    return [metric](const auto& first, const auto& second) { return similarity(first, second, metric); };
}

class Verifier {
  public:
    // point: an operating point of the variant, such as "fmr_1e-2"; `edge-sdk inspect` lists them.
    Verifier(const Bundle& bundle, const Json& variant, const std::string& point, Embed embed)
        : operations_(bundle.preprocessing()),
          compare_(comparison(bundle)),
          threshold_(Bundle::threshold(variant, point)),
          embed_(std::move(embed)) {}

    double threshold() const { return threshold_; }

    // Two decoded pictures, CV_8U: gray, BGR or BGRA. Any error is thrown, so nothing is accepted by accident.
    Result verify(const cv::Mat& reference, const cv::Mat& query) const {
        const Prepared first = prepare(operations_, reference), second = prepare(operations_, query);
        for (const Prepared& picture : {first, second})
            if (!picture.blocked.empty()) return {false, 0, picture.blocked};
        const double score = compare_(embed_(first.tensor), embed_(second.tensor));
        return {score >= threshold_, score, ""};
    }

  private:
    Json operations_;
    Compare compare_;
    double threshold_;
    Embed embed_;
};

// Replay the golden trial: does this device, with this engine, give the score that the bundle promises?
inline bool selftest(const Bundle& bundle, const Json& variant, const Embed& embed) {
    const Json& golden = bundle.manifest().at("golden");
    const std::string id = Bundle::id(variant);
    if (golden.at("inputs").size() != 2 || !golden.at("scores").contains(id))
        throw std::runtime_error("the bundle has no golden trial for " + id);
    std::vector<std::vector<float>> embeddings;
    for (const Json& file : golden.at("inputs"))
        embeddings.push_back(embed(preprocess(bundle.preprocessing(), decode(bundle.read(file)))));
    const double score = comparison(bundle)(embeddings[0], embeddings[1]);
    const double expected = golden.at("scores").at(id), tolerance = golden.at("tolerance").at(id);
    const bool passed = std::abs(score - expected) <= tolerance;
    std::cout << id << ": score " << score << ", expected " << expected << " within " << tolerance
              << (passed ? ": passed\n" : ": FAILED\n");
    return passed;
}

// What the example programs do: FOLDER replays the golden trial, FOLDER POINT REFERENCE QUERY also decides.
// Exit codes as of edge-sdk: 0 passed or accepted, 1 rejected, 2 usage, 3 error.
inline int run(int argc, char** argv, const std::string& format,
               const std::function<Embed(const Bundle&, const Json& variant)>& open) try {
    if (argc != 2 && argc != 5) {
        std::cerr << "usage: " << argv[0] << " FOLDER [POINT REFERENCE QUERY]\n";
        return 2;
    }
    const Bundle bundle(argv[1]);
    const Json& variant = bundle.variant(format);
    const Embed embed = open(bundle, variant);
    if (!selftest(bundle, variant, embed)) return 3;  // an engine that miscounts must not decide
    if (argc == 2) return 0;

    const auto picture = [](const char* path) { return decode(edge::load(path)); };
    const Verifier verifier(bundle, variant, argv[2], embed);
    const Result result = verifier.verify(picture(argv[3]), picture(argv[4]));
    std::cout << (result.accepted ? "accepted" : "rejected") << ": score " << result.score << ", threshold "
              << verifier.threshold() << (result.blocked.empty() ? "" : ", " + result.blocked) << "\n";
    return result.accepted ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 3;
}

}  // namespace edge
