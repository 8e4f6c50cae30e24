// Parts of the library that tests compare with Python's one by one, and sessions on an engine that says what it is
// told.

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "comparison.hpp"
#include "edge_sdk.h"
#include "error.hpp"
#include "faces.hpp"
#include "images.hpp"
#include "liveness.hpp"
#include "preprocess.hpp"
#include "session.hpp"
#include "signature.hpp"

namespace {

using edge::Json;

thread_local std::string said;

template <typename Call>
edge_status told(Call call) {
    try {
        said.clear();
        call();
        return EDGE_OK;
    } catch (const edge::Error& error) {
        said = error.what();
        return error.status();
    } catch (const std::exception& error) {
        said = error.what();
        return EDGE_ERROR_INTERNAL;
    }
}

edge::Tensors tensors_of(const char* text) {
    edge::Tensors tensors;
    const Json outputs = Json::parse(text);
    for (const auto& [name, tensor] : outputs.items())
        tensors[name] = {tensor.at("shape").get<std::vector<std::int64_t>>(), {}};
    for (const auto& [name, tensor] : outputs.items())
        for (const Json& value : tensor.at("values"))  // null stands for NaN
            tensors[name].values.push_back(value.is_null() ? std::numeric_limits<float>::quiet_NaN()
                                                           : value.get<float>());
    return tensors;
}

void give(const edge::Tensor& tensor, float* out, size_t capacity) {
    if (tensor.values.size() != capacity)
        throw edge::Error(EDGE_ERROR_BUFFER, std::to_string(tensor.values.size()) + " values");
    std::copy(tensor.values.begin(), tensor.values.end(), out);
}

// Gives the same outputs for every picture; throws without any.
class Scripted : public edge::Engine {
  public:
    explicit Scripted(edge::Tensors outputs) : outputs_(std::move(outputs)) {}

    edge::Tensors run(const edge::Tensor&) override {
        if (outputs_.empty()) throw std::runtime_error("as it was told");
        return outputs_;
    }

  private:
    edge::Tensors outputs_;
};

}  // namespace

