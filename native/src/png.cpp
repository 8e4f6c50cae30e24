// PNG, third edition: chunks, checksums, header.

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "error.hpp"
#include "image_files.hpp"

namespace edge {

namespace {

[[noreturn]] void damaged(const char* why) { throw Error(EDGE_ERROR_INPUT, std::string("a damaged PNG: ") + why); }

std::uint32_t big_endian(const std::uint8_t* at) {
    return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

std::uint32_t crc32(const std::uint8_t* data, std::size_t length) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t n = 0; n < 256; ++n) {
            std::uint32_t c = n;
            for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
            made[n] = c;
        }
        return made;
    }();
    std::uint32_t crc = 0xffffffff;
    for (std::size_t i = 0; i < length; ++i) crc = table[(crc ^ data[i]) & 255] ^ (crc >> 8);
    return ~crc;
}

}  // namespace

void check_size(std::int64_t width, std::int64_t height) {
    if (width < 1 || height < 1 || width > MOST_SIDE || height > MOST_SIDE || width * height > MOST_PIXELS)
        throw Error(EDGE_ERROR_INPUT, "a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                                          " pixels: 1 to 16384 a side and up to 64000000 in all are taken");
}

void check_aspect(double across, double down) {
    if (across <= 0 || down <= 0) return;
    const double ratio = std::max(across / down, down / across);
    if (ratio >= 1.8 && ratio <= 2.2)
        throw Error(EDGE_ERROR_INPUT, "a picture whose pixels are no squares, as of a fax: save it with square ones");
}

int exif_orientation(const std::uint8_t* exif, std::size_t length) {
    const bool little = length >= 8 && std::memcmp(exif, "II*\0", 4) == 0;
    if (!little && !(length >= 8 && std::memcmp(exif, "MM\0*", 4) == 0)) return 1;
    const auto number = [&](std::size_t at, std::size_t bytes) -> std::size_t {
        if (at > length || length - at < bytes) return 0;
        std::size_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | exif[at + (little ? bytes - 1 - i : i)];
        return value;
    };
    const std::size_t start = number(4, 4), count = number(start, 2);
    for (std::size_t entry = start + 2; entry < start + 2 + 12 * count && entry + 12 <= length; entry += 12) {
        const std::size_t kind = number(entry + 2, 2), bytes = kind == 1 ? 1 : kind == 3 ? 2 : kind == 4 ? 4 : 0;
        if (number(entry, 2) != 274 || bytes == 0) continue;
        const std::size_t value = number(entry + 8, bytes);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

Png check_png(const std::uint8_t* file, std::size_t length) {
    std::size_t at = 8;  // behind the signature
    if (length < at + 25 || big_endian(file + at) != 13 || std::memcmp(file + at + 4, "IHDR", 4) != 0)
        damaged("no header");
    check_size(big_endian(file + 16), big_endian(file + 20));
    Png found;
    found.alpha = file[25] == 4 || file[25] == 6;
    bool data = false;
    while (true) {
        if (length - at < 12 || big_endian(file + at) > length - at - 12) damaged("it is cut off");
        const std::size_t size = big_endian(file + at);
        const std::uint8_t* kind = file + at + 4;
        if (crc32(kind, size + 4) != big_endian(kind + 4 + size)) damaged("a wrong checksum");
        const auto is = [&](const char* name) { return std::memcmp(kind, name, 4) == 0; };
        if (is("IEND")) break;
        if (is("IDAT")) data = true;
        if (is("tRNS")) found.alpha = true;
        if (is("eXIf")) found.orientation = exif_orientation(kind + 4, size);
        if (is("acTL") && !(size >= 4 && big_endian(kind + 4) == 1))
            throw Error(EDGE_ERROR_INPUT, "an animated PNG, of several pictures: save the one that counts");
        if (is("pHYs") && size >= 8) check_aspect(big_endian(kind + 4), big_endian(kind + 8));
        at += 12 + size;
    }
    if (!data) damaged("no picture");
    return found;
}

}  // namespace edge
