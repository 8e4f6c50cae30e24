// How a template lies in a file: plain, or encrypted and authenticated. edge_sdk/runtime/template_layouts.py, to the byte.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "engine.hpp"

namespace edge {

constexpr std::size_t MOST_TEMPLATE_BYTES = std::size_t{16} << 20;

// A key of AES-256-GCM, random and the application's own.
using TemplateKey = std::array<std::uint8_t, 32>;

// What an encrypted template shows without its key, besides the id of the key.
struct TemplateHeader {
    std::string template_id, embedding_space_id, variant_sha256;

    bool operator==(const TemplateHeader& other) const {
        return template_id == other.template_id && embedding_space_id == other.embedding_space_id &&
               variant_sha256 == other.variant_sha256;
    }
};

// Layout 1. Throws Error(EDGE_ERROR_TEMPLATE) if it is too large, as the next one does.
Bytes plain(const Bytes& record);

// Layout 2, with a new nonce. Throws Error(EDGE_ERROR_UNSUPPORTED) where this library was built without OpenSSL.
Bytes encrypted(const Bytes& record, const TemplateHeader& header, const TemplateKey& key);

struct Payload {
    Bytes record;
    std::optional<TemplateHeader> header;  // of an encrypted one
};

// What lies in a file. key: of an encrypted one; null takes plain ones alone.
//
// Throws Error: EDGE_ERROR_TEMPLATE for what is no template, was changed, or is plain where there is a key;
// EDGE_ERROR_TEMPLATE_KEY for an encrypted one without its key; EDGE_ERROR_UNSUPPORTED for a key without OpenSSL.
Payload payload_of(const std::uint8_t* data, std::size_t length, const TemplateKey* key);

}  // namespace edge
