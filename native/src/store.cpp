#include "store.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <string_view>
#include <utility>

#include "archive.hpp"
#include "error.hpp"

namespace edge {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t LONGEST_PATH = 200;

bool is_word(char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || (letter >= '0' && letter <= '9') ||
           letter == '_';
}

// A name that Windows takes for a device, with whatever suffix.
bool is_device(std::string_view segment) {
    const std::string stem = lower_case(std::string(segment.substr(0, segment.find('.'))));
    if (stem.size() == 4 && stem[3] >= '0' && stem[3] <= '9')
        return stem.compare(0, 3, "com") == 0 || stem.compare(0, 3, "lpt") == 0;
    static const std::set<std::string> devices = {"con", "prn", "aux", "nul"};
    return devices.count(stem) > 0;
}

bool is_portable(std::string_view segment) {
    return !segment.empty() && is_word(segment.front()) && (is_word(segment.back()) || segment.back() == '-') &&
           std::all_of(segment.begin(), segment.end(),
                       [](char letter) { return is_word(letter) || letter == '.' || letter == '-'; }) &&
           !is_device(segment);
}

class Folder : public Store {
  public:
    explicit Folder(fs::path root) : root_(std::move(root)) {}

    bool has(const std::string& path) const override {
        std::error_code error;
        return fs::exists(fs::symlink_status(root_ / fs::u8path(check_path(path)), error));
    }

    Bytes read(const std::string& path, std::size_t limit, edge_status status) const override {
        const fs::path place = root_ / fs::u8path(check_path(path));
        std::error_code error;
        if (!fs::is_regular_file(fs::status(place, error)))
            throw Error(status, path + " of the bundle is missing, or no file");
        const auto size = fs::file_size(place, error);
        if (error || size > limit) throw Error(status, path + " of the bundle has another size");
        std::ifstream file(place, std::ios::binary);
        Bytes data(static_cast<std::size_t>(size));
        if (!file || !file.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size())))
            throw Error(status, path + " of the bundle cannot be read");
        return data;
    }

  private:
    fs::path root_;
};

}  // namespace

const std::string& check_path(const std::string& path) {
    bool fine = path.size() <= LONGEST_PATH;
    for (std::size_t start = 0; fine && start <= path.size();) {
        const std::size_t end = std::min(path.find('/', start), path.size());
        fine = is_portable(std::string_view(path).substr(start, end - start));
        start = end + 1;
    }
    if (!fine) throw Error(EDGE_ERROR_BUNDLE, "unsafe path in the bundle: " + path.substr(0, LONGEST_PATH));
    return path;
}

std::string lower_case(std::string text) {
    for (char& letter : text)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return text;
}

std::unique_ptr<const Store> open_store(const fs::path& path) {
    std::error_code error;
    const fs::file_status found = fs::status(path, error);
    if (!fs::exists(found))
        throw Error(EDGE_ERROR_BUNDLE, "there is no bundle at " + path.u8string() + ", or it may not be read");
    if (fs::is_directory(found)) return std::make_unique<Folder>(path);
    if (!fs::is_regular_file(found))
        throw Error(EDGE_ERROR_INTEGRITY, path.u8string() + " is neither a folder nor a file");
    return std::make_unique<Archive>(path);
}

}  // namespace edge
