#include "liveness.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <regex>
#include <vector>

#include "error.hpp"

namespace edge {

namespace {

constexpr double INFINITE = std::numeric_limits<double>::infinity(), PI = 3.14159265358979323846;
constexpr std::size_t LONGEST_HEADER = 192;

using Output = std::function<std::string(const std::string&)>;
using Auxiliary = std::function<Bytes(const std::string&)>;

// The values of an output, finite.
const std::vector<float>& values(const Tensors& tensors, const std::string& name) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw Error(EDGE_ERROR_ENGINE, "the engine gave no " + name);
    for (const float value : found->second.values)
        if (!std::isfinite(value)) throw Error(EDGE_ERROR_ENGINE, name + " is not finite");
    return found->second.values;
}

// A classifier's logit, or the probability that it stands for.
class DecisionHead : public LivenessScore {
  public:
    DecisionHead(const Json& score, const Output& output)
        : output_(output(score.at("output"))),
          activation_(score.at("activation")),
          genuine_(static_cast<std::size_t>(
              whole(score.value("genuine_index", Json(0)), 0, 1 << 26, "score.genuine_index"))) {
        require_known(score, {"kind", "output", "activation", "genuine_index"});
        if (activation_ != "identity" && activation_ != "sigmoid" && activation_ != "softmax")
            throw Error(EDGE_ERROR_BUNDLE, "the manifest's score has no such activation");
    }

    double operator()(const Tensors& tensors) const override {
        const auto& logits = values(tensors, output_);
        const bool softmax = activation_ == "softmax";
        if (softmax ? genuine_ >= logits.size() : logits.size() != 1)
            throw Error(EDGE_ERROR_ENGINE, output_ + " has another number of classes");
        if (activation_ == "identity") return logits[0];
        const double own = logits[softmax ? genuine_ : 0];
        double sum = softmax ? 0 : 1 + std::exp(-own);
        if (softmax)
            for (const float logit : logits) sum += std::exp(logit - own);
        return 1 / sum;
    }

    std::pair<double, double> range() const override {
        if (activation_ == "identity") return {-INFINITE, INFINITE};
        return {0, 1};
    }

  private:
    std::string output_, activation_;
    std::size_t genuine_;
};

// Log-likelihood under a mixture of Gaussians: edge_sdk/scoring/densities/gaussian_mixture.py.
class LatentLikelihood : public LivenessScore {
  public:
    LatentLikelihood(const Json& score, const Output& output, const Auxiliary& auxiliary)
        : output_(output(score.at("output"))) {
        require_known(score, {"kind", "output", "density"});
        read(auxiliary(score.at("density")));
    }

    double operator()(const Tensors& tensors) const override {
        const auto& latent = values(tensors, output_);
        if (latent.size() != dims_) throw Error(EDGE_ERROR_ENGINE, output_ + " has another length than its density");
        std::vector<double> joint;
        for (std::size_t mode = 0; mode < modes_; ++mode) {
            double squares = 0;
            for (std::size_t d = 0; d < dims_; ++d)
                squares += std::pow(latent[d] - at(mode, 1 + d), 2) / at(mode, 1 + dims_ + d);
            joint.push_back(constants_[mode] - 0.5 * squares);
        }
        const double highest = *std::max_element(joint.begin(), joint.end());
        double sum = 0;
        for (const double one : joint) sum += std::exp(one - highest);
        return highest + std::log(sum);
    }

    std::pair<double, double> range() const override { return {-INFINITE, INFINITE}; }

  private:
    double at(std::size_t mode, std::size_t column) const {
        return table_[fortran_ ? column * modes_ + mode : mode * (1 + 2 * dims_) + column];
    }

