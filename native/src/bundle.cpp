#include "bundle.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "error.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

constexpr std::size_t MOST_MANIFEST_BYTES = std::size_t{4} << 20;
constexpr int MOST_FILE_BYTES = 512 << 20, MOST_ELEMENTS = 1 << 26;

std::vector<std::int64_t> shape_of(const Json& tensor) {
    std::vector<std::int64_t> shape;
    std::int64_t elements = 1;
    for (const Json& side : tensor.at("shape")) {
        shape.push_back(side.is_string() ? 1 : whole(side, 1, MOST_ELEMENTS, "shape of a tensor"));
        if ((elements *= shape.back()) > MOST_ELEMENTS) throw Error(EDGE_ERROR_BUNDLE, "a tensor that is too large");
    }
    if (shape.empty() || shape[0] != 1) throw Error(EDGE_ERROR_BUNDLE, "a tensor without a batch");
    return shape;
}

}  // namespace

std::string variant_id(const Json& variant) {
    return variant.at("precision").get<std::string>() + "." + variant.at("format").get<std::string>();
}

const Threshold& point_for(const std::vector<Threshold>& points, std::size_t references) {
    for (auto at = points.rbegin(); at != points.rend(); ++at)
        if (static_cast<std::size_t>(at->references) <= references) return *at;
    return points.front();
}

Bundle::Bundle(const std::filesystem::path& path, const Trust& trust) : store_(open_store(path)) {
    const Bytes data = store_->read("manifest.json", MOST_MANIFEST_BYTES);
    const Bytes digest = store_->read("manifest.sha256", 200);
    sha256_ = sha256_hex(data);
    if (std::string(digest.begin(), digest.end()) != sha256_ + "  manifest.json\n")
        throw Error(EDGE_ERROR_INTEGRITY, "manifest.json is damaged: its SHA-256 is not that in manifest.sha256");
    if (!trust.manifest_sha256.empty() && lower_case(trust.manifest_sha256) != sha256_)
        throw Error(EDGE_ERROR_INTEGRITY, "the manifest has the SHA-256 " + sha256_ + ", not the one asked for");
    if (!trust.keys.empty()) {
        if (!store_->has("signature.json"))
            throw Error(EDGE_ERROR_SIGNATURE,
                        "there is no signature in " + path.u8string() + ": get a signed bundle from its maker");
        const Bytes signature = store_->read("signature.json", MOST_SIGNATURE_BYTES, EDGE_ERROR_SIGNATURE);
        check_signature(signature, edge::sha256(data.data(), data.size()), trust.keys, trust.verify_ed25519);
    }
    manifest_ = parse_json(data);
    if (manifest_.at("schema_version") != 1)
        throw Error(EDGE_ERROR_UNSUPPORTED,
                    "this library reads manifests of version 1: update it, or export the bundle again");
    name_ = manifest_.at("name");
    if (!trust.minimum_version.empty()) check_version(version(), trust.minimum_version);
    const std::string what = modality();
    if (what != "signature" && what != "face")
        throw Error(EDGE_ERROR_UNSUPPORTED, name_ + " is of modality " + what + ", which this library does not have");
    if (manifest_.at("graphs").size() != 1 || graph_json().at("inputs").size() != 1)
        throw Error(EDGE_ERROR_UNSUPPORTED, name_ + " has several graphs or inputs, which this library does not run");
    graph();
}

GraphSpec Bundle::graph() const {
    const auto spec = [](const Json& tensor) -> TensorSpec {
        if (tensor.value("dtype", "float32") != "float32")
            throw Error(EDGE_ERROR_UNSUPPORTED, "a tensor that is not of float32");
        return {tensor.at("name"), shape_of(tensor)};
    };
    GraphSpec graph{spec(graph_json().at("inputs").at(0)), {}};
    for (const Json& output : graph_json().at("outputs")) graph.outputs.push_back(spec(output));
    if (graph.input.shape.size() != 4) throw Error(EDGE_ERROR_UNSUPPORTED, "an input that is no picture");
    return graph;
}

