#include "person_model.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "error.hpp"

namespace edge {

namespace {

constexpr double SHAPE = 100, STRANGER = -1, REPEATED = 0.1, LIMIT = 30, LEAST = 1e-12;
constexpr std::size_t LONGEST = 300, MOST_BYTES = 100'000;

double squares(const Row& row) {
    double sum = 0;
    for (const double value : row) sum += value * value;
    return sum;
}

double product(const Row& a, const Row& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

Row difference(const Row& a, const Row& b) {
    Row out(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) out[i] = a[i] - b[i];
    return out;
}

Row mean_of(const std::vector<Row>& rows) {
    Row mean(rows.front().size());
    for (const Row& row : rows)
        for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += row[i];
    for (double& value : mean) value /= static_cast<double>(rows.size());
    return mean;
}

// Values of a little-endian file, one after the other.
class Reader {
  public:
    explicit Reader(const Bytes& data, std::size_t at) : data_(data), at_(at) {}

    std::uint64_t whole(std::size_t bytes) {
        if (data_.size() - at_ < bytes) throw Error(EDGE_ERROR_BUNDLE, "the background is cut off");
        std::uint64_t value = 0;
        for (std::size_t i = bytes; i-- > 0;) value = value << 8 | data_[at_ + i];
        at_ += bytes;
        return value;
    }

    float single() {
        const auto bits = static_cast<std::uint32_t>(whole(4));
        float value;
        std::memcpy(&value, &bits, sizeof value);
        return finite(value);
    }

    double real() {
        const std::uint64_t bits = whole(8);
        double value;
        std::memcpy(&value, &bits, sizeof value);
        return finite(value);
    }

    bool done() const { return at_ == data_.size(); }

  private:
    template <typename Real>
    static Real finite(Real value) {
        if (!std::isfinite(value)) throw Error(EDGE_ERROR_BUNDLE, "the background is not finite");
        return value;
    }

    const Bytes& data_;
    std::size_t at_;
};

double variance(double spread, std::size_t count, const Background& everybody) {
    return std::min((spread + everybody.scatter) / static_cast<double>(count), everybody.widest);
}

// The model of one person, in the space where one person's embeddings vary alike in all directions.
class FittedPerson : public Person {
  public:
    FittedPerson(std::vector<Row> unit, std::shared_ptr<const Background> everybody)
        : everybody_(std::move(everybody)) {
        std::vector<Row> rows;
        for (const Row& one : unit) rows.push_back(everybody_->within(one));
        leave_out_repeats(unit, rows);
        if (rows.size() > 2) leave_out_stranger(unit, rows);
        const std::size_t count = rows.size();
        mean_ = mean_of(rows);
        widening_ = 1 + 1 / static_cast<double>(count);
        std::vector<Row> away;
        double spread = 0;
        for (const Row& row : rows) {
            away.push_back(difference(row, mean_));
            spread += squares(away.back());
        }
        const double own = variance(spread / static_cast<double>(mean_.size()), count, *everybody_);
        level_ = 0.5 * std::log(own);
        if (count > 1) directions_ = directions(std::move(away), SHAPE * own);
    }

    Compared compare(const Embedding& query) const override {
        if (query.size() != everybody_->size()) throw Error(EDGE_ERROR_ENGINE, "an embedding of another length");
        const Row unit = normalised(query), away = difference(everybody_->within(unit), mean_);
        double distance = squares(away);
        for (const Row& direction : directions_) distance -= std::pow(product(away, direction), 2);
        distance /= static_cast<double>(away.size()) * widening_;
        const double ratio = everybody_->ratio(distance, level_, everybody_->unusual(unit));
        return {std::nearbyint(1e8 / (1 + std::exp(-ratio))) / 1e8, std::nearbyint(ratio * 1e6) / 1e6};
    }

  private:
    // Of samples that repeat an earlier one, or nearly, only the first counts: else a person would seem not to vary.
    void leave_out_repeats(std::vector<Row>& unit, std::vector<Row>& rows) const {
        std::vector<Row> kept_unit, kept;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const bool repeats = std::any_of(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(i),
                                             [&](const Row& earlier) {
                                                 return squares(difference(rows[i], earlier)) /
                                                            static_cast<double>(rows[i].size()) <
                                                        2 * REPEATED * everybody_->scatter;
                                             });
            if (repeats) continue;
            kept_unit.push_back(unit[i]);
            kept.push_back(rows[i]);
        }
        unit = std::move(kept_unit), rows = std::move(kept);
    }

    // The farthest reference takes no part where the others' model says that it may be somebody else's.
    void leave_out_stranger(const std::vector<Row>& unit, std::vector<Row>& rows) const {
        const Row mean = mean_of(rows);
        const auto count = static_cast<double>(rows.size()), dims = static_cast<double>(mean.size());
        Row spread;
        for (const Row& row : rows) spread.push_back(squares(difference(row, mean)) / dims);
        const auto farthest = std::max_element(spread.begin(), spread.end());
        const auto at = farthest - spread.begin();
        const double distance = *farthest * count / (count - 1);  // from the mean of the others, over 1 + 1/(n - 1)
        double sum = -distance;
        for (const double one : spread) sum += one;
        const double others = variance(sum, rows.size() - 1, *everybody_);
        const double unusual = everybody_->unusual(unit[static_cast<std::size_t>(at)]);
        if (everybody_->ratio(distance, 0.5 * std::log(others), unusual) < STRANGER) rows.erase(rows.begin() + at);
    }

    // Woodbury: the inverse of SHAPE s I + away' away, but for its scale, is I less these directions' squares. They are
    // the inverse of a Cholesky factor times away, by forward substitution.
    static std::vector<Row> directions(std::vector<Row> away, double shape) {
        const std::size_t count = away.size();
        std::vector<Row> factor(count, Row(count));
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j <= i; ++j) factor[i][j] = product(away[i], away[j]) + (i == j ? shape : 0);
        for (std::size_t j = 0; j < count; ++j) {
            for (std::size_t k = 0; k < j; ++k)
                for (std::size_t i = j; i < count; ++i) factor[i][j] -= factor[i][k] * factor[j][k];
            factor[j][j] = std::sqrt(factor[j][j]);
            for (std::size_t i = j + 1; i < count; ++i) factor[i][j] /= factor[j][j];
        }
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t k = 0; k < i; ++k)
                for (std::size_t d = 0; d < away[i].size(); ++d) away[i][d] -= factor[i][k] * away[k][d];
            for (double& value : away[i]) value /= factor[i][i];
        }
        return away;
    }

    std::shared_ptr<const Background> everybody_;
    Row mean_;
    std::vector<Row> directions_;
    double widening_ = 2, level_ = 0;
};

}  // namespace

