// Enrol a driver from five frames, liveness first, and verify another frame: what examples/driver_enrolment.py does
// with a camera, with ONNX Runtime and pictures.
//
//     driver_enrolment LOCATOR POINT LIVENESS POINT VERIFIER POINT FRAME FRAME FRAME FRAME FRAME QUERY
//
// LOCATOR, LIVENESS and VERIFIER are folders, each with one ONNX variant, and POINT is an operating point of it:
//
//     edge-sdk slice face_locator --format onnx --precision fp32 --out locator
//
// Exit codes as of edge-sdk: 0 accepted, 1 not enrolled or rejected, 2 usage, 3 error. Decisions over time, and frames
// that were shown before, are beyond this program: every frame by itself must be live.

#include <iostream>
#include <optional>

#include "onnxruntime_engine.hpp"
#include "verifier.hpp"

namespace {

using edge::Json;

// One bundle, opened.
struct Opened {
    Opened(const char* folder, const char* point, const std::string& kind)
        : bundle(folder),
          variant(bundle.variant("onnx")),
          point(point),
          engine(bundle, variant) {
        bundle.require(kind);
        threshold();
    }

    double threshold(int references = 1) const { return edge::Bundle::threshold(variant, point, references); }

    edge::Tensors run(const cv::Mat& picture) {
        return engine.run(edge::preprocess(bundle.preprocessing(), picture));
    }

    edge::Bundle bundle;
    Json variant;
    std::string point;
    edge::Engine engine;
};

class Gate {
  public:
    explicit Gate(char** argv)
        : locator_(argv[1], argv[2], "face_boxes"),
          liveness_(argv[3], argv[4], "lowest"),
          verifier_(argv[5], argv[6], "embedding_distance"),
          alignment_(verifier_.bundle.manifest().at("source").at("alignment")),
          metric_(verifier_.bundle.manifest().at("score").at("metric")) {}

    // The embedding of the only face, if it is fit and live; else the reason is told, and there is none.
    std::optional<std::vector<float>> embed(const char* path, bool enrolling) {
        const cv::Mat image = edge::decode(edge::load(path));
        const auto refuse = [&](const std::string& why) {
            std::cout << path << ": " << why << "\n";
            return std::nullopt;
        };
        if (const std::string wrong = edge::unfit(image); !wrong.empty()) return refuse(wrong);
        const auto found = edge::faces(locator_.bundle.manifest(), locator_.run(image), image.rows, image.cols,
                                       locator_.threshold());
        if (found.size() != 1) return refuse(found.empty() ? "no_face" : "several_faces");
        const cv::Mat aligned = edge::align(alignment_, image, found[0].points);
        const std::string wrong = edge::assess(aligned, found[0].points, alignment_, image.size(), enrolling);
        if (!wrong.empty()) return refuse(wrong);
        const Json& rule = liveness_.bundle.manifest().at("source").at("face");
        const double live = liveness(edge::crop(rule, image, found[0].box));
        if (!(live >= liveness_.threshold())) return refuse("not live");
        return verifier_.run(aligned).at(verifier_.bundle.output()).values;
    }

    // The mean score of a query against the references, in [0, 1].
    double score(const std::vector<std::vector<float>>& references, const std::vector<float>& query) const {
        double sum = 0;
        for (const auto& reference : references) sum += edge::similarity(reference, query, metric_);
        return sum / static_cast<double>(references.size());
    }

    double threshold(std::size_t references) const { return verifier_.threshold(static_cast<int>(references)); }

  private:
    // The lowest of the members, each as weight * logit + bias: edge_sdk/scoring/fusion.py.
    double liveness(const cv::Mat& face) {
        const edge::Tensors tensors = liveness_.run(face);
        const Json& score = liveness_.bundle.manifest().at("score");
        double lowest = std::numeric_limits<double>::infinity();
        for (std::size_t i = 0; i < score.at("members").size(); ++i) {
            const Json& member = score.at("members")[i];
            if (member.at("kind") != "decision_head" || member.at("activation") != "identity")
                throw std::runtime_error("this program reads logits only");
            const std::string name = member.at("output");
            const float logit = tensors.at(name.substr(name.find('.') + 1)).values.at(0);
            if (!std::isfinite(logit)) throw std::runtime_error("the engine gave a logit that is not finite");
            const double weight = score.at("weights")[i], bias = score.at("biases")[i];
            lowest = std::min(lowest, weight * logit + bias);
        }
        return std::nearbyint(lowest * 1e8) / 1e8;
    }

    Opened locator_, liveness_, verifier_;
    Json alignment_;
    std::string metric_;
};

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 13) {
        std::cerr << "usage: " << argv[0] << " LOCATOR POINT LIVENESS POINT VERIFIER POINT FRAME*5 QUERY\n";
        return 2;
    }
    Gate gate(argv);
    std::vector<std::vector<float>> enrolled;
    for (int i = 7; i < 12; ++i)
        if (const auto embedding = gate.embed(argv[i], true)) enrolled.push_back(*embedding);
    bool alike = enrolled.size() == 5;
    for (std::size_t i = 0; alike && i < enrolled.size(); ++i) {
        auto others = enrolled;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
        alike = gate.score(others, enrolled[i]) >= gate.threshold(others.size());
    }
    if (!alike) {
        std::cout << "not enrolled: " << enrolled.size() << " of 5 frames can be used"
                  << (enrolled.size() == 5 ? ", but they do not match each other" : "") << "\n";
        return 1;
    }
    const auto query = gate.embed(argv[12], false);
    const double score = query ? gate.score(enrolled, *query) : 0, threshold = gate.threshold(enrolled.size());
    const bool accepted = query && score >= threshold;
    std::cout << (accepted ? "accepted" : "rejected") << ": score " << score << ", threshold " << threshold << "\n";
    return accepted ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 3;
}
