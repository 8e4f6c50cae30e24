// Verify signatures with ONNX Runtime.

#include <memory>

#include "onnxruntime_engine.hpp"
#include "verifier.hpp"

int main(int argc, char** argv) {
    return edge::run(argc, argv, "onnx", [](const edge::Bundle& bundle, const edge::Json& variant) -> edge::Embed {
        const auto engine = std::make_shared<edge::Engine>(bundle, variant);
        return [engine, name = bundle.output()](const cv::Mat& tensor) { return engine->run(tensor).at(name).values; };
    });
}