Row Triangle::times(const Row& row) const {
    Row sums(row.size());
    std::size_t at = 0;
    for (std::size_t i = 0; i < row.size(); ++i)
        for (std::size_t j = 0; j <= i; ++j) sums[j] += row[i] * values_[at++];
    return sums;
}

Background::Background(const Bytes& data) {
    static const std::string magic = "EDGE-BACKGROUND-1\n";
    const bool begins = data.size() >= magic.size() && std::memcmp(data.data(), magic.data(), magic.size()) == 0;
    if (!begins || data.size() > MOST_BYTES)
        throw Error(EDGE_ERROR_BUNDLE, "the background is none");
    Reader reader(data, magic.size());
    const auto dims = static_cast<std::size_t>(reader.whole(2));
    const std::uint64_t width = reader.whole(2), people = reader.whole(4);
    if (dims < 2 || dims > LONGEST || (width != 1 && width != 2) || people < 1)
        throw Error(EDGE_ERROR_BUNDLE, "the background is of no length that there is");
    for (double* number : {&scatter, &widest, &slope, &offset}) *number = reader.real();
    for (std::size_t i = 0; i < dims; ++i) mean.push_back(reader.single());
    bool positive = std::min({scatter, widest, slope}) > 0;
    for (int triangle = 0; triangle < 2; ++triangle) {
        Row scales, values;
        for (std::size_t i = 0; i < dims; ++i) scales.push_back(reader.single());
        for (std::size_t i = 0; i < dims; ++i)
            for (std::size_t j = 0; j <= i; ++j) {
                const auto bits = reader.whole(static_cast<std::size_t>(width));
                const int whole = width == 2 ? static_cast<std::int16_t>(bits) : static_cast<std::int8_t>(bits);
                values.push_back(whole * scales[j]);
            }
        for (std::size_t i = 0; i < dims; ++i) positive = positive && values[i * (i + 3) / 2] > 0;
        triangles.emplace_back(std::move(values));
    }
    if (!reader.done() || !positive) throw Error(EDGE_ERROR_BUNDLE, "the background is damaged");
}

Row Background::within(const Row& unit) const { return triangles[0].times(difference(unit, mean)); }

double Background::unusual(const Row& unit) const {
    const double away = squares(triangles[1].times(difference(unit, mean))) / static_cast<double>(size());
    return 0.5 * std::log(std::max(away, LEAST));
}

double Background::ratio(double distance, double level, double unusual) const {
    const double found = offset + slope * (level + unusual - std::log(std::max(distance, LEAST)));
    return std::clamp(found, -LIMIT, LIMIT);
}

std::unique_ptr<Person> PersonModel::person(const std::vector<Embedding>& references) const {
    std::vector<Row> units = unit_rows(references);
    if (units.front().size() != everybody_->size())
        throw Error(EDGE_ERROR_TEMPLATE, "embeddings of another length than the background's");
    return std::make_unique<FittedPerson>(std::move(units), everybody_);
}

Compared PersonModel::worst() const { return {0, -LIMIT}; }

}  // namespace edge
