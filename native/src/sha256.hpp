// SHA-256 (FIPS 180-4).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace edge {

// 32 bytes.
std::vector<std::uint8_t> sha256(const std::uint8_t* data, std::size_t length);

// 64 lower-case hex digits.
std::string sha256_hex(const std::vector<std::uint8_t>& data);

}  // namespace edge
