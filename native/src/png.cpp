// PNG, third edition: chunks, checksums, header. OpenCV gets the pixels alone, for its versions differ in the rest.

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <map>
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

struct Chunk {
    const std::uint8_t* body = nullptr;
    std::size_t size = 0;
};

// Whether the body of IHDR is one of the specification's.
bool known_header(const std::uint8_t* body) {
    const int depth = body[8], color = body[9];
    const bool deep = depth == 8 || depth == 16, shallow = depth == 1 || depth == 2 || depth == 4;
    const bool known = color == PNG_GRAY      ? deep || shallow
                       : color == PNG_PALETTE ? depth == 8 || shallow
                                              : deep && (color == PNG_RGB || color == PNG_GRAY_ALPHA ||
                                                         color == PNG_RGB_ALPHA);
    return known && body[10] == 0 && body[11] == 0 && body[12] <= 1;
}

// The signature and IHDR of a file of these pixels without anything else.
std::vector<std::uint8_t> bare_start(const std::uint8_t* file) {
    std::vector<std::uint8_t> start(file, file + 33);
    if (start[25] == PNG_PALETTE) start[25] = PNG_GRAY;
    const std::uint32_t sum = crc32(start.data() + 12, 17);
    for (std::size_t i = 0; i < 4; ++i) start[29 + i] = static_cast<std::uint8_t>(sum >> (24 - 8 * i));
    return start;
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
    if (length >= 6 && std::memcmp(exif, "Exif\0", 6) == 0) exif += 6, length -= 6;
    const bool little = length >= 8 && std::memcmp(exif, "II*\0", 4) == 0;
    if (!little && !(length >= 8 && std::memcmp(exif, "MM\0*", 4) == 0)) return 1;
    const auto number = [&](std::size_t at, std::size_t bytes) -> std::size_t {
        if (at > length || length - at < bytes) return 0;
        std::size_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | exif[at + (little ? bytes - 1 - i : i)];
        return value;
    };
    const std::size_t start = number(4, 4), count = number(start, 2);
    for (std::size_t entry = start + 2; entry < start + 2 + 12 * count; entry += 12) {
        const std::size_t kind = number(entry + 2, 2), bytes = kind == 1 ? 1 : kind == 3 ? 2 : kind == 4 ? 4 : 0;
        if (number(entry, 2) != 274 || bytes == 0) continue;
        const std::size_t value = number(entry + 8, bytes);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

Png check_png(const std::uint8_t* file, std::size_t length) {
    static constexpr std::uint8_t END[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    std::size_t at = 8;  // behind the signature
    if (length < at + 25 || big_endian(file + at) != 13 || std::memcmp(file + at + 4, "IHDR", 4) != 0)
        damaged("no header");
    check_size(big_endian(file + 16), big_endian(file + 20));
    if (!known_header(file + 16)) damaged("a header that no PNG has");
    Png found;
    found.depth = file[24], found.color = file[25];
    found.pixels = bare_start(file);
    std::map<std::string, Chunk> chunks;  // the first of each kind
    while (true) {
        if (length - at < 12 || big_endian(file + at) > length - at - 12) damaged("it is cut off");
        const std::size_t size = big_endian(file + at);
        const std::uint8_t* body = file + at + 8;
        const std::string kind(body - 4, body);
        if (crc32(body - 4, size + 4) != big_endian(body + size)) damaged("a wrong checksum");
        if (kind == "IEND") break;
        if (kind == "IDAT") found.pixels.insert(found.pixels.end(), file + at, body + size + 4);
        if (kind == "IDAT" || kind == "PLTE" || kind == "tRNS" || kind == "pHYs" || kind == "eXIf" || kind == "acTL")
            chunks.emplace(kind, Chunk{body, size});
        else if (kind[0] >= 'A' && kind[0] <= 'Z' && kind != "IHDR")
            throw Error(EDGE_ERROR_INPUT, "a PNG with a chunk that no decoder knows: save it as plain PNG");
        at += 12 + size;
    }
    if (!chunks.count("IDAT")) damaged("no picture");
    found.pixels.insert(found.pixels.end(), std::begin(END), std::end(END));
    if (const auto animation = chunks.find("acTL"); animation != chunks.end())
        if (animation->second.size < 4 || big_endian(animation->second.body) != 1)
            throw Error(EDGE_ERROR_INPUT, "an animated PNG, of several pictures: save the one that counts");
    const Chunk density = chunks["pHYs"], exif = chunks["eXIf"];
    if (density.size >= 8) check_aspect(big_endian(density.body), big_endian(density.body + 4));
    if (exif.size) found.orientation = exif_orientation(exif.body, exif.size);
    const Chunk palette = chunks["PLTE"], transparent = chunks["tRNS"];
    found.palette.assign(palette.body, palette.body + palette.size);
    found.transparent.assign(transparent.body, transparent.body + transparent.size);
    return found;
}

}  // namespace edge
