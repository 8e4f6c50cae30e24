// A bundle's folder: the manifest, checked against its digest, and files, checked against the manifest, before use.
//
//     edge-sdk slice deepsign --format tflite --precision int8 --out signature-model

#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "sha256.hpp"

namespace edge {

using Json = nlohmann::json;
using Bytes = std::vector<std::uint8_t>;

inline Bytes load(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return {std::istreambuf_iterator<char>(file), {}};
}

class Bundle {
  public:
    explicit Bundle(std::filesystem::path folder) : folder_(std::move(folder)) {
        const Bytes data = load(folder_ / "manifest.json");
        const Bytes digest = load(folder_ / "manifest.sha256");
        if (std::string(digest.begin(), digest.end()) != sha256(data) + "  manifest.json\n")
            throw std::runtime_error("manifest.json is damaged: its SHA-256 is not that in manifest.sha256");
        manifest_ = Json::parse(data.begin(), data.end());
        if (manifest_.at("schema_version") != 1)
            throw std::runtime_error(
                "this program reads manifests of version 1: update it, or export the bundle again");
        if (manifest_.at("graphs").size() != 1 || graph().at("inputs").size() != 1)
            throw std::runtime_error("this program runs one graph of one picture; the bundle has others");
    }

    // Throw unless the bundle has this kind of score.
    void require(const std::string& kind) const {
        if (manifest_.at("score").at("kind") != kind)
            throw std::runtime_error(manifest_.at("name").get<std::string>() + " has no score of kind " + kind);
    }

    const Json& manifest() const { return manifest_; }
    const Json& preprocessing() const { return manifest_.at("preprocessing"); }
    const Json& graph() const { return manifest_.at("graphs").at(0); }
    const Json& input() const { return graph().at("inputs").at(0); }

    // The output that is scored, by its name in the graph: the manifest says "model.embedding".
    std::string output() const {
        const std::string name = manifest_.at("score").at("output");
        return name.substr(name.find('.') + 1);
    }

    // The names of all outputs.
    std::vector<std::string> outputs() const {
        std::vector<std::string> names;
        for (const Json& output : graph().at("outputs")) names.push_back(output.at("name"));
        return names;
    }

    // The threshold of an operating point for an enrolment of so many references: of those that were measured with as
    // many or fewer the nearest, else the one of the fewest. Throws where the variant has none of that name.
    static double threshold(const Json& variant, const std::string& name, int references = 1) {
        const Json* found = nullptr;
        std::string reason;
        const auto rank = [references](const Json& point) {
            const int measured = point.value("references", 1);
            return measured <= references ? measured : -measured;
        };
        for (const Json& point : variant.at("operating_points")) {
            if (point.at("name") != name) continue;
            if (point.at("kind") == "unsupported") {
                reason = point.at("reason");
                continue;
            }
            if (!found || rank(point) > rank(*found)) found = &point;
        }
        if (found) return found->at("threshold");
        if (!reason.empty()) throw std::runtime_error("no threshold for " + name + ": " + reason);
        throw std::runtime_error("the variant has no operating point " + name);
    }

    // The only variant of that format: a slice for an application has one.
    const Json& variant(const std::string& format) const {
        const Json* found = nullptr;
        for (const Json& variant : manifest_.at("variants")) {
            if (variant.at("format") != format) continue;
            if (found) throw std::runtime_error("several " + format + " variants: slice the bundle by precision too");
            found = &variant;
        }
        if (!found) throw std::runtime_error("the bundle has no " + format + " variant");
        return *found;
    }

    // The model file of a variant, checked.
    Bytes model(const Json& variant) const { return read(graph().at("files").at(id(variant))); }

    // Precision and format, such as "int8.tflite".
    static std::string id(const Json& variant) {
        return variant.at("precision").get<std::string>() + "." + variant.at("format").get<std::string>();
    }

    // The bytes of an auxiliary file, checked.
    Bytes auxiliary(const std::string& path) const {
        for (const Json& file : manifest_.at("auxiliary"))
            if (file.at("path") == path) return read(file);
        throw std::runtime_error("the bundle has no file " + path);
    }

    // The bytes of a file entry, checked.
    Bytes read(const Json& file) const {
        const std::string path = file.at("path");
        Bytes data = load(folder_ / path);
        if (sha256(data) != file.at("sha256")) throw std::runtime_error(path + " is damaged: its SHA-256 is another");
        return data;
    }

  private:
    std::filesystem::path folder_;
    Json manifest_;
};

}  // namespace edge