std::string Bundle::output(const std::string& name) const {
    const std::string graph = graph_json().at("name").get<std::string>() + ".";
    if (name.rfind(graph, 0) == 0)
        for (const Json& output : graph_json().at("outputs"))
            if (output.at("name") == name.substr(graph.size())) return output.at("name");
    throw Error(EDGE_ERROR_BUNDLE, "the manifest's score is of " + name + ", which no graph gives");
}

const Json& Bundle::variant(const std::string& id) const {
    for (const Json& variant : manifest_.at("variants"))
        if (variant_id(variant) == id) return variant;
    throw Error(EDGE_ERROR_BUNDLE, name_ + " has no variant " + id);
}

std::string Bundle::choose(const std::string& wanted) const {
    std::vector<std::string> there, runs;
    for (const Json& variant : manifest_.at("variants")) {
        there.push_back(variant_id(variant));
        if (!engine_for(variant.at("format")).empty()) runs.push_back(there.back());
    }
    if (!wanted.empty()) {
        if (engine_for(variant(wanted).at("format")).empty())
            throw Error(EDGE_ERROR_ENGINE, "no engine in this library runs " + wanted);
        return wanted;
    }
    for (const char* preferred : {"int8.onnx", "int8.tflite", "fp32.onnx", "fp32.tflite"})
        if (std::find(runs.begin(), runs.end(), preferred) != runs.end()) return preferred;
    if (runs.empty()) throw Error(EDGE_ERROR_ENGINE, "no engine in this library runs any variant of " + name_);
    return runs.front();
}

std::vector<Threshold> Bundle::points(const std::string& id, const std::string& name) const {
    const Json& fallback = manifest_.value("default_point", Json());
    if (name.empty() && !fallback.is_string())
        throw Error(EDGE_ERROR_OPERATING_POINT, name_ + " has no default operating point: name one");
    const std::string wanted = name.empty() ? fallback.get<std::string>() : name;
    std::vector<Threshold> found;
    std::set<int> counts;
    std::string reason;
    for (const Json& point : variant(id).at("operating_points")) {
        if (point.at("name") != wanted) continue;
        const int references = whole(point.value("references", Json(1)), 1, std::numeric_limits<int>::max(),
                                     "count of references of an operating point");
        if (!counts.insert(references).second)
            throw Error(EDGE_ERROR_BUNDLE, "an operating point that is there twice");
        if (point.at("kind") == "unsupported") {
            reason = ": " + point.at("reason").get<std::string>();
            continue;
        }
        found.push_back({wanted, point.at("threshold"), references});
        if (!std::isfinite(found.back().value))
            throw Error(EDGE_ERROR_BUNDLE, "an operating point without a threshold");
    }
    if (found.empty())
        throw Error(EDGE_ERROR_OPERATING_POINT, id + " of " + name_ + " has no threshold for " + wanted + reason);
    std::sort(found.begin(), found.end(),
              [](const Threshold& a, const Threshold& b) { return a.references < b.references; });
    return found;
}

Bytes Bundle::auxiliary(const std::string& path) const {
    for (const Json& file : manifest_.at("auxiliary"))
        if (file.at("path") == path) return read(file);
    throw Error(EDGE_ERROR_BUNDLE, "the manifest's score needs a file that the bundle has not");
}

Bytes Bundle::read(const Json& file) const {
    const std::string path = file.at("path");
    const auto size = static_cast<std::size_t>(whole(file.at("size"), 0, MOST_FILE_BYTES, "size of " + path));
    Bytes data = store_->read(path, size);
    if (data.size() != size || sha256_hex(data) != file.at("sha256"))
        throw Error(EDGE_ERROR_INTEGRITY, path + " is damaged: its size or SHA-256 is not that of the manifest");
    return data;
}

}  // namespace edge
