// Enrolled references of one person: edge_sdk/runtime/template.py, to the byte.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "comparison.hpp"
#include "template_layouts.hpp"

namespace edge {

// What a template is bound to. The bundle's name is for people to read.
struct Binding {
    std::string embedding_space_id, variant_id, variant_sha256, bundle_name;
};

struct Template {
    Binding binding;
    std::vector<Embedding> references;  // at least one, of one length
    std::size_t added = 0;              // those of them that updating added, the last ones
    std::string id;                     // 32 random hex digits, by which it is revoked; empty of old ones

    // 128 random bits, as hex digits.
    static std::string new_id();

    // In plain; equal templates give equal bytes.
    Bytes to_bytes() const;

    // Encrypted; one that has no id gets one. Errors are those of encrypted().
    Bytes encrypt(const TemplateKey& key) const;

    // Throws Error(EDGE_ERROR_TEMPLATE) for anything but a whole template that somebody could have enrolled, and what
    // payload_of() throws.
    static Template from_bytes(const std::uint8_t* data, std::size_t length, const TemplateKey* key = nullptr);

  private:
    Bytes record() const;
    TemplateHeader header() const;
};

}  // namespace edge
