#include "engine.hpp"
#include "error.hpp"

namespace edge {

std::string engine_for(const std::string& format) {
#ifdef EDGE_SDK_WITH_ONNXRUNTIME
    if (format == "onnx") return "onnxruntime";
#endif
#ifdef EDGE_SDK_WITH_TFLITE
    if (format == "tflite") return "tflite";
#endif
    (void)format;
    return "";
}

std::unique_ptr<Engine> open_engine(const std::string& format, Bytes model, const GraphSpec& graph, int threads) {
#ifdef EDGE_SDK_WITH_ONNXRUNTIME
    if (format == "onnx") return open_onnxruntime(std::move(model), graph, threads);
#endif
#ifdef EDGE_SDK_WITH_TFLITE
    if (format == "tflite") return open_tflite(std::move(model), graph, threads);
#endif
    (void)model, (void)graph, (void)threads;
    throw Error(EDGE_ERROR_ENGINE, "no engine in this library runs models of format " + format);
}

}  // namespace edge
