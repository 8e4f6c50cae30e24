// ONNX Runtime, through its C++ wrapper of the C API.

#pragma once

#include <onnxruntime_cxx_api.h>

#include <array>
#include <string>
#include <vector>

#include "bundle.hpp"
#include "faces.hpp"

namespace edge {

// One variant's network: one picture in, all outputs out.
class Engine {
  public:
    Engine(const Bundle& bundle, const Json& variant)
        : model_(bundle.model(variant)),
          environment_(ORT_LOGGING_LEVEL_WARNING, "edge-sdk"),
          session_(environment_, model_.data(), model_.size(), options()),
          input_(bundle.input().at("name")),
          outputs_(bundle.outputs()) {}

    Tensors run(const cv::Mat& tensor) {
        cv::Mat values = tensor.clone();  // continuous, and the session may not write to the caller's
        const std::array<std::int64_t, 4> shape = {1, 1, values.rows, values.cols};
        const Ort::Value picture =
            Ort::Value::CreateTensor<float>(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault),
                                            values.ptr<float>(), values.total(), shape.data(), shape.size());
        const char* input = input_.c_str();
        std::vector<const char*> names;
        for (const std::string& name : outputs_) names.push_back(name.c_str());
        const auto made = session_.Run(Ort::RunOptions{nullptr}, &input, &picture, 1, names.data(), names.size());
        Tensors tensors;
        for (std::size_t i = 0; i < made.size(); ++i) {
            const auto info = made[i].GetTensorTypeAndShapeInfo();
            const float* data = made[i].GetTensorData<float>();
            tensors[outputs_[i]] = {info.GetShape(), {data, data + info.GetElementCount()}};
        }
        return tensors;
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

    Bytes model_;
    Ort::Env environment_;
    Ort::Session session_;
    std::string input_;
    std::vector<std::string> outputs_;
};

}  // namespace edge
