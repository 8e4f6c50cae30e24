// Baseline JPEG (ITU-T T.81): are the coded data those of all blocks, and of no others?
//
// libjpeg, with which OpenCV decodes, fills what is missing with gray and tells the terminal alone. So every code word
// is read here first, which takes a fraction of the decoding.

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>

#include "error.hpp"
#include "image_files.hpp"

namespace edge {

namespace {

constexpr std::size_t SPARE = 8;  // bytes behind the last block: some cameras write a few

[[noreturn]] void damaged(const char* why) { throw Error(EDGE_ERROR_INPUT, std::string("a damaged JPEG: ") + why); }

[[noreturn]] void unknown(const char* what) {
    throw Error(EDGE_ERROR_INPUT, std::string(what) + " JPEG: save it as a baseline JPEG or PNG");
}

// A Huffman table, by the length of a code: the first code, the last one, and where its symbols begin.
struct Table {
    Table(const std::uint8_t* counts, const std::uint8_t* values, std::size_t count) : symbols(values, values + count) {
        std::int32_t code = 0, before = 0;
        for (std::size_t length = 0; length < 16; ++length) {
            first[length] = code;
            start[length] = before;
            code += counts[length];
            before += counts[length];
            last[length] = code - 1;
            if (code > 1 << (length + 1)) damaged("a table that is none");
            code <<= 1;
        }
    }

    std::array<std::int32_t, 16> first{}, last{}, start{};
    std::vector<std::uint8_t> symbols;
};

// The bits of one restart interval.
class Bits {
  public:
    Bits(const std::uint8_t* data, std::size_t length) : data_(data), length_(length) {}

    int bit() {
        if (left_ == 0) {
            if (at_ == length_) damaged("data are missing");
            byte_ = data_[at_++];
            if (byte_ == 0xff) ++at_;  // the zero that is stuffed behind it: see coded()
            left_ = 8;
        }
        return byte_ >> --left_ & 1;
    }

    void skip(int count) {
        while (count-- > 0) bit();
    }

    std::uint8_t symbol(const Table& table) {
        std::int32_t code = 0;
        for (std::size_t length = 0; length < 16; ++length) {
            code = code << 1 | bit();
            if (code <= table.last[length] && code >= table.first[length])
                return table.symbols[static_cast<std::size_t>(table.start[length] + code - table.first[length])];
        }
        damaged("a code that stands for nothing");
    }

    // Whole bytes that nobody read.
    std::size_t spare() const { return length_ - at_; }

