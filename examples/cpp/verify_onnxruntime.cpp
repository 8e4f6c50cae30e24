// Verify signatures with ONNX Runtime, through its C++ wrapper of the C API.

#include <onnxruntime_cxx_api.h>

#include <array>
#include <memory>

#include "verifier.hpp"

namespace {

class Engine {
  public:
    Engine(const edge::Bytes& model, std::string input, std::string output)
        : environment_(ORT_LOGGING_LEVEL_WARNING, "edge-sdk"),
          session_(environment_, model.data(), model.size(), options()),
          input_(std::move(input)),
          output_(std::move(output)) {}

    std::vector<float> embed(const cv::Mat& tensor) {
        cv::Mat values = tensor.clone();  // continuous, and the session may not write to the caller's
        const std::array<std::int64_t, 4> shape = {1, 1, values.rows, values.cols};
        const Ort::Value picture =
            Ort::Value::CreateTensor<float>(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault),
                                            values.ptr<float>(), values.total(), shape.data(), shape.size());
        const char *input = input_.c_str(), *output = output_.c_str();
        const auto outputs = session_.Run(Ort::RunOptions{nullptr}, &input, &picture, 1, &output, 1);
        const float* data = outputs.front().GetTensorData<float>();
        return {data, data + outputs.front().GetTensorTypeAndShapeInfo().GetElementCount()};
    }

  private:
    static Ort::SessionOptions options() {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(1);
        options.AddConfigEntry("session.intra_op.allow_spinning", "0");  // a waiting thread must not drain the battery
        // Without VNNI the fast u8s8 kernels of x86 saturate; this asks for exact ones. Arm ignores it.
        options.AddConfigEntry("session.x64quantprecision", "1");
        return options;
    }

    Ort::Env environment_;
    Ort::Session session_;
    std::string input_, output_;
};

}  // namespace

int main(int argc, char** argv) {
    return edge::run(argc, argv, "onnx", [](const edge::Bundle& bundle, const edge::Json& variant) -> edge::Embed {
        const auto engine = std::make_shared<Engine>(bundle.model(variant), bundle.input().at("name"), bundle.output());
        return [engine](const cv::Mat& tensor) { return engine->embed(tensor); };
    });
}
