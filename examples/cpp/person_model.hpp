// The score person_model of one reference; edge_sdk/scoring/background.py says what its file holds.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace edge {

// The file is little-endian, as the devices are that these programs are for.
class PersonModel {
  public:
    // data: the auxiliary file that the score names, as Bundle::read checked it.
    explicit PersonModel(const Bytes& data) {
        static const std::string magic = "EDGE-BACKGROUND-1\n";
        const std::string start(data.begin(), data.begin() + std::min(data.size(), magic.size()));
        if (start != magic) throw std::runtime_error("the background is damaged");
        std::size_t at = magic.size();
        const auto take = [&](auto& value) {
            if (data.size() - at < sizeof value) throw std::runtime_error("the background is cut off");
            std::memcpy(&value, data.data() + at, sizeof value);
            at += sizeof value;
        };
        std::uint16_t size = 0, width = 0;
        std::uint32_t people = 0;
        take(size), take(width), take(people);
        take(scatter_), take(widest_), take(slope_), take(offset_);
        std::vector<float> row(size);
        for (float& value : row) take(value);
        mean_.assign(row.begin(), row.end());
        for (std::vector<double>* triangle : {&within_, &everybody_}) {
            for (float& scale : row) take(scale);
            for (std::size_t i = 0; i < size; ++i)
                for (std::size_t j = 0; j <= i; ++j) {
                    std::int16_t wide = 0;
                    std::int8_t narrow = 0;
                    if (width == 2) take(wide); else take(narrow), wide = narrow;
                    triangle->push_back(wide * static_cast<double>(row[j]));
                }
        }
        if (at != data.size() || size == 0) throw std::runtime_error("the background is damaged");
    }

    // Of unit embeddings, a reference and a query; rounded to eight decimals as the thresholds were measured.
    double score(const std::vector<double>& reference, const std::vector<double>& query) const {
        if (reference.size() != mean_.size() || query.size() != mean_.size())
            throw std::runtime_error("embeddings of another size than the background's");
        const double count = static_cast<double>(mean_.size());
        std::vector<double> between(mean_.size()), away(mean_.size());
        for (std::size_t i = 0; i < mean_.size(); ++i) {
            between[i] = query[i] - reference[i];
            away[i] = query[i] - mean_[i];
        }
        const double distance = std::max(squares(within_, between) / (2 * count), 1e-12);
        const double unusual = std::max(squares(everybody_, away) / count, 1e-12);
        const double variance = std::min(scatter_, widest_);
        const double ratio = offset_ + slope_ * (std::log(variance * unusual) / 2 - std::log(distance));
        if (!std::isfinite(ratio)) throw std::runtime_error("a score that is not finite");
        return std::nearbyint(1e8 / (1 + std::exp(-std::clamp(ratio, -30.0, 30.0)))) / 1e8;
    }

  private:
    // The squared length of a row times a lower triangle, whose values lie row by row.
    static double squares(const std::vector<double>& triangle, const std::vector<double>& row) {
        std::vector<double> sums(row.size());
        std::size_t at = 0;
        for (std::size_t i = 0; i < row.size(); ++i)
            for (std::size_t j = 0; j <= i; ++j) sums[j] += row[i] * triangle[at++];
        double total = 0;
        for (const double sum : sums) total += sum * sum;
        return total;
    }

    double scatter_ = 0, widest_ = 0, slope_ = 0, offset_ = 0;
    std::vector<double> mean_, within_, everybody_;
};

}  // namespace edge