extern "C" {

EDGE_API const char* hook_said() { return said.c_str(); }

// The files that the manifest of a bundle names, one after the other: of its graphs, then golden inputs.
EDGE_API edge_status hook_files(const char* path, uint8_t* out, size_t capacity, size_t* length) {
    return told([&] {
        const edge::Bundle bundle(path, {});
        edge::Bytes all;
        const auto add = [&](const Json& file) {
            const edge::Bytes data = bundle.read(file);
            all.insert(all.end(), data.begin(), data.end());
        };
        for (const Json& graph : bundle.manifest().at("graphs"))
            for (const Json& file : graph.at("files")) add(file);
        for (const Json& file : bundle.manifest().at("golden").at("inputs")) add(file);
        if (all.size() > capacity) throw edge::Error(EDGE_ERROR_BUFFER, "too long");
        std::copy(all.begin(), all.end(), out);
        *length = all.size();
    });
}

// The decoded picture: shape receives rows, columns and channels.
EDGE_API edge_status hook_decode(const edge_image* image, uint8_t* out, size_t capacity, int32_t* shape) {
    return told([&] {
        const cv::Mat picture = edge::picture(image);
        shape[0] = picture.rows, shape[1] = picture.cols, shape[2] = picture.channels();
        if (picture.total() * picture.elemSize() > capacity) throw edge::Error(EDGE_ERROR_BUFFER, "too large");
        for (int y = 0; y < picture.rows; ++y)
            std::memcpy(out + static_cast<size_t>(y) * picture.cols * picture.elemSize(), picture.ptr(y),
                        static_cast<size_t>(picture.cols) * picture.elemSize());
    });
}

EDGE_API edge_status hook_preprocess(const char* operations, const edge_image* image, float* out, size_t capacity) {
    return told([&] {
        const Json steps = Json::parse(operations);
        edge::check_operations(steps);
        give(edge::tensor(edge::run(steps.cbegin(), steps.cend(), edge::picture(image))), out, capacity);
    });
}

// manifest: its preprocessing, source.region and familiarity. bits: raised, blocking.
EDGE_API edge_status hook_signature(const char* manifest, const edge_image* image, float* out, size_t capacity,
                                    uint64_t* bits) {
    return told([&] {
        const Json given = Json::parse(manifest);
        const edge::Signatures signatures(given.at("preprocessing"), given.at("region"), given.at("familiarity"));
        const edge::Prepared prepared = signatures.prepare(edge::picture(image));
        bits[0] = prepared.flags.raised, bits[1] = prepared.flags.blocking;
        give(prepared.tensor, out, capacity);
    });
}

// locator: preprocessing and score. Receives JSON, and the aligned first face of side x side levels.
EDGE_API edge_status hook_faces(const char* locator, const char* alignment, const char* outputs,
                                const edge_image* image, char* out, size_t capacity, uint8_t* aligned) {
    return told([&] {
        const Json manifest = Json::parse(locator);
        const edge::FaceBoxes boxes(manifest.at("score"), manifest.at("preprocessing"));
        const edge::Alignment align(Json::parse(alignment));
        const cv::Mat picture = edge::picture(image);
        const auto found = boxes.faces(tensors_of(outputs), picture.rows, picture.cols, 0.5);
        Json told = {{"faces", Json::array()}, {"unfit", edge::assess_frame(picture)}};
        for (const edge::Face& face : found) {
            Json points = Json::array();
            for (const cv::Point2d& point : face.points) points.push_back({point.x, point.y});
            told["faces"].push_back({{"box", {face.box.x, face.box.y, face.box.width, face.box.height}},
                                     {"points", points},
                                     {"confidence", face.confidence}});
        }
        if (!found.empty()) {
            const auto square = align(picture, found[0].points);
            if (!square) throw edge::Error(EDGE_ERROR_INPUT, "no face");
            const edge::Flags flags = edge::assess_face(*square, &align, &found[0].points, picture.size());
            told["sharpness"] = edge::sharpness(*square);
            told["blocking"] = flags.blocking;
            told["not_enrolled"] = flags.not_enrolled;
            std::memcpy(aligned, square->ptr(), square->total() * square->elemSize());
        }
        const std::string text = told.dump();
        if (text.size() + 1 > capacity) throw edge::Error(EDGE_ERROR_BUFFER, "too long");
        std::memcpy(out, text.c_str(), text.size() + 1);
    });
}

// The score of a query and `count` references, all of `dims` values. found: score, raw score.
EDGE_API edge_status hook_compare(const char* score, const uint8_t* auxiliary, size_t length, const float* references,
                                  size_t count, size_t dims, const float* query, double* found) {
    return told([&] {
        const auto comparison = edge::open_comparison(
            Json::parse(score), [&](const std::string&) { return edge::Bytes(auxiliary, auxiliary + length); });
        std::vector<edge::Embedding> rows;
        for (size_t i = 0; i < count; ++i) rows.emplace_back(references + i * dims, references + (i + 1) * dims);
        const auto compared = comparison->person(rows)->compare({query, query + dims});
        found[0] = compared.score, found[1] = compared.raw;
    });
}

// found: score, and the range of the scores that can come.
EDGE_API edge_status hook_liveness(const char* score, const uint8_t* auxiliary, size_t length, const char* outputs,
                                   double* found) {
    return told([&] {
        const auto opened = edge::open_liveness(
            Json::parse(score), [](const std::string& name) { return name.substr(name.find('.') + 1); },
            [&](const std::string&) { return edge::Bytes(auxiliary, auxiliary + length); });
        found[1] = opened->range().first, found[2] = opened->range().second;
        found[0] = (*opened)(tensors_of(outputs));
    });
}

// A session on an engine that gives these outputs, whatever the picture; without a selftest.
EDGE_API edge_status hook_open(const char* path, const char* variant, int32_t faces_cut_out,
                               const edge_session* locator, const char* outputs, edge_session** session) {
    return told([&] {
        edge::Options options;
        options.faces_cut_out = faces_cut_out != 0;
        if (locator) options.locator = locator->held;
        *session = new edge_session{std::make_shared<const edge::Session>(
            edge::Bundle(path, {}), variant, std::make_unique<Scripted>(tensors_of(outputs)), options)};
    });
}

}  // extern "C"
