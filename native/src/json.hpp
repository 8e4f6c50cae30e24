// JSON as strictly as Python reads it: what two programs would read as two things is an error.

#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "engine.hpp"

namespace edge {

using Json = nlohmann::json;

// Throws Json::exception, or Error(EDGE_ERROR_BUNDLE) where a key comes twice, or lists and objects lie too deep within
// each other.
Json parse_json(const Bytes& data);

// A whole number. Throws Error(EDGE_ERROR_BUNDLE) for one that is not from low to high, and for 1.5 and true, of which
// Json makes 1. what: its name, for the text.
int whole(const Json& value, int low, int high, const std::string& what);

// Throws Error(EDGE_ERROR_UNSUPPORTED) for a key that is none of these: it may change what the others mean.
void require_known(const Json& object, std::initializer_list<const char*> keys);

}  // namespace edge
