// A bundle, opened with one variant on one engine: what an application verifies, enrols, identifies and detects with.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle.hpp"
#include "comparison.hpp"
#include "edge_sdk.h"
#include "engine.hpp"
#include "faces.hpp"
#include "liveness.hpp"
#include "signature.hpp"
#include "template.hpp"

namespace edge {

class Session;

struct Options {
    int threads = 1;
    Trust trust;
    std::string variant, operating_point;
    std::optional<double> threshold;
    bool faces_cut_out = false;
    bool selftest = true;
    std::optional<double> smallest_face;
    std::shared_ptr<const Session> locator;
};

// People who are ready to be compared.
struct Gallery {
    std::string manifest_sha256, variant;  // of the session that made it
    std::vector<std::unique_ptr<Person>> people;
    std::vector<std::size_t> references;  // of how many each template was made
};

class Session {
  public:
    // Opens the engine of the chosen variant, and replays the golden trial unless the options say no.
    static std::shared_ptr<const Session> open(const std::filesystem::path& path, const Options& options);

    // With an engine of one's own, for tests.
    Session(Bundle bundle, std::string variant, std::unique_ptr<Engine> engine, const Options& options);

    edge_info describe() const;
    edge_replay selftest() const;

    // Pictures are decoded and prepared one by one, so that one at a time lies in memory whole.
    edge_verification verify(const std::vector<const edge_image*>& references, const edge_image* query) const;
    edge_verification verify(const Template& enrolled, const cv::Mat& query) const;
    Template enroll(const std::vector<const edge_image*>& references) const;
    Gallery gallery(const std::vector<const Template*>& templates) const;

    // The candidates are all people, the best first.
    edge_identification identify(const Gallery& gallery, const cv::Mat& probe,
                                 std::vector<edge_candidate>& candidates) const;

    std::vector<Face> locate(const cv::Mat& image) const;
    edge_liveness detect(const cv::Mat& image) const;

  private:
    void require(int task) const;
    bool scales() const;
    const Threshold& deciding(std::size_t references) const;
    Binding binding() const;

    Tensors run(const Tensor& picture) const;
    Tensor checked(Tensor picture) const;
    Embedding embed(const Prepared& prepared) const;

    // A picture as the network takes it. aligned: it was cut out already.
    Prepared prepare(const cv::Mat& image, bool aligned) const;
    Prepared face(const cv::Mat& frame) const;
    Prepared cut_out(const cv::Mat& face, Flags flags) const;
    Prepared whole(const cv::Mat& image) const;

    std::unique_ptr<Person> person(const Template& enrolled) const;
    edge_verification decide(const Person& person, const Flags& flags, const Embedding& query, std::size_t count) const;
    edge_verification blocked(const Flags& flags, std::size_t count) const;
    double liveness(const cv::Mat& face) const;
    double golden_score() const;

    Bundle bundle_;
    std::string variant_, model_sha256_, space_, version_, modality_, engine_name_;
    int task_ = 0;
    bool faces_cut_out_;
    double smallest_face_;
    std::pair<double, double> range_ = {0, 1};  // of the scores that can come
    GraphSpec graph_;
    std::unique_ptr<Engine> engine_;
    mutable std::mutex running_;
    mutable std::once_flag looked_;
    mutable bool scales_ = false;  // whether the network scales embeddings to length 1, once somebody looked
    std::vector<Threshold> points_;
    std::shared_ptr<const Session> locator_;
    std::optional<Signatures> signatures_;
    std::optional<Alignment> alignment_;
    std::optional<Crop> crop_;
    std::optional<FaceBoxes> boxes_;
    std::string embedding_;  // the output that is compared, by its name in the graph
    std::unique_ptr<Comparison> comparison_;
    std::unique_ptr<LivenessScore> liveness_;
};

}  // namespace edge

// The handle of edge_sdk.h.
struct edge_session {
    std::shared_ptr<const edge::Session> held;
};
