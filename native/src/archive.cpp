#include "archive.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>
#include <vector>

#include "error.hpp"

namespace edge {

namespace {

constexpr std::size_t MOST_MEMBERS = 1000, MOST_DIRECTORY_BYTES = std::size_t{1} << 20;

// The records of a zip begin with these numbers ("PK" and two more bytes); their sizes without names and extra fields.
constexpr std::uint32_t LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, ZIP64_LOCATOR = 0x07064b50;
constexpr std::size_t LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, ZIP64_LOCATOR_BYTES = 20;

constexpr std::uint32_t NEWEST_VERSION = 63, ENCRYPTED = 1, SIZES_BEHIND = 8, KIND_OF_FILE = 0xf000, LINK = 0xa000;

[[noreturn]] void refuse(const std::string& why) { throw Error(EDGE_ERROR_INTEGRITY, "the .edge file: " + why); }

class File {
  public:
    explicit File(const std::filesystem::path& path) : stream_(path, std::ios::binary | std::ios::ate) {
        const std::streamoff end = stream_ ? static_cast<std::streamoff>(stream_.tellg()) : -1;
        if (end < 0) throw Error(EDGE_ERROR_BUNDLE, "the .edge file cannot be read");
        size_ = static_cast<std::uint64_t>(end);
    }

    std::uint64_t size() const { return size_; }

    Bytes read(std::uint64_t at, std::uint64_t length) {
        if (at > size_ || length > size_ - at) refuse("it is no sound zip file, or cut");
        Bytes data(static_cast<std::size_t>(length));
        stream_.seekg(static_cast<std::streamoff>(at));
        if (!stream_.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
            refuse("it cannot be read");
        return data;
    }

  private:
    std::ifstream stream_;
    std::uint64_t size_ = 0;
};

// Little-endian whole numbers of a record.
std::uint32_t two(const Bytes& data, std::size_t at) { return data[at] | std::uint32_t{data[at + 1]} << 8; }
std::uint32_t four(const Bytes& data, std::size_t at) { return two(data, at) | two(data, at + 2) << 16; }

// What the directory says of a member.
struct Entry {
    std::uint32_t version, flags, method, crc, packed, size, attributes, header;
    std::string name;
};

// The directory, as the record at the end has it.
struct Directory {
    std::uint64_t start;
    std::size_t members;
};

// The size of the directory is looked at before it is read.
Directory find_directory(File& file) {
    const std::uint64_t tail = std::min<std::uint64_t>(file.size(), END_BYTES + ZIP64_LOCATOR_BYTES);
    const Bytes end = file.read(file.size() - tail, tail);
    if (end.size() < END_BYTES) refuse("it is cut, or no plain zip file");
    const std::size_t record = end.size() - END_BYTES;
    // A zip64 locator would overrule what follows it.
    if (four(end, record) != END || (record == ZIP64_LOCATOR_BYTES && four(end, 0) == ZIP64_LOCATOR))
        refuse("it is cut, or no plain zip file");
    const std::uint64_t size = four(end, record + 12), start = four(end, record + 16);
    if (size > MOST_DIRECTORY_BYTES) refuse("it has a directory of " + std::to_string(size) + " bytes");
    if (start + size + END_BYTES != file.size()) refuse("it has data before or behind the zip file");
    return {start, two(end, record + 10)};
}

std::vector<Entry> read_directory(File& file, const Directory& directory) {
    const Bytes data = file.read(directory.start, file.size() - END_BYTES - directory.start);
    std::vector<Entry> entries;
    for (std::size_t at = 0; at < data.size();) {
        if (data.size() - at < CENTRAL_BYTES || four(data, at) != CENTRAL) refuse("its directory is damaged");
        const std::size_t name = at + CENTRAL_BYTES, length = two(data, at + 28);
        const std::size_t whole = CENTRAL_BYTES + length + two(data, at + 30) + two(data, at + 32);
        if (data.size() - at < whole) refuse("its directory is damaged");
        entries.push_back({data[at + 6], two(data, at + 8), two(data, at + 10), four(data, at + 16),
                           four(data, at + 20), four(data, at + 24), four(data, at + 38), four(data, at + 42),
                           std::string(data.begin() + static_cast<std::ptrdiff_t>(name),
                                       data.begin() + static_cast<std::ptrdiff_t>(name + length))});
        if (entries.back().version > NEWEST_VERSION) refuse("it is a zip of a version still to come");
        if (entries.size() > MOST_MEMBERS) refuse("it has more than " + std::to_string(MOST_MEMBERS) + " members");
        at += whole;
    }
    if (entries.size() != directory.members) refuse("its directory has another number of members than it says");
    return entries;
}

// Where the data of a member begin, after its header was compared with the directory.
std::uint64_t locate(File& file, const Entry& entry) {
    const Bytes header = file.read(entry.header, LOCAL_BYTES);
    const std::size_t length = two(header, 26);
    bool same = four(header, 0) == LOCAL && two(header, 6) == entry.flags && two(header, 8) == entry.method &&
                four(header, 14) == entry.crc && four(header, 18) == entry.size && four(header, 22) == entry.size &&
                length == entry.name.size();
    if (same) {
        const Bytes name = file.read(std::uint64_t{entry.header} + LOCAL_BYTES, length);
        same = std::equal(name.begin(), name.end(), entry.name.begin(), entry.name.end(),
                          [](std::uint8_t byte, char letter) { return byte == static_cast<std::uint8_t>(letter); });
    }
    if (!same) refuse(entry.name + " differs in the directory and before its data");
    return std::uint64_t{entry.header} + LOCAL_BYTES + length + two(header, 28);
}

}  // namespace

Archive::Archive(std::filesystem::path path) : path_(std::move(path)) {
    File file(path_);
    const Directory directory = find_directory(file);
    std::set<std::string> seen;
    for (const Entry& entry : read_directory(file, directory)) {
        if (!entry.name.empty() && entry.name.back() == '/' && entry.size == 0) continue;  // files name folders anyway
        const std::string& name = check_path(entry.name);
        if ((entry.attributes >> 16 & KIND_OF_FILE) == LINK)
            throw Error(EDGE_ERROR_BUNDLE, "the .edge file: " + name + " is a link");
        if (entry.method != 0 || entry.packed != entry.size)
            refuse(name + " is compressed; members are stored (zip -0)");
        if (entry.flags & ENCRYPTED) refuse(name + " is encrypted");
        if (entry.flags & SIZES_BEHIND) refuse(name + " was written as a stream; write the zip to a file");
        if (!seen.insert(lower_case(name)).second) refuse(name + " is there twice");
        members_[name] = {entry.header, locate(file, entry), entry.size};
    }
    std::vector<std::pair<std::string, Member>> places(members_.begin(), members_.end());
    std::sort(places.begin(), places.end(),
              [](const auto& one, const auto& other) { return one.second.header < other.second.header; });
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto& [name, member] = places[i];
        const std::uint64_t end = i + 1 < places.size() ? places[i + 1].second.header : directory.start;
        if (member.start + member.size > end) refuse(name + " overlaps what follows it");
    }
}

bool Archive::has(const std::string& path) const { return members_.count(check_path(path)) > 0; }

Bytes Archive::read(const std::string& path, std::size_t limit, edge_status status) const {
    const auto found = members_.find(check_path(path));
    if (found == members_.end()) throw Error(status, path + " of the bundle is missing");
    const Member& member = found->second;
    if (member.size > limit) throw Error(status, path + " of the bundle has another size");
    return File(path_).read(member.start, member.size);
}

}  // namespace edge
