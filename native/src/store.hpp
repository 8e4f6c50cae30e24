// Where a bundle's files lie: in a folder, or in one uncompressed zip (archive.hpp). edge_sdk/bundle/stores.py.
//
// What a file holds is compared with its hash by bundle.cpp.

#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "edge_sdk.h"
#include "engine.hpp"

namespace edge {

// Throws Error(EDGE_ERROR_BUNDLE) unless a path is relative, stays inside the bundle and means the same file everywhere.
const std::string& check_path(const std::string& path);

// Without capital letters; those of ASCII alone, whatever the locale.
std::string lower_case(std::string text);

class Store {
  public:
    virtual ~Store() = default;

    // Whether anything has this name, be it a file that can be read or not.
    virtual bool has(const std::string& path) const = 0;

    // The bytes of a file; Error(status) if it is missing, no file, or of more than `limit` bytes.
    virtual Bytes read(const std::string& path, std::size_t limit,
                       edge_status status = EDGE_ERROR_INTEGRITY) const = 0;
};

// Throws Error: EDGE_ERROR_BUNDLE where there is nothing, EDGE_ERROR_INTEGRITY for neither a folder nor a sound zip.
std::unique_ptr<const Store> open_store(const std::filesystem::path& path);

}  // namespace edge
