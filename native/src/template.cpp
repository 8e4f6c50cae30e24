#include "template.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>

#include "error.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

using Record = nlohmann::ordered_json;  // msgpack's fields come in the order of the struct

const std::string FAMILY = "EDGE-TEMPLATE-", MAGIC = FAMILY + "1\n";
constexpr std::size_t CHECKSUM = 16, MOST_BYTES = std::size_t{16} << 20, LONGEST_NAME = 1000;
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

// The fields of a record of msgpack: text, whole numbers and bytes, nothing else and nothing nested.
class Fields {
  public:
    Fields(const std::uint8_t* data, std::size_t length) : at_(data), end_(data + length) {
        const std::uint8_t kind = byte();
        if (kind < 0x80 || kind > 0x8f) damaged();
        for (int left = kind - 0x80; left > 0; --left) {
            const std::string field = text(byte());
            const std::uint8_t what = byte();
            if (texts_.count(field) || numbers_.count(field) || bytes_.count(field)) damaged();
            if (what < 0x80)
                numbers_[field] = what;
            else if (what >= 0xcc && what <= 0xcf)
                numbers_[field] = number(std::size_t{1} << (what - 0xcc));
            else if (what >= 0xc4 && what <= 0xc6)
                bytes_[field] = take<Bytes>(number(std::size_t{1} << (what - 0xc4)));
            else
                texts_[field] = text(what);
        }
        if (at_ != end_) damaged();
    }

    // The value of a field that must be there.
    const std::string& text_of(const char* field) const { return found(texts_, field); }
    std::uint64_t number_of(const char* field) const { return found(numbers_, field); }
    const Bytes& bytes_of(const char* field) const { return found(bytes_, field); }

    // The same of one that may be left out.
    std::string text_or(const char* field) const { return texts_.count(field) ? texts_.at(field) : ""; }
    std::uint64_t number_or(const char* field) const { return numbers_.count(field) ? numbers_.at(field) : 0; }

  private:
    [[noreturn]] static void damaged() { refuse("template is damaged: it is no record of its fields"); }

    template <typename Values>
    static const typename Values::mapped_type& found(const Values& values, const char* field) {
        const auto at = values.find(field);
        if (at == values.end()) damaged();
        return at->second;
    }

    std::uint8_t byte() {
        if (at_ == end_) damaged();
        return *at_++;
    }

    std::uint64_t number(std::size_t bytes) {
        std::uint64_t value = 0;
        for (; bytes > 0; --bytes) value = value << 8 | byte();
        return value;
    }

    template <typename Values>
    Values take(std::uint64_t length) {
        if (length > static_cast<std::size_t>(end_ - at_)) damaged();
        at_ += length;
        return Values(at_ - length, at_);
    }

    std::string text(std::uint8_t kind) {
        if (kind >= 0xa0 && kind <= 0xbf) return take<std::string>(kind - 0xa0);
        if (kind != 0xd9 && kind != 0xda) damaged();
        const auto found = take<std::string>(number(kind == 0xd9 ? 1 : 2));
        if (found.size() > LONGEST_NAME) damaged();
        return found;
    }

    const std::uint8_t *at_, *end_;
    std::map<std::string, std::string> texts_;
    std::map<std::string, std::uint64_t> numbers_;
    std::map<std::string, Bytes> bytes_;
};

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
    if (!begins(MAGIC)) refuse("template is encrypted, or of another version: plain ones of version 1 are read");
    if (length <= start) refuse("template is truncated");
    const Bytes digest = sha256(data + start, length - start);
    if (!std::equal(digest.begin(), digest.begin() + CHECKSUM, data + MAGIC.size()))
        refuse("template is truncated or damaged");
    const Fields fields(data + start, length - start);
    if (const std::string& kind = fields.text_of("kind"); kind != "embeddings")
        refuse("template holds " + kind + ", which this library does not compare");
    const std::uint64_t count = fields.number_of("count"), dims = fields.number_of("dim");
    const Bytes& values = fields.bytes_of("values");
    const bool fits = count >= 1 && dims >= 1 && count <= MOST_BYTES && dims <= MOST_BYTES;
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
    const Bytes again = found.to_bytes();  // another field, another order, or a number in more bytes than it needs
    if (!std::equal(again.begin(), again.end(), data, data + length))
        refuse("template is damaged: it is not as edge-sdk writes it");
    return found;
}

}  // namespace edge
