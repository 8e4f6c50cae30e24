// How alike are one person's references and a query? Higher is more genuine, in [0, 1].
//
// edge_sdk/scoring/embedding.py and person_model.py.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "json.hpp"

namespace edge {

using Embedding = std::vector<float>;  // as the network gives it

struct Compared {
    double score = 0;  // in [0, 1]
    double raw = 0;    // in the model's own unit
};

// What a person's references were made into, ready to be compared with queries.
class Person {
  public:
    Person() = default;
    Person(const Person&) = delete;
    Person& operator=(const Person&) = delete;
    virtual ~Person() = default;

    // Throws Error(EDGE_ERROR_ENGINE) for a query that cannot be scored.
    virtual Compared compare(const Embedding& query) const = 0;
};

// The manifest's score of task verify.
class Comparison {
  public:
    Comparison() = default;
    Comparison(const Comparison&) = delete;
    Comparison& operator=(const Comparison&) = delete;
    virtual ~Comparison() = default;

    // Throws Error(EDGE_ERROR_TEMPLATE) for references that cannot be compared: none, of another length, not finite.
    virtual std::unique_ptr<Person> person(const std::vector<Embedding>& references) const = 0;

    // Of a picture that must not be compared.
    virtual Compared worst() const = 0;
};

// A model of a person takes time with the cube of the references. Updating adds as many as were enrolled.
constexpr std::size_t MOST_ENROLLED = 500, MOST_REFERENCES = 2 * MOST_ENROLLED;

// References of length 1; throws Error(EDGE_ERROR_TEMPLATE) where they are none, too many, or no embeddings.
std::vector<std::vector<double>> unit_rows(const std::vector<Embedding>& references);

// auxiliary: reads a file of the bundle, checked.
std::unique_ptr<Comparison> open_comparison(const Json& score,
                                            const std::function<Bytes(const std::string&)>& auxiliary);

// Length 1, for embeddings that have a direction. Throws std::domain_error for one that is not finite or all zero: it
// must never match anything.
std::vector<double> normalised(const Embedding& embedding);

}  // namespace edge
