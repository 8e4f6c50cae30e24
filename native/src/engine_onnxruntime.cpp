// ONNX Runtime on the CPU, through its C++ wrapper of the C API.

#include <onnxruntime_cxx_api.h>

#include <cstdlib>
#include <cstring>
#include <mutex>

#include "engine_checks.hpp"
#include "onnx_file.hpp"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

namespace edge {

namespace {

// ONNX Runtime's switch for exact int8 kernels, what it says to a graph in which two layers share a weight, and its
// switch to compute what the QuantizeLinear and DequantizeLinear nodes say in float.
constexpr const char* kExact = "session.x64quantprecision";
constexpr const char* kShared = "Attempt to replace the existing tensor";
constexpr const char* kInFloat = "session.disable_quant_qdq";

// Do fast int8 kernels saturate here? On x86 without VNNI the products of two neighbours are added in 16 bits, where
// 255 * 127 * 2 does not fit. True where nobody can tell.
bool int8_saturates() {
#if defined(__aarch64__) || defined(_M_ARM64) || defined(__arm__)
    return false;
#else
    if (const char* named = std::getenv("EDGE_SDK_INSTRUCTIONS")) return !std::strstr(named, "vnni");  // as edge-sdk
#if defined(__x86_64__) || defined(__i386__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & (1u << 11))) return false;  // AVX512-VNNI
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4))) return false;   // AVX-VNNI
#endif
    return true;
#endif
}

// From 1.29 on ONNX Runtime writes a device id into the home folder and reports, from when an environment is made. The
// variable stays set, for an environment must not be changed more often than needed; a value of the user's is kept.
Ort::Env quiet_environment() {
    static std::once_flag once;
    std::call_once(once, [] {
#if !defined(_WIN32)
        ::setenv("ORT_DISABLE_TELEMETRY", "1", 0);
#endif
    });
    if (!OrtGetApiBase()->GetApi(ORT_API_VERSION))
        throw Error(EDGE_ERROR_ENGINE, "this ONNX Runtime is older than the headers of 1." +
                                           std::to_string(ORT_API_VERSION) +
                                           " that the library was built with: ship it with that one or a newer one");
    Ort::Env environment(ORT_LOGGING_LEVEL_FATAL, "edge-sdk");  // failures are thrown, not also printed
    environment.DisableTelemetryEvents();
    return environment;
}

class OnnxRuntimeEngine : public Engine {
  public:
    OnnxRuntimeEngine(const Bytes& model, const GraphSpec& graph, int threads)
        : environment_(quiet_environment()), session_(open(environment_, model, threads)), graph_(graph) {
        if (session_.GetInputCount() != 1 || name(true, 0) != graph.input.name)
            throw Error(EDGE_ERROR_ENGINE, "the model must have one input, " + graph.input.name);
        require(graph.input, session_.GetInputTypeInfo(0));
        for (const TensorSpec& output : graph.outputs) {
            std::size_t at = 0;
            while (at < session_.GetOutputCount() && name(false, at) != output.name) ++at;
            if (at == session_.GetOutputCount())
                throw Error(EDGE_ERROR_ENGINE, "the model has no output " + output.name);
            require(output, session_.GetOutputTypeInfo(at));
        }
    }

    Tensors run(const Tensor& picture) override {
        require_picture(graph_.input, picture);
        const Ort::MemoryInfo memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
        // An input is not written to; the interface has no pointer to const.
        const Ort::Value input =
            Ort::Value::CreateTensor<float>(memory, const_cast<float*>(picture.values.data()), picture.values.size(),
                                            picture.shape.data(), picture.shape.size());
        const char* input_name = graph_.input.name.c_str();
        std::vector<const char*> names;
        for (const TensorSpec& output : graph_.outputs) names.push_back(output.name.c_str());
        const std::vector<Ort::Value> made =
            session_.Run(Ort::RunOptions{nullptr}, &input_name, &input, 1, names.data(), names.size());
        Tensors tensors;
        for (std::size_t i = 0; i < made.size(); ++i) {
            const TensorSpec& output = graph_.outputs[i];
            require_shape(output, made[i].GetTensorTypeAndShapeInfo().GetShape());
            const float* data = made[i].GetTensorData<float>();
            tensors[output.name] = {output.shape, {data, data + elements(output.shape)}};
        }
        return tensors;
    }

  private:
    static Ort::SessionOptions options(int threads) {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(threads);
        options.SetInterOpNumThreads(1);
        options.SetExecutionMode(ORT_SEQUENTIAL);
        options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
        options.AddConfigEntry("session.intra_op.allow_spinning", "0");  // a waiting thread must not drain a battery
        return options;
    }

    // A session whose int8 kernels are exact.
    static Ort::Session open(const Ort::Env& environment, const Bytes& model, int threads) {
        Ort::SessionOptions exact = options(threads);
        if (!int8_saturates()) return {environment, model.data(), model.size(), exact};
        try {
            exact.AddConfigEntry(kExact, "1");
            return {environment, model.data(), model.size(), exact};
        } catch (const Ort::Exception& error) {
            if (!std::strstr(error.what(), kShared)) throw;
            Ort::SessionOptions in_float = options(threads);  // as exact, and slower
            in_float.AddConfigEntry(kInFloat, "1");
            return {environment, model.data(), model.size(), in_float};
        }
    }

    std::string name(bool input, std::size_t at) const {
        Ort::AllocatorWithDefaultOptions allocator;
        return (input ? session_.GetInputNameAllocated(at, allocator) : session_.GetOutputNameAllocated(at, allocator))
            .get();
    }

    static void require(const TensorSpec& spec, const Ort::TypeInfo& type) {
        if (type.GetONNXType() != ONNX_TYPE_TENSOR)
            throw Error(EDGE_ERROR_ENGINE, spec.name + " of the model is no tensor");
        const auto tensor = type.GetTensorTypeAndShapeInfo();
        if (tensor.GetElementType() != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
            throw Error(EDGE_ERROR_ENGINE, "tensor " + spec.name + " of the model must be float32");
        require_shape(spec, tensor.GetShape());
    }

    Ort::Env environment_;
    Ort::Session session_;
    GraphSpec graph_;
};

}  // namespace

std::unique_ptr<Engine> open_onnxruntime(Bytes model, const GraphSpec& graph, int threads) {
    require_weights_inside(model);
    try {
        return std::make_unique<OnnxRuntimeEngine>(model, graph, threads);
    } catch (const Ort::Exception& error) {
        throw Error(EDGE_ERROR_ENGINE, std::string("ONNX Runtime refuses the model: ") + error.what());
    }
}

}  // namespace edge
