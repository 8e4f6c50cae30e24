#include "template.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>

#include "error.hpp"
#include "msgpack.hpp"

namespace edge {

namespace {

constexpr std::uint64_t FULL = 10;  // rows up to which updating fills a template

[[noreturn]] void refuse(const std::string& why) { throw Error(EDGE_ERROR_TEMPLATE, why); }

Bytes packed(const std::vector<Embedding>& rows) {
    Bytes bytes;
    for (const Embedding& row : rows)
        for (const float value : row) {
            std::uint32_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(bits >> shift));
        }
    return bytes;
}

std::vector<Embedding> unpacked(const Bytes& bytes, std::size_t count, std::size_t dims) {
    std::vector<Embedding> rows(count, Embedding(dims));
    std::size_t at = 0;
    for (Embedding& row : rows)
        for (float& value : row) {
            std::uint32_t bits = 0;
            for (int shift = 0; shift < 32; shift += 8) bits |= std::uint32_t{bytes[at++]} << shift;
            std::memcpy(&value, &bits, sizeof value);
        }
    return rows;
}

}  // namespace

std::string Template::new_id() {
    std::random_device random;
    std::string id;
    for (int digit = 0; digit < 32; ++digit) id += "0123456789abcdef"[random() & 15];
    return id;
}

Bytes Template::record() const {
    Record record = {{"kind", "embeddings"},
                     {"embedding_space_id", binding.embedding_space_id},
                     {"variant_id", binding.variant_id},
                     {"variant_sha256", binding.variant_sha256},
                     {"bundle_name", binding.bundle_name},
                     {"count", references.size()}};
    if (added) record["added"] = added;
    if (!id.empty()) record["template_id"] = id;
    record["dim"] = references.front().size();
    record["values"] = Record::binary(packed(references));
    return Record::to_msgpack(record);
}

Bytes Template::to_bytes() const { return plain(record()); }

Bytes Template::encrypt(const TemplateKey& key) const {
    Template identified = *this;
    if (id.empty()) identified.id = new_id();
    return encrypted(identified.record(), identified.header(), key);
}

TemplateHeader Template::header() const { return {id, binding.embedding_space_id, binding.variant_sha256}; }

Template Template::from_bytes(const std::uint8_t* data, std::size_t length, const TemplateKey* key) {
    const Payload payload = payload_of(data, length, key);
    const Fields fields(payload.record.data(), payload.record.size());
    if (const std::string& kind = fields.text_of("kind"); kind != "embeddings")
        refuse("template holds " + kind + ", which this library does not compare");
    const std::uint64_t count = fields.number_of("count"), dims = fields.number_of("dim");
    const Bytes& values = fields.bytes_of("values");
    const bool fits = count >= 1 && dims >= 1 && count <= MOST_TEMPLATE_BYTES && dims <= MOST_TEMPLATE_BYTES;
    if (!fits || values.size() != 4 * count * dims) refuse("template is damaged: its values do not fit its count");
    Template found{{fields.text_of("embedding_space_id"), fields.text_of("variant_id"),
                    fields.text_of("variant_sha256"), fields.text_of("bundle_name")},
                   unpacked(values, static_cast<std::size_t>(count), static_cast<std::size_t>(dims)),
                   static_cast<std::size_t>(fields.number_or("added")),
                   fields.text_or("template_id")};
    const bool hex = found.id.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex || (!found.id.empty() && found.id.size() != 32)) refuse("template is damaged: its id is none");
    if (found.added >= count) refuse("template is damaged: more references were added than there are");
    const std::uint64_t enrolled = count - found.added;
    if (enrolled > MOST_ENROLLED) refuse("a template takes up to " + std::to_string(MOST_ENROLLED) + " references");
    if (found.added > std::max(FULL - std::min(FULL, enrolled), enrolled))
        refuse("template is damaged: no update adds so many references");
    try {
        for (const Embedding& reference : found.references) normalised(reference);
    } catch (const std::domain_error& error) {
        refuse(std::string("template cannot be scored: it holds ") + error.what());
    }
    if (found.record() != payload.record)  // another field, another order, or a number in more bytes than it needs
        refuse("template is damaged: it is not as edge-sdk writes it");
    if (payload.header && !(*payload.header == found.header()))
        refuse("template is damaged: its header is of another one");
    return found;
}

}  // namespace edge
