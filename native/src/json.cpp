#include "json.hpp"

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "error.hpp"

namespace edge {

namespace {

constexpr int DEEPEST = 32;  // a copy of a value takes as many calls in each other

}  // namespace

Json parse_json(const Bytes& data) {
    std::vector<std::set<std::string>> keys;
    bool twice = false;
    const auto look = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth > DEEPEST)
            throw Error(EDGE_ERROR_BUNDLE, "a file of JSON has lists and objects too deep within each other");
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) twice = true;
        return true;
    };
    Json found = Json::parse(data.begin(), data.end(), look);
    if (twice) throw Error(EDGE_ERROR_BUNDLE, "a file of JSON has a key twice");
    return found;
}

int whole(const Json& value, int low, int high, const std::string& what) {
    const std::int64_t found = value.is_number_integer() ? value.get<std::int64_t>() : std::int64_t{low} - 1;
    if (found < low || found > high)
        throw Error(EDGE_ERROR_BUNDLE, "the manifest's " + what + " is no whole number from " + std::to_string(low) +
                                           " to " + std::to_string(high));
    return static_cast<int>(found);
}

void require_known(const Json& object, std::initializer_list<const char*> keys) {
    for (const auto& item : object.items())
        if (std::find(keys.begin(), keys.end(), item.key()) == keys.end())
            throw Error(EDGE_ERROR_UNSUPPORTED,
                        "the manifest says " + item.key() + ", which this library does not know: update it");
}

}  // namespace edge
