#include "comparison.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "error.hpp"
#include "person_model.hpp"

namespace edge {

namespace {

using Unit = std::vector<double>;

double rounded(double value) { return std::nearbyint(value * 1e6) / 1e6; }

// A distance or cosine, rounded to six decimals as the thresholds were measured: int8 scores tie often, and a tie must
// decide alike.
class Metric {
  public:
    explicit Metric(const std::string& name) : euclidean_(name == "euclidean") {
        if (!euclidean_ && name != "cosine") throw Error(EDGE_ERROR_BUNDLE, "the manifest's score has no such metric");
    }

    Compared operator()(const Unit& first, const Unit& second) const {
        double cosine = 0;
        for (std::size_t i = 0; i < first.size(); ++i) cosine += first[i] * second[i];
        cosine = std::clamp(cosine, -1.0, 1.0);
        const double raw = rounded(euclidean_ ? std::sqrt(2 - 2 * cosine) : cosine);
        return {euclidean_ ? 1 - raw / 2 : (1 + raw) / 2, raw};
    }

    Compared worst() const { return {0, euclidean_ ? 2.0 : -1.0}; }

  private:
    bool euclidean_;
};

class References : public Person {
  public:
    References(std::vector<Unit> units, Metric metric, bool best)
        : units_(std::move(units)), metric_(metric), best_(best) {}

    Compared compare(const Embedding& query) const override {
        if (query.size() != units_.front().size()) throw Error(EDGE_ERROR_ENGINE, "embeddings of different lengths");
        const Unit unit = normalised(query);
        Compared mean, best = metric_.worst();
        for (const Unit& reference : units_) {
            const Compared one = metric_(reference, unit);
            mean.score += one.score / static_cast<double>(units_.size());
            mean.raw += one.raw / static_cast<double>(units_.size());
            if (one.score > best.score) best = one;
        }
        return units_.size() == 1 ? metric_(units_.front(), unit) : best_ ? best : mean;
    }

  private:
    std::vector<Unit> units_;
    Metric metric_;
    bool best_;
};

class EmbeddingDistance : public Comparison {
  public:
    explicit EmbeddingDistance(const Json& score)
        : metric_(score.at("metric").get<std::string>()), rule_(score.value("references", "mean_score")) {
        require_known(score, {"kind", "output", "metric", "references"});
        if (rule_ != "mean_score" && rule_ != "max_score" && rule_ != "mean_embedding")
            throw Error(EDGE_ERROR_BUNDLE, "the manifest's score combines references by no rule that there is");
    }

    std::unique_ptr<Person> person(const std::vector<Embedding>& references) const override {
        std::vector<Unit> units = unit_rows(references);
        if (rule_ == "mean_embedding") {
            Embedding mean;  // in single precision, as edge_sdk has it
            for (const double value : mean_direction(units)) mean.push_back(static_cast<float>(value));
            units = {normalised(mean)};
        }
        return std::make_unique<References>(std::move(units), metric_, rule_ == "max_score");
    }

    Compared worst() const override { return metric_.worst(); }

  private:
    static Unit mean_direction(const std::vector<Unit>& units) {
        Unit mean(units.front().size());
        for (const Unit& unit : units)
            for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += unit[i] / static_cast<double>(units.size());
        double squares = 0;
        for (double& value : mean) value = std::nearbyint(value * 1e12) / 1e12, squares += value * value;
        if (!(squares > 0)) throw Error(EDGE_ERROR_TEMPLATE, "references that are opposite to each other");
        for (double& value : mean) value /= std::sqrt(squares);
        return mean;
    }

    Metric metric_;
    std::string rule_;
};

}  // namespace

std::vector<double> normalised(const Embedding& embedding) {
    std::vector<double> unit(embedding.begin(), embedding.end());
    double largest = 0, squares = 0;
    for (const double value : unit) {
        if (!std::isfinite(value)) throw std::domain_error("an embedding that is not finite");
        largest = std::max(largest, std::abs(value));
    }
    if (!(largest > 0)) throw std::domain_error("an embedding that is all zero: it has no direction");
    for (double& value : unit) value /= largest, squares += value * value;  // tiny and huge values survive squaring
    for (double& value : unit) value /= std::sqrt(squares);
    return unit;
}

std::vector<std::vector<double>> unit_rows(const std::vector<Embedding>& references) {
    if (references.empty() || references.size() > MOST_REFERENCES)
        throw Error(EDGE_ERROR_TEMPLATE, "a template is of 1 to " + std::to_string(MOST_REFERENCES) + " references");
    std::vector<Unit> units;
    for (const Embedding& reference : references) {
        if (reference.size() != references.front().size())
            throw Error(EDGE_ERROR_TEMPLATE, "embeddings of different lengths");
        try {
            units.push_back(normalised(reference));
        } catch (const std::domain_error& error) {
            throw Error(EDGE_ERROR_TEMPLATE, error.what());
        }
    }
    return units;
}

std::unique_ptr<Comparison> open_comparison(const Json& score,
                                            const std::function<Bytes(const std::string&)>& auxiliary) {
    const std::string kind = score.at("kind");
    if (kind == "embedding_distance") return std::make_unique<EmbeddingDistance>(score);
    if (kind == "person_model") {
        require_known(score, {"kind", "output", "background"});
        return std::make_unique<PersonModel>(auxiliary(score.at("background")));
    }
    throw Error(EDGE_ERROR_UNSUPPORTED, "this library does not compare people by the score " + kind);
}

}  // namespace edge
