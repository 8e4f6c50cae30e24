// Whom to trust, for the examples: the end of the command line.

#pragma once

#include <edge_sdk.hpp>

#include "files.hpp"

// Takes "--key FILE", the public key of a signer, in PEM, and "--minimum-version VERSION" off the end of the arguments.
// By a key only bundles that it signed open; of several keys one has to have signed. Throws std::runtime_error where an
// option is wrong, lest a misspelled one is taken for none.
inline edge_sdk::Options trusted(int& argc, char** argv) {
    edge_sdk::Options options;
    for (; argc > 2; argc -= 2) {
        const std::string name = argv[argc - 2], value = argv[argc - 1];
        if (name == "--key") {
            const std::vector<std::uint8_t> pem = load(value);
            if (!options.public_keys) options.public_keys.emplace();
            options.public_keys->emplace_back(pem.begin(), pem.end());
        } else if (name == "--minimum-version") {
            options.minimum_version = value;
        } else {
            break;
        }
    }
    for (int i = 1; i < argc; ++i)
        if (std::string(argv[i]).rfind("--", 0) == 0)
            throw std::runtime_error(argv[i] + std::string(" is no option, lacks its value, or is not at the end"));
    return options;
}
