#include "msgpack.hpp"

#include "error.hpp"

namespace edge {

namespace {

constexpr std::size_t LONGEST_TEXT = 1000;

[[noreturn]] void damaged() { throw Error(EDGE_ERROR_TEMPLATE, "template is damaged: it is no record of its fields"); }

bool is_utf8(const std::string& text) {
    try {
        Record(text).dump();
        return true;
    } catch (const Record::type_error&) {
        return false;
    }
}

template <typename Values>
const typename Values::mapped_type& found(const Values& values, const char* field) {
    const auto at = values.find(field);
    if (at == values.end()) damaged();
    return at->second;
}

}  // namespace

Fields::Fields(const std::uint8_t* data, std::size_t length) : at_(data), end_(data + length) {
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

const std::string& Fields::text_of(const char* field) const { return found(texts_, field); }
std::uint64_t Fields::number_of(const char* field) const { return found(numbers_, field); }
const Bytes& Fields::bytes_of(const char* field) const { return found(bytes_, field); }

std::string Fields::text_or(const char* field) const { return texts_.count(field) ? texts_.at(field) : ""; }
std::uint64_t Fields::number_or(const char* field) const { return numbers_.count(field) ? numbers_.at(field) : 0; }

std::uint8_t Fields::byte() {
    if (at_ == end_) damaged();
    return *at_++;
}

std::uint64_t Fields::number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (; bytes > 0; --bytes) value = value << 8 | byte();
    return value;
}

template <typename Values>
Values Fields::take(std::uint64_t length) {
    if (length > static_cast<std::size_t>(end_ - at_)) damaged();
    at_ += length;
    return Values(at_ - length, at_);
}

std::string Fields::text(std::uint8_t kind) {
    const bool is_short = kind >= 0xa0 && kind <= 0xbf;
    if (!is_short && kind != 0xd9 && kind != 0xda) damaged();
    const auto read = take<std::string>(is_short ? kind - std::uint64_t{0xa0} : number(kind == 0xd9 ? 1 : 2));
    if (read.size() > LONGEST_TEXT || !is_utf8(read)) damaged();
    return read;
}

}  // namespace edge
