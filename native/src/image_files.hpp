// Whether files are whole, before OpenCV decodes them: its decoders hand back half a picture from half a file.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace edge {

constexpr int MOST_SIDE = 16384;
constexpr std::int64_t MOST_PIXELS = 64'000'000;

// Throws Error(EDGE_ERROR_INPUT) unless a picture of this size may be decoded.
void check_size(std::int64_t width, std::int64_t height);

// Throws Error(EDGE_ERROR_INPUT) for pixels about twice as high as wide, or as wide as high, as of a fax machine: by
// the pixels to some length that a file says it has across and down; 0 says nothing.
void check_aspect(double across, double down);

// The kinds of a PNG's pixels.
enum PngColor { PNG_GRAY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GRAY_ALPHA = 4, PNG_RGB_ALPHA = 6 };

// What a PNG file says of its pixels, and the pixels alone.
struct Png {
    int depth = 8, color = PNG_GRAY;
    std::vector<std::uint8_t> palette, transparent;  // what PLTE and tRNS hold
    int orientation = 1;                             // of EXIF, 1 to 8
    std::vector<std::uint8_t> pixels;  // a file of header, image data and end; indices of a palette as levels of gray
};

// Check the chunks of a PNG file and their checksums; of two chunks of a kind the first counts. Throws
// Error(EDGE_ERROR_INPUT).
Png check_png(const std::uint8_t* file, std::size_t length);

struct Jpeg {
    int orientation = 1;             // of EXIF, 1 to 8
    std::vector<std::uint8_t> file;  // the first picture, without what follows its end
};

// Check a baseline JPEG file: that its one scan has the code words of all blocks, and no others. Throws
// Error(EDGE_ERROR_INPUT), also for a progressive JPEG or one of several scans.
Jpeg check_jpeg(const std::uint8_t* file, std::size_t length);

// The orientation that an EXIF block says, 1 to 8; 1 if it says none or is damaged. Some writers put the prefix of
// JPEG's in front of any block.
int exif_orientation(const std::uint8_t* exif, std::size_t length);

}  // namespace edge
