// What runs a network. One file an engine, engine_NAME.cpp, implements Engine and the function that opens it.
//
// engines.cpp lists the engines that CMake put in, and chooses by the variant's format.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace edge {

using Bytes = std::vector<std::uint8_t>;

// How many values a tensor of a shape has.
inline std::size_t elements(const std::vector<std::int64_t>& shape) {
    std::size_t count = 1;
    for (const std::int64_t side : shape) count *= static_cast<std::size_t>(side);
    return count;
}

// float32 in C order. The first axis is the batch, always 1 here.
struct Tensor {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
};

using Tensors = std::map<std::string, Tensor>;  // by their names in the graph, such as "embedding"

// An input or output as the manifest has it: channels before rows and columns (N, C, H, W), the batch axis being 1.
struct TensorSpec {
    std::string name;
    std::vector<std::int64_t> shape;
};

struct GraphSpec {
    TensorSpec input;
    std::vector<TensorSpec> outputs;
};

// A loaded model. One thread at a time calls it: the session sees to that.
class Engine {
  public:
    Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    virtual ~Engine() = default;

    // Every output of the graph, of the shape that the manifest gives it, as float32: an engine whose files hold
    // channels last, or whole numbers (int8-io.tflite), transposes and scales.
    //
    // picture: of the input's shape; not kept. Whatever is thrown becomes EDGE_ERROR_ENGINE.
    virtual Tensors run(const Tensor& picture) = 0;
};

// Each throws Error(EDGE_ERROR_ENGINE, ...) if it refuses the model, also one with another interface than the graph's.
//
// model: the bytes of the model's file, whose SHA-256 was compared; the engine keeps them as long as it needs them.
// threads: 1 to 64.
std::unique_ptr<Engine> open_onnxruntime(Bytes model, const GraphSpec& graph, int threads);
std::unique_ptr<Engine> open_tflite(Bytes model, const GraphSpec& graph, int threads);

// The name of the engine that runs variants of a format ("onnx", "tflite"); empty if none is in this library.
std::string engine_for(const std::string& format);

// The engine of a format, opened; Error(EDGE_ERROR_ENGINE, ...) if none is in this library.
std::unique_ptr<Engine> open_engine(const std::string& format, Bytes model, const GraphSpec& graph, int threads);

}  // namespace edge
