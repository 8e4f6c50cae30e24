// Records of msgpack as templates are: UTF-8, whole numbers and bytes, nothing else and nothing nested.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "engine.hpp"

namespace edge {

using Record = nlohmann::ordered_json;  // written by Record::to_msgpack(), with the fields in their order

// The fields of a record that was read.
class Fields {
  public:
    // Throws Error(EDGE_ERROR_TEMPLATE) for what is no whole record, and a field that is there twice.
    Fields(const std::uint8_t* data, std::size_t length);

    // The value of a field that must be there; else Error(EDGE_ERROR_TEMPLATE).
    const std::string& text_of(const char* field) const;
    std::uint64_t number_of(const char* field) const;
    const Bytes& bytes_of(const char* field) const;

    // The same of one that may be left out.
    std::string text_or(const char* field) const;
    std::uint64_t number_or(const char* field) const;

  private:
    std::uint8_t byte();
    std::uint64_t number(std::size_t bytes);
    std::string text(std::uint8_t kind);

    template <typename Values>
    Values take(std::uint64_t length);

    const std::uint8_t *at_, *end_;
    std::map<std::string, std::string> texts_;
    std::map<std::string, std::uint64_t> numbers_;
    std::map<std::string, Bytes> bytes_;
};

}  // namespace edge
