// A bundle: the manifest, checked against its digest, and files, checked against the manifest, before use.

#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine.hpp"
#include "json.hpp"
#include "signing.hpp"
#include "store.hpp"

namespace edge {

// An operating point: what decides about enrolments of so many references.
struct Threshold {
    std::string name;
    double value = 0;
    int references = 0;  // with how many it was measured; 0 for one of the application's own
};

// What a bundle must be to be opened; all may be empty.
struct Trust {
    std::string manifest_sha256;    // 64 hex digits
    std::vector<std::string> keys;  // Ed25519 public keys in PEM, of which one has to have signed
    SignatureCheck verify_ed25519;  // where there are keys
    std::string minimum_version;
};

class Bundle {
  public:
    // path: a folder or a .edge file.
    //
    // Throws Error: EDGE_ERROR_INTEGRITY, EDGE_ERROR_SIGNATURE, EDGE_ERROR_ROLLBACK, EDGE_ERROR_BUNDLE, or
    // EDGE_ERROR_UNSUPPORTED for a sound bundle that this library cannot run.
    Bundle(const std::filesystem::path& path, const Trust& trust);

    const Json& manifest() const { return manifest_; }
    const std::string& sha256() const { return sha256_; }
    const std::string& name() const { return name_; }
    std::string version() const { return manifest_.at("version"); }
    std::string task() const { return manifest_.at("task"); }
    std::string modality() const { return manifest_.at("modality"); }
    const Json& preprocessing() const { return manifest_.at("preprocessing"); }
    const Json& score() const { return manifest_.at("score"); }

    // A part of source, such as "alignment"; null where the manifest has none.
    Json source(const char* part) const { return manifest_.at("source").value(part, Json()); }

    // The graph, its input and outputs, with a batch of 1.
    GraphSpec graph() const;

    // The name in the graph of an output that the manifest calls "model.embedding"; throws unless it is there.
    std::string output(const std::string& name) const;

    // The id of a variant that an engine here runs; wanted: an id, or empty for the preferred one.
    std::string choose(const std::string& wanted) const;

    // The model file of a variant, checked.
    Bytes model(const std::string& variant) const { return read(graph_json().at("files").at(variant)); }

    // What the model file of a variant must hash to.
    std::string model_sha256(const std::string& variant) const {
        return graph_json().at("files").at(variant).at("sha256");
    }

    // The points of that name, or the default one, the fewest references first; throws where there are none.
    std::vector<Threshold> points(const std::string& variant, const std::string& name) const;

    // The bytes of an auxiliary file, checked.
    Bytes auxiliary(const std::string& path) const;

    // The bytes of a file entry, checked.
    Bytes read(const Json& file) const;

  private:
    const Json& graph_json() const { return manifest_.at("graphs").at(0); }
    const Json& variant(const std::string& id) const;

    std::unique_ptr<const Store> store_;
    Json manifest_;
    std::string sha256_, name_;
};

// Precision and format, such as "int8.tflite".
std::string variant_id(const Json& variant);

// The point that decides about so many references: the nearest that was measured with as many or fewer, else the first.
const Threshold& point_for(const std::vector<Threshold>& points, std::size_t references);

}  // namespace edge
