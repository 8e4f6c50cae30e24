// TensorFlow Lite's C API, which LiteRT keeps.
//
// A file holds maps as (1, H, W, C); here they are (1, C, H, W). Quantised inputs and outputs are float here:
//
//     stored = clip(round(value / scale) + zero_point, lowest, highest)        value = (stored - zero_point) scale

#include <tensorflow/lite/c/c_api.h>

#include <cstdarg>
#include <cstdio>
#include <limits>
#include <utility>

#include "engine_checks.hpp"

namespace edge {

namespace {

// Channels first to channels last, or back; other shapes as they are.
std::vector<std::int64_t> stored_shape(std::vector<std::int64_t> shape) {
    if (shape.size() == 4) shape = {shape[0], shape[2], shape[3], shape[1]};
    return shape;
}

template <typename Move>
void each_cell(const std::vector<std::int64_t>& shape, Move move) {
    const bool map = shape.size() == 4;
    const std::size_t channels = map ? static_cast<std::size_t>(shape[1]) : 1;
    const std::size_t pixels = elements(shape) / channels;
    for (std::size_t channel = 0; channel < channels; ++channel)
        for (std::size_t pixel = 0; pixel < pixels; ++pixel)
            move(channel * pixels + pixel, pixel * channels + channel);  // place here, place in the file
}

template <typename Whole>
std::vector<Whole> quantised(const std::vector<float>& values, const TfLiteQuantizationParams& by) {
    std::vector<Whole> stored;
    stored.reserve(values.size());
    const float lowest = std::numeric_limits<Whole>::min(), highest = std::numeric_limits<Whole>::max();
    for (const float value : values) {
        const float steps = std::nearbyint(value / by.scale) + static_cast<float>(by.zero_point);
        stored.push_back(static_cast<Whole>(std::clamp(steps, lowest, highest)));
    }
    return stored;
}

template <typename Whole>
std::vector<float> restored(const std::vector<Whole>& stored, const TfLiteQuantizationParams& by) {
    std::vector<float> values;
    values.reserve(stored.size());
    for (const Whole one : stored) values.push_back(static_cast<float>(one - by.zero_point) * by.scale);
    return values;
}

class TFLiteEngine : public Engine {
  public:
    TFLiteEngine(Bytes model, const GraphSpec& graph, int threads) : bytes_(std::move(model)), graph_(graph) {
        options_.reset(TfLiteInterpreterOptionsCreate());
        model_.reset(TfLiteModelCreate(bytes_.data(), bytes_.size()));
        check(model_ && options_, "refuses the model");
        TfLiteInterpreterOptionsSetNumThreads(options_.get(), threads);
        TfLiteInterpreterOptionsSetErrorReporter(options_.get(), report, &said_);
        interpreter_.reset(TfLiteInterpreterCreate(model_.get(), options_.get()));
        check(interpreter_ != nullptr, "refuses the model");
        check(TfLiteInterpreterAllocateTensors(interpreter_.get()) == kTfLiteOk, "refuses the model");
        check(TfLiteInterpreterGetInputTensorCount(interpreter_.get()) == 1, "refuses the model: not one input");
        input_ = TfLiteInterpreterGetInputTensor(interpreter_.get(), 0);
        require(graph_.input, input_);
        for (const TensorSpec& output : graph_.outputs) outputs_.push_back(found(output));
    }

    Tensors run(const Tensor& picture) override {
        require_picture(graph_.input, picture);
        store(picture);
        check(TfLiteInterpreterInvoke(interpreter_.get()) == kTfLiteOk, "failed");
        Tensors tensors;
        for (std::size_t i = 0; i < outputs_.size(); ++i) {
            const TensorSpec& output = graph_.outputs[i];
            tensors[output.name] = {output.shape, restore(output, outputs_[i])};
        }
        return tensors;
    }

  private:
    void check(bool fine, const std::string& what) {
        if (fine) return;
        const std::string said = std::exchange(said_, {});
        throw Error(EDGE_ERROR_ENGINE, "TensorFlow Lite " + what + (said.empty() ? "" : ": " + said));
    }

    static void report(void* to, const char* format, va_list arguments) {
        char text[512];
        std::vsnprintf(text, sizeof text, format, arguments);
        *static_cast<std::string*>(to) = text;
    }

