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

// What a file says of its pixels.
struct Png {
    bool alpha = false;
    int orientation = 1;  // of EXIF, 1 to 8
};

// Check the chunks of a PNG file and their checksums; throws Error(EDGE_ERROR_INPUT).
Png check_png(const std::uint8_t* file, std::size_t length);

// Check a baseline JPEG file: that its one scan has the code words of all blocks, and no others. Throws
// Error(EDGE_ERROR_INPUT), also for a progressive JPEG or one of several scans.
//
// Returns the first picture of the file, without what follows its end.
std::vector<std::uint8_t> check_jpeg(const std::uint8_t* file, std::size_t length);

// The orientation that an EXIF block says, 1 to 8; 1 if it says none.
int exif_orientation(const std::uint8_t* exif, std::size_t length);

}  // namespace edge
