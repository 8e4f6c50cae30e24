// The score person_model: the likelihood ratio of one person's model and everybody's.
//
// edge_sdk/scoring/person_model.py says what is computed, edge_sdk/scoring/background.py what the file holds.

#pragma once

#include <memory>
#include <vector>

#include "comparison.hpp"

namespace edge {

using Row = std::vector<double>;

// A lower triangle, whose values lie row by row.
class Triangle {
  public:
    explicit Triangle(Row values) : values_(std::move(values)) {}

    // row L
    Row times(const Row& row) const;

  private:
    Row values_;
};

// Everybody: means and scatters over training people.
struct Background {
    // data: the auxiliary file that the score names; throws Error(EDGE_ERROR_BUNDLE).
    explicit Background(const Bytes& data);

    std::size_t size() const { return mean.size(); }

    // A unit embedding where one person's vary alike in all directions.
    Row within(const Row& unit) const;

    // Half the logarithm of the squared distance of a unit embedding from everybody, per value.
    double unusual(const Row& unit) const;

    // The logarithm of the likelihood ratio.
    double ratio(double distance, double level, double unusual) const;

    double scatter = 0, widest = 0, slope = 0, offset = 0;
    Row mean;
    std::vector<Triangle> triangles;  // within, everybody
};

class PersonModel : public Comparison {
  public:
    explicit PersonModel(const Bytes& background) : everybody_(std::make_shared<Background>(background)) {}

    std::unique_ptr<Person> person(const std::vector<Embedding>& references) const override;
    Compared worst() const override;

  private:
    std::shared_ptr<const Background> everybody_;
};

}  // namespace edge
