// From a decoded picture to the network's input: the operations of a manifest.
//
// The same OpenCV calls in the same order as edge_sdk/preprocess/, one function an operation and named alike, so that
// a device computes what the model was trained on. Between operations a picture is CV_8U: gray, or three channels. No
// operation changes its argument.

#pragma once

#include <opencv2/core.hpp>

#include "engine.hpp"
#include "json.hpp"

namespace edge {

namespace op {

// Halves go to the even neighbour, as in Python.
int round(double value);

// Gray of gray or BGR.
cv::Mat to_gray(const cv::Mat& image);

// The mean of each block of rows x columns pixels, by halves as long as both factors are even.
cv::Mat block_means(const cv::Mat& image, int rows, int columns);

// Means over whole blocks of pixels as far as they go, then bilinear.
cv::Mat scaled(const cv::Mat& image, int height, int width);

cv::Mat limit_size(const cv::Mat& image, int side);
cv::Mat flatten_paper(const cv::Mat& image, int window, int shrink);
cv::Mat binarize(const cv::Mat& image, int floor, double fraction, double percentile);
cv::Mat erase_rules(const cv::Mat& image, double coverage);

}  // namespace op

// Throws Error(EDGE_ERROR_BUNDLE) unless all operations are known and their parameters within the manifest's bounds.
void check_operations(const Json& operations);

// Some of the operations, one after the other. Throws Error(EDGE_ERROR_INPUT) where one fails on the picture.
cv::Mat run(Json::const_iterator from, Json::const_iterator to, cv::Mat image);

// What a pipeline ends with as the network's input, float32 (1, C, H, W) in [0, 1].
Tensor tensor(const cv::Mat& image);

}  // namespace edge
