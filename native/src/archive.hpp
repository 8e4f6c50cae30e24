// A bundle as one uncompressed zip (NAME.edge), in one reading only: edge_sdk/bundle/archive.py.
//
// A zip says everything twice, in its directory and before each member, and readers that believe different halves see
// different files. So both must agree, members may not overlap, and nothing stands before or behind the zip.

#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "store.hpp"

namespace edge {

class Archive : public Store {
  public:
    // Reads and checks the directory. Throws Error: EDGE_ERROR_BUNDLE for a name that leaves the bundle and for links,
    // EDGE_ERROR_INTEGRITY for all else that is no sound zip.
    explicit Archive(std::filesystem::path path);

    bool has(const std::string& path) const override;
    Bytes read(const std::string& path, std::size_t limit, edge_status status) const override;

  private:
    struct Member {
        std::uint64_t header;  // where it begins
        std::uint64_t start;   // where its data begin
        std::uint64_t size;
    };

    std::filesystem::path path_;
    std::map<std::string, Member> members_;
};

}  // namespace edge
