// Does an ONNX file hold all its weights? edge_sdk/model_files/onnx.py, as far as ONNX Runtime does not see to it.

#pragma once

#include "engine.hpp"

namespace edge {

// Throw Error(EDGE_ERROR_ENGINE, ...) if weights lie in other files, whose SHA-256 nobody compared, or if the file is
// damaged or none. Weights are looked for wherever they may be: graphs, attributes, functions, training graphs.
void require_weights_inside(const Bytes& model);

}  // namespace edge
