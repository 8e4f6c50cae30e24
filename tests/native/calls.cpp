// What tests/native/test_cpp.py asks of edge_sdk.hpp; one line an answer.

#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "edge_sdk.hpp"

namespace {

std::vector<std::uint8_t> file(const std::string& path) {
    std::ifstream from(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(from), {}};
}

template <typename Action>
void tell(const char* name, Action action) {
    std::cout << name << ' ';
    try {
        std::cout << action() << '\n';
    } catch (const edge_sdk::Error& error) {
        std::cout << edge_status_name(error.status()) << '\n';
    }
}

std::string opened(const std::string& bundle, const edge_sdk::Options& options) {
    return edge_sdk::Verifier(bundle, options).describe().variant;
}

}  // namespace

int main(int, char** given) {
    const std::string bundle = given[1], nul("x\0y", 3);
    const auto own = file(given[2]);
    const edge_sdk::Verifier verifier(bundle);
    const edge_sdk::Template enrolled = verifier.enroll({edge_sdk::encoded(own)});
    const edge_sdk::Gallery gallery = verifier.gallery({&enrolled, &enrolled});
    for (const std::size_t candidates : {std::size_t{0}, std::size_t{1}, SIZE_MAX})
        tell("candidates", [&] { return verifier.identify(gallery, edge_sdk::encoded(own), candidates).best.size(); });
    edge_sdk::TemplateKey key{};
    std::vector<std::uint8_t> sealed;
    tell("same", [&] {
        sealed = enrolled.encrypt(key);
        return edge_sdk::Template::decrypt(sealed, key).to_bytes() == enrolled.to_bytes();
    });
    key[31] = 1;
    tell("other", [&] { return edge_sdk::Template::decrypt(sealed, key).id(); });
    tell("path", [&] { return opened(bundle + nul, {}); });
    edge_sdk::Options options;
    options.public_keys = {nul};
    tell("key", [&] { return opened(bundle, options); });
    options = {};
    for (auto text : {&edge_sdk::Options::manifest_sha256, &edge_sdk::Options::variant,
                      &edge_sdk::Options::operating_point, &edge_sdk::Options::minimum_version})
        for (const std::string& value : {std::string(), nul}) {
            options.*text = value;
            tell(value.empty() ? "empty" : "nul", [&] { return opened(bundle, options); });
            options = {};
        }
}