    // The one kind of NumPy file that a mixture is in: weight, means and variances, a mode a row.
    void read(const Bytes& data) {
        static const std::regex header(
            R"re(\{'descr': '<f4', 'fortran_order': (True|False), 'shape': \((\d{1,9}), (\d{1,9})\), \} *\n)re");
        const auto refuse = [] { throw Error(EDGE_ERROR_BUNDLE, "a damaged density"); };
        if (data.size() < 10 || std::memcmp(data.data(), "\x93NUMPY\x01\x00", 8) != 0) refuse();
        const std::size_t start = std::size_t{10} + data[8] + std::size_t{256} * data[9];
        if (data.size() < start || start > LONGEST_HEADER) refuse();
        const std::string text(data.begin() + 10, data.begin() + static_cast<std::ptrdiff_t>(start));
        std::smatch found;
        if (!std::regex_match(text, found, header)) refuse();
        fortran_ = found[1] == "True";
        modes_ = std::stoul(found[2]);
        const std::size_t columns = std::stoul(found[3]);
        if (modes_ < 1 || columns < 3 || columns % 2 == 0 || (data.size() - start) % 4 != 0 ||
            (data.size() - start) / 4 / modes_ != columns || (data.size() - start) / 4 % modes_ != 0)
            refuse();
        dims_ = columns / 2;
        for (std::size_t i = start; i < data.size(); i += 4) {
            const std::uint32_t bits = std::uint32_t{data[i]} | std::uint32_t{data[i + 1]} << 8 |
                                       std::uint32_t{data[i + 2]} << 16 | std::uint32_t{data[i + 3]} << 24;
            float value;
            std::memcpy(&value, &bits, sizeof value);
            if (!std::isfinite(value)) refuse();
            table_.push_back(value);
        }
        double weights = 0;
        for (std::size_t mode = 0; mode < modes_; ++mode) {
            double spread = 0;
            for (std::size_t d = 0; d < dims_; ++d) {
                const double variance = at(mode, 1 + dims_ + d);
                if (!(variance > 0)) refuse();
                spread += std::log(2 * PI * variance);
            }
            if (!(at(mode, 0) > 0)) refuse();
            weights += at(mode, 0);
            constants_.push_back(std::log(at(mode, 0)) - 0.5 * spread);
        }
        if (std::abs(weights - 1) > 1e-4) refuse();
    }

    std::string output_;
    bool fortran_ = false;
    std::size_t modes_ = 0, dims_ = 0;
    std::vector<double> table_, constants_;
};

// Several scores, each times a weight: their sum, or the lowest of them.
class Fused : public LivenessScore {
  public:
    Fused(const Json& score, const Output& output, const Auxiliary& auxiliary) : lowest_(score.at("kind") == "lowest") {
        if (lowest_)
            require_known(score, {"kind", "members", "weights", "biases", "domains"});
        else
            require_known(score, {"kind", "members", "weights", "bias"});
        const Json& members = score.at("members");
        weights_ = score.at("weights").get<std::vector<double>>();
        biases_ = lowest_ ? score.at("biases").get<std::vector<double>>() : std::vector<double>(members.size());
        bias_ = lowest_ ? 0 : score.value("bias", 0.0);
        if (lowest_)
            for (const Json& domain : score.value("domains", Json::array()))
                if (!domain.is_null())
                    throw Error(EDGE_ERROR_UNSUPPORTED, "this library does not run scores that abstain");
        bool fine = members.size() == weights_.size() && members.size() == biases_.size() && !members.empty() &&
                    members.size() <= 64;
        for (const double weight : weights_) fine = fine && (lowest_ ? weight > 0 : true) && std::abs(weight) <= 1e9;
        if (!fine) throw Error(EDGE_ERROR_BUNDLE, "the manifest's score has other weights than members");
        for (const Json& member : members) {
            const std::string kind = member.at("kind");
            if (kind == "fusion" || kind == "lowest") throw Error(EDGE_ERROR_BUNDLE, "a score of scores of scores");
            members_.push_back(open_liveness(member, output, auxiliary));
        }
    }

    double operator()(const Tensors& tensors) const override {
        double sum = bias_, least = INFINITE;
        for (std::size_t i = 0; i < members_.size(); ++i) {
            // Members are rounded as each by itself would be.
            const double one = weights_[i] * (std::nearbyint((*members_[i])(tensors)*1e8) / 1e8) + biases_[i];
            sum += one;
            least = std::min(least, one);
        }
        return lowest_ ? least : sum;
    }

    std::pair<double, double> range() const override {
        double low = lowest_ ? INFINITE : bias_, high = low;
        for (std::size_t i = 0; i < members_.size(); ++i) {
            const auto [first, second] = members_[i]->range();
            double from = weights_[i] == 0 ? 0 : weights_[i] * first, to = weights_[i] == 0 ? 0 : weights_[i] * second;
            if (from > to) std::swap(from, to);
            from += biases_[i], to += biases_[i];
            low = lowest_ ? std::min(low, from) : low + from;
            high = lowest_ ? std::min(high, to) : high + to;
        }
        return {low, high};
    }

  private:
    bool lowest_;
    std::vector<std::unique_ptr<LivenessScore>> members_;
    std::vector<double> weights_, biases_;
    double bias_ = 0;
};

}  // namespace

std::unique_ptr<LivenessScore> open_liveness(const Json& score, const Output& output, const Auxiliary& auxiliary) {
    const std::string kind = score.at("kind");
    if (kind == "decision_head") return std::make_unique<DecisionHead>(score, output);
    if (kind == "latent_likelihood") return std::make_unique<LatentLikelihood>(score, output, auxiliary);
    if (kind == "fusion" || kind == "lowest") return std::make_unique<Fused>(score, output, auxiliary);
    throw Error(EDGE_ERROR_UNSUPPORTED, "this library does not compute the score " + kind);
}

}  // namespace edge
