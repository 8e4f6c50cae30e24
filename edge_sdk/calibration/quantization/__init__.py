"""Post-training int8 quantisation of ONNX and TFLite models."""
