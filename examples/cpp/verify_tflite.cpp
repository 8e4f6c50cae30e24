// Verify signatures with TensorFlow Lite's C API (LiteRT keeps it): fp32, int8, and int8-io variants.

#include <tensorflow/lite/c/c_api.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "verifier.hpp"

namespace {

void check(bool fine, const char* what) {
    if (!fine) throw std::runtime_error(std::string("TensorFlow Lite: ") + what);
}

// stored = clip(round(value / scale) + zero_point, -128, 127), for tensors that are int8 themselves.
void store(TfLiteTensor* tensor, const cv::Mat& values) {
    const cv::Mat whole = values.isContinuous() ? values : values.clone();
    if (TfLiteTensorType(tensor) == kTfLiteFloat32) {
        const auto status = TfLiteTensorCopyFromBuffer(tensor, whole.ptr<float>(), whole.total() * sizeof(float));
        return check(status == kTfLiteOk, "the input has another size than the pre-processed picture");
    }
    const auto [scale, zero_point] = TfLiteTensorQuantizationParams(tensor);
    check(TfLiteTensorType(tensor) == kTfLiteInt8 && scale > 0, "the input is neither float32 nor int8");
    std::vector<std::int8_t> stored;
    for (const float value : cv::Mat_<float>(whole))
        stored.push_back(
            static_cast<std::int8_t>(std::clamp(std::nearbyint(value / scale) + zero_point, -128.0f, 127.0f)));
    check(TfLiteTensorCopyFromBuffer(tensor, stored.data(), stored.size()) == kTfLiteOk,
          "the input has another size than the pre-processed picture");
}

// value = (stored - zero_point) scale
std::vector<float> restore(const TfLiteTensor* tensor) {
    const std::size_t bytes = TfLiteTensorByteSize(tensor);
    if (TfLiteTensorType(tensor) == kTfLiteFloat32) {
        std::vector<float> values(bytes / sizeof(float));
        check(TfLiteTensorCopyToBuffer(tensor, values.data(), bytes) == kTfLiteOk, "cannot read the output");
        return values;
    }
    const auto [scale, zero_point] = TfLiteTensorQuantizationParams(tensor);
    check(TfLiteTensorType(tensor) == kTfLiteInt8 && scale > 0, "the output is neither float32 nor int8");
    std::vector<std::int8_t> stored(bytes);
    check(TfLiteTensorCopyToBuffer(tensor, stored.data(), bytes) == kTfLiteOk, "cannot read the output");
    std::vector<float> values;
    for (const std::int8_t value : stored) values.push_back(static_cast<float>(value - zero_point) * scale);
    return values;
}

class Engine {
  public:
    explicit Engine(edge::Bytes model)
        : bytes_(std::move(model)),
          model_(TfLiteModelCreate(bytes_.data(), bytes_.size()), TfLiteModelDelete),
          options_(TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete),
          interpreter_(nullptr, TfLiteInterpreterDelete) {
        check(model_ != nullptr, "no model");
        TfLiteInterpreterOptionsSetNumThreads(options_.get(), 1);
        interpreter_.reset(TfLiteInterpreterCreate(model_.get(), options_.get()));
        check(interpreter_ != nullptr, "the interpreter refuses the model");
        check(TfLiteInterpreterAllocateTensors(interpreter_.get()) == kTfLiteOk, "cannot allocate tensors");
        check(TfLiteInterpreterGetInputTensorCount(interpreter_.get()) == 1 &&
                  TfLiteInterpreterGetOutputTensorCount(interpreter_.get()) == 1,
              "the model must have one input and one output");
    }

    // One channel, so the file's (1, H, W, 1) has the picture's own layout.
    std::vector<float> embed(const cv::Mat& tensor) {
        store(TfLiteInterpreterGetInputTensor(interpreter_.get(), 0), tensor);
        check(TfLiteInterpreterInvoke(interpreter_.get()) == kTfLiteOk, "cannot run");
        return restore(TfLiteInterpreterGetOutputTensor(interpreter_.get(), 0));
    }

  private:
    edge::Bytes bytes_;  // the interpreter reads the weights from here
    std::unique_ptr<TfLiteModel, decltype(&TfLiteModelDelete)> model_;
    std::unique_ptr<TfLiteInterpreterOptions, decltype(&TfLiteInterpreterOptionsDelete)> options_;
    std::unique_ptr<TfLiteInterpreter, decltype(&TfLiteInterpreterDelete)> interpreter_;
};

}  // namespace

int main(int argc, char** argv) {
    return edge::run(argc, argv, "tflite", [](const edge::Bundle& bundle, const edge::Json& variant) -> edge::Embed {
        const auto engine = std::make_shared<Engine>(bundle.model(variant));
        return [engine](const cv::Mat& tensor) { return engine->embed(tensor); };
    });
}
