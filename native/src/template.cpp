#include "template.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "error.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

using Record = nlohmann::ordered_json;  // msgpack's fields come in the order of the struct

const std::string FAMILY = "EDGE-TEMPLATE-", MAGIC = FAMILY + "1\n";
constexpr std::size_t CHECKSUM = 16, MOST_BYTES = std::size_t{16} << 20, LONGEST_NAME = 1000;

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

std::string name(const Record& record, const char* field) {
    std::string text = record.at(field);
    if (text.size() > 4 * LONGEST_NAME) refuse("template is damaged: a name is too long");
    return text;
}

}  // namespace

std::string Template::new_id() {
    std::random_device random;
    std::string id;
    for (int digit = 0; digit < 32; ++digit) id += "0123456789abcdef"[random() & 15];
    return id;
}

Bytes Template::to_bytes() const {
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
    const Bytes payload = Record::to_msgpack(record), digest = sha256(payload.data(), payload.size());
    Bytes bytes(MAGIC.begin(), MAGIC.end());
    bytes.insert(bytes.end(), digest.begin(), digest.begin() + CHECKSUM);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    if (bytes.size() > MOST_BYTES) refuse("a template takes up to 16 MiB: enroll fewer references");
    return bytes;
}

Template Template::from_bytes(const std::uint8_t* data, std::size_t length) {
    const auto begins = [&](const std::string& text) {
        return length >= text.size() && std::memcmp(data, text.data(), text.size()) == 0;
    };
    const std::size_t start = MAGIC.size() + CHECKSUM;
    if (length > MOST_BYTES) refuse("a template takes up to 16 MiB");
    if (!begins(FAMILY)) refuse("not a template");
    if (!begins(MAGIC)) refuse("template is encrypted, or of another version: this library reads plain ones of version 1");
    if (length <= start) refuse("template is truncated");
    const Bytes digest = sha256(data + start, length - start);
    if (!std::equal(digest.begin(), digest.begin() + CHECKSUM, data + MAGIC.size()))
        refuse("template is truncated or damaged");
    try {
        const Record record = Record::from_msgpack(data + start, data + length);
        if (record.at("kind") != "embeddings")
            refuse("template holds " + record.at("kind").get<std::string>() + ", which this library does not compare");
        const auto count = record.at("count").get<std::size_t>(), dims = record.at("dim").get<std::size_t>();
        const auto& values = record.at("values").get_binary();
        const bool fits = count >= 1 && dims >= 1 && count <= MOST_BYTES && dims <= MOST_BYTES;
        if (!fits || values.size() != 4 * count * dims) refuse("template is damaged: its values are not those of its count");
        Template found{{name(record, "embedding_space_id"), name(record, "variant_id"), name(record, "variant_sha256"),
                        name(record, "bundle_name")},
                       unpacked(values, count, dims),
                       record.value("added", std::size_t{0}),
                       record.value("template_id", std::string())};
        const bool hex = found.id.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (!hex || (!found.id.empty() && found.id.size() != 32)) refuse("template is damaged: its id is none");
        if (found.added >= count) refuse("template is damaged: more references were added than there are");
        for (const Embedding& reference : found.references) normalised(reference);
        const Bytes again = found.to_bytes();  // a field twice, another field, or a number in more bytes than it needs
        if (!std::equal(again.begin(), again.end(), data, data + length))
            refuse("template is damaged: it is not as edge-sdk writes it");
        return found;
    } catch (const Record::exception&) {
        refuse("template is damaged: it is no record of its fields");
    } catch (const std::domain_error& error) {
        refuse(std::string("template cannot be scored: it holds ") + error.what());
    }
}

}  // namespace edge
