// JSON, of which a key that is given twice is an error: two programs would read two things.

#pragma once

#include <nlohmann/json.hpp>

#include "engine.hpp"

namespace edge {

using Json = nlohmann::json;

// Throws Json::exception, or Error(EDGE_ERROR_BUNDLE) where a key comes twice.
Json parse_json(const Bytes& data);

}  // namespace edge