    static void require(const TensorSpec& spec, const TfLiteTensor* tensor) {
        const char* name = TfLiteTensorName(tensor);
        if (!name || name != spec.name)
            throw Error(EDGE_ERROR_ENGINE, "the model has no tensor " + spec.name + " at its border");
        std::vector<std::int64_t> shape;
        for (int i = 0; i < TfLiteTensorNumDims(tensor); ++i) shape.push_back(TfLiteTensorDim(tensor, i));
        require_shape({spec.name, stored_shape(spec.shape)}, shape);
        const TfLiteType type = TfLiteTensorType(tensor);
        const bool whole = type == kTfLiteInt8 || type == kTfLiteUInt8;
        if (type != kTfLiteFloat32 && !(whole && TfLiteTensorQuantizationParams(tensor).scale > 0))
            throw Error(EDGE_ERROR_ENGINE, "tensor " + spec.name + " must be float32, or int8 or uint8 with a scale");
        const std::size_t bytes = elements(spec.shape) * (whole ? 1 : sizeof(float));
        if (TfLiteTensorByteSize(tensor) != bytes)
            throw Error(EDGE_ERROR_ENGINE, "tensor " + spec.name + " has another size than its shape says");
    }

    const TfLiteTensor* found(const TensorSpec& spec) const {
        for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(interpreter_.get()); ++i) {
            const TfLiteTensor* tensor = TfLiteInterpreterGetOutputTensor(interpreter_.get(), i);
            const char* name = TfLiteTensorName(tensor);
            if (!name || name != spec.name) continue;
            require(spec, tensor);
            return tensor;
        }
        throw Error(EDGE_ERROR_ENGINE, "the model has no output " + spec.name);
    }

    template <typename Value>
    void copy_in(const std::vector<Value>& values) {
        const auto status = TfLiteTensorCopyFromBuffer(input_, values.data(), values.size() * sizeof(Value));
        check(status == kTfLiteOk, "does not take the picture");
    }

    template <typename Value>
    std::vector<Value> copy_out(const TfLiteTensor* tensor) {
        std::vector<Value> values(TfLiteTensorByteSize(tensor) / sizeof(Value));
        const auto status = TfLiteTensorCopyToBuffer(tensor, values.data(), values.size() * sizeof(Value));
        check(status == kTfLiteOk, "does not give its output");
        return values;
    }

    void store(const Tensor& picture) {
        std::vector<float> values(picture.values.size());
        each_cell(picture.shape, [&](std::size_t here, std::size_t there) { values[there] = picture.values[here]; });
        const TfLiteQuantizationParams by = TfLiteTensorQuantizationParams(input_);
        switch (TfLiteTensorType(input_)) {
            case kTfLiteInt8: return copy_in(quantised<std::int8_t>(values, by));
            case kTfLiteUInt8: return copy_in(quantised<std::uint8_t>(values, by));
            default: return copy_in(values);
        }
    }

    std::vector<float> restore(const TensorSpec& spec, const TfLiteTensor* tensor) {
        const TfLiteQuantizationParams by = TfLiteTensorQuantizationParams(tensor);
        std::vector<float> stored;
        switch (TfLiteTensorType(tensor)) {
            case kTfLiteInt8: stored = restored(copy_out<std::int8_t>(tensor), by); break;
            case kTfLiteUInt8: stored = restored(copy_out<std::uint8_t>(tensor), by); break;
            default: stored = copy_out<float>(tensor);
        }
        std::vector<float> values(stored.size());
        each_cell(spec.shape, [&](std::size_t here, std::size_t there) { values[here] = stored[there]; });
        return values;
    }

    template <auto free>
    struct Free {
        template <typename Handle>
        void operator()(Handle* handle) const {
            free(handle);
        }
    };

    Bytes bytes_;  // the interpreter reads the weights from here
    GraphSpec graph_;
    std::string said_;  // the last thing that the interpreter reported
    std::unique_ptr<TfLiteModel, Free<TfLiteModelDelete>> model_;
    std::unique_ptr<TfLiteInterpreterOptions, Free<TfLiteInterpreterOptionsDelete>> options_;
    std::unique_ptr<TfLiteInterpreter, Free<TfLiteInterpreterDelete>> interpreter_;
    TfLiteTensor* input_ = nullptr;
    std::vector<const TfLiteTensor*> outputs_;
};

}  // namespace

std::unique_ptr<Engine> open_tflite(Bytes model, const GraphSpec& graph, int threads) {
    return std::make_unique<TFLiteEngine>(std::move(model), graph, threads);
}

}  // namespace edge
