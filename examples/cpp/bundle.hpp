// A bundle's folder: the manifest, and files whose bytes are checked against it before anybody uses them.
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
        manifest_ = Json::parse(data.begin(), data.end());
        if (manifest_.at("schema_version") != 1)
            throw std::runtime_error(
                "this program reads manifests of version 1: update it, or export the bundle again");
        if (manifest_.at("score").at("kind") != "embedding_distance" || manifest_.at("inputs").size() != 1)
            throw std::runtime_error("this program compares embeddings of one picture; the bundle does something else");
    }

    const Json& manifest() const { return manifest_; }
    const Json& input() const { return manifest_.at("inputs").at(0); }

    // The only artifact of that format: a slice for an application has one.
    const Json& artifact(const std::string& format) const {
        const Json* found = nullptr;
        for (const Json& artifact : manifest_.at("artifacts")) {
            if (artifact.at("format") != format) continue;
            if (found) throw std::runtime_error("several " + format + " artifacts: slice the bundle by precision too");
            found = &artifact;
        }
        if (!found) throw std::runtime_error("the bundle has no " + format + " artifact");
        return *found;
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
