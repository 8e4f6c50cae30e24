#include "json.hpp"

#include <set>
#include <string>
#include <vector>

#include "error.hpp"

namespace edge {

Json parse_json(const Bytes& data) {
    std::vector<std::set<std::string>> keys;
    bool twice = false;
    const auto look = [&](int, Json::parse_event_t event, Json& value) {
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) twice = true;
        return true;
    };
    Json found = Json::parse(data.begin(), data.end(), look);
    if (twice) throw Error(EDGE_ERROR_BUNDLE, "a file of JSON has a key twice");
    return found;
}

}  // namespace edge