  private:
    const std::uint8_t* data_;
    std::size_t length_, at_ = 0;
    int byte_ = 0, left_ = 0;
};

struct Component {
    std::uint8_t number = 0;
    std::int64_t across = 1, down = 1;
    const Table *dc = nullptr, *ac = nullptr;
};

struct Frame {
    std::int64_t width = 0, height = 0;
    std::vector<Component> components;
};

Frame frame_of(const std::uint8_t* body, std::size_t size) {
    if (size < 6 || size != 6 + std::size_t{3} * body[5]) damaged("a header of another length");
    Frame frame;
    frame.height = body[1] << 8 | body[2];
    frame.width = body[3] << 8 | body[4];
    check_size(frame.width, frame.height);
    if (body[0] != 8) unknown("a 12-bit");
    if (body[5] != 1 && body[5] != 3) unknown("a CMYK or two-component");
    for (std::size_t i = 0; i < body[5]; ++i) {
        const std::uint8_t* part = body + 6 + 3 * i;
        const std::int64_t across = part[1] >> 4, down = part[1] & 15;
        if (across < 1 || across > 4 || down < 1 || down > 4) damaged("sampling factors that none has");
        frame.components.push_back({part[0], across, down, nullptr, nullptr});
    }
    return frame;
}

void block(Bits& bits, const Component& component) {
    const int size = bits.symbol(*component.dc);
    if (size > 11) damaged("a coefficient that is too large");
    bits.skip(size);
    for (int k = 1; k < 64; ++k) {
        const int symbol = bits.symbol(*component.ac), run = symbol >> 4, width = symbol & 15;
        if (width == 0 && run != 15) break;  // end of block
        k += run;
        if (k > 63 || width > 10) damaged("coefficients of no block");
        bits.skip(width);
    }
}

// Where coded data end: at the first marker that is no restart marker. Their intervals are put into `parts`.
std::size_t coded(const std::uint8_t* file, std::size_t length, std::size_t at,
                  std::vector<std::pair<std::size_t, std::size_t>>& parts) {
    std::size_t start = at;
    for (; at + 1 < length; ++at) {
        if (file[at] != 0xff) continue;
        const std::uint8_t behind = file[at + 1];
        if (behind == 0) {
            ++at;
            continue;
        }
        const bool restart = (behind & 0xf8) == 0xd0;
        if (restart && behind != 0xd0 + parts.size() % 8) damaged("restart markers out of order");
        parts.emplace_back(start, at - start);
        if (!restart) return at;
        start = at + 2;
        ++at;
    }
    damaged("it is cut off");
}

}  // namespace

Jpeg check_jpeg(const std::uint8_t* file, std::size_t length) {
    Jpeg found;
    bool exif = false;
    std::map<int, Table> tables;  // DC 0x00 and up, AC 0x10 and up
    Frame frame;
    std::size_t interval = 0, at = 2, scans = 0;
    while (true) {
        if (length - at < 2 || file[at] != 0xff) damaged("no marker where one must be");
        while (at + 1 < length && file[at + 1] == 0xff) ++at;  // fill bytes
        if (length - at < 2) damaged("it is cut off");
        const std::uint8_t marker = file[at + 1];
        at += 2;
        if (marker == 0xd9) break;
        if (length - at < 2) damaged("it is cut off");
        const std::size_t size = static_cast<std::size_t>(file[at] << 8 | file[at + 1]);
        if (size < 2 || size > length - at) damaged("it is cut off");
        const std::uint8_t* body = file + at + 2;
        const std::size_t body_size = size - 2;
        at += size;
        if (marker == 0xc4) {
            for (std::size_t i = 0; i < body_size;) {
                if (body_size - i < 17) damaged("a table that is cut off");
                std::size_t count = 0;
                for (std::size_t k = 1; k <= 16; ++k) count += body[i + k];
                if (count > 256 || body_size - i - 17 < count) damaged("a table that is cut off");
                tables.insert_or_assign(body[i], Table(body + i + 1, body + i + 17, count));
                i += 17 + count;
            }
        } else if (marker == 0xc0 || marker == 0xc1) {
            if (!frame.components.empty()) damaged("several frames");
            frame = frame_of(body, body_size);
        } else if (marker == 0xc2) {
            unknown("a progressive");
        } else if (marker > 0xc2 && marker < 0xd0 && marker != 0xc8) {
            unknown("a lossless or arithmetic-coded");
        } else if (marker == 0xe0 && body_size >= 12 && std::memcmp(body, "JFIF", 5) == 0) {
            check_aspect(body[8] << 8 | body[9], body[10] << 8 | body[11]);
        } else if (marker == 0xe1 && !exif && body_size > 6 && std::memcmp(body, "Exif", 5) == 0) {
            exif = true;  // other blocks of this marker hold XMP, or what a vendor likes
            found.orientation = exif_orientation(body + 6, body_size - 6);
        } else if (marker == 0xdd) {
            if (body_size != 2) damaged("a restart interval of another length");
            interval = static_cast<std::size_t>(body[0] << 8 | body[1]);
        } else if (marker == 0xda) {
            const std::size_t count = frame.components.size();
            if (++scans > 1 || body_size < 1 || body[0] != count || body_size != 4 + 2 * count || count == 0)
                unknown("a several-scan");
            for (std::size_t i = 0; i < count; ++i) {
                Component& one = frame.components[i];
                const auto dc = tables.find(body[2 + 2 * i] >> 4), ac = tables.find(0x10 | (body[2 + 2 * i] & 15));
                if (body[1 + 2 * i] != one.number || dc == tables.end() || ac == tables.end())
                    damaged("a scan without its tables");
                one.dc = &dc->second, one.ac = &ac->second;
                if (count == 1) one.across = one.down = 1;  // blocks, whatever the factors say
            }
            std::int64_t across = 1, down = 1;
            for (const Component& one : frame.components)
                across = std::max(across, one.across), down = std::max(down, one.down);
            const auto units = static_cast<std::size_t>(((frame.width + 8 * across - 1) / (8 * across)) *
                                                        ((frame.height + 8 * down - 1) / (8 * down)));
            std::vector<std::pair<std::size_t, std::size_t>> parts;
            at = coded(file, length, at, parts);
            const std::size_t step = interval ? interval : units, expected = (units + step - 1) / step;
            if (parts.size() == expected + 1 && parts.back().second == 0) parts.pop_back();  // one marker more
            if (parts.size() != expected) damaged("restart markers are missing");
            for (std::size_t n = 0; n < expected; ++n) {
                Bits bits(file + parts[n].first, parts[n].second);
                for (std::size_t unit = n * step; unit < std::min(units, (n + 1) * step); ++unit)
                    for (const Component& one : frame.components)
                        for (std::int64_t k = 0; k < one.across * one.down; ++k) block(bits, one);
                if (bits.spare() > SPARE) damaged("data are left over");
            }
        } else if (marker < 0xe0 && marker != 0xdb) {
            damaged("a marker where none may be");
        }
    }
    if (scans != 1) damaged("no picture");
    found.file.assign(file, file + at);
    return found;
}

}  // namespace edge
