// What tests/native/test_cpp.py asks of edge_sdk.hpp; one line an answer.

#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
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

// What an application's check of signatures says, or throws.
void trust(const std::string& signed_bundle, const std::string& key) {
    edge_sdk::Options options;
    options.public_keys = {key};
    for (const bool right : {true, false}) {
        options.verify_ed25519 = [&](auto...) { return right; };
        tell(right ? "right" : "wrong", [&] { return opened(signed_bundle, options); });
    }
    options.verify_ed25519 = [](auto...) -> bool { throw std::runtime_error("no provider"); };
    tell("throws", [&] { return opened(signed_bundle, options); });
    tell("because", [&]() -> std::string {
        try {
            return opened(signed_bundle, options);
        } catch (const edge_sdk::Error& error) {
            try {
                std::rethrow_if_nested(error);
            } catch (const std::runtime_error& problem) {
                return problem.what();
            }
            return error.what();
        }
    });
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
    edge_sdk::TemplateKey secret{};
    std::vector<std::uint8_t> sealed;
    tell("same", [&] {
        sealed = enrolled.encrypt(secret);
        return edge_sdk::Template::decrypt(sealed, secret).to_bytes() == enrolled.to_bytes();
    });
    secret[31] = 1;
    tell("other", [&] { return edge_sdk::Template::decrypt(sealed, secret).id(); });
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
    const auto key = file(given[4]);
    trust(given[3], {key.begin(), key.end()});
}
