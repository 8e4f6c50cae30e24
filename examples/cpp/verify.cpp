// Is the last signature by the person of the others?
//
//     verify BUNDLE [TRUST]                                        replay the golden trial
//     verify BUNDLE POINT REFERENCE [REFERENCE ...] QUERY [TRUST]  decide
//
//     verify app/deepsign.edge fmr_1e-2 reference.png query.png --key vendor.pub.pem --minimum-version 1.2.0
//
// BUNDLE is a bundle of signatures, its folder or .edge file. TRUST is --key FILE, the public key of who signs bundles,
// and --minimum-version VERSION; without a key any bundle opens, whoever made it. Exit codes are those of edge-sdk: 0
// passed or accepted, 1 rejected, 2 usage, 3 error.

#include <edge_sdk.hpp>

#include <iostream>

#include "files.hpp"
#include "trust.hpp"

int main(int argc, char** argv) try {
    edge_sdk::Options options = trusted(argc, argv);
    if (argc != 2 && argc < 5) {
        std::cerr << "usage: verify BUNDLE [POINT REFERENCE ... QUERY] [--key FILE] [--minimum-version VERSION]\n";
        return 2;
    }
    // An application that takes no updates says which manifest it was built for: options.manifest_sha256 = "...";
    if (argc > 2) options.operating_point = argv[2];
    const edge_sdk::Verifier verifier(argv[1], options);
    if (argc == 2) {
        std::cout << "passed: score " << verifier.selftest().score << '\n';
        return 0;
    }
    std::vector<std::vector<std::uint8_t>> files;
    for (int i = 3; i < argc; ++i) files.push_back(load(argv[i]));
    std::vector<edge_image> pictures;
    for (const auto& file : files) pictures.push_back(edge_sdk::encoded(file));
    const edge_image query = pictures.back();
    pictures.pop_back();

    const edge_verification result = verifier.verify(pictures, query);
    std::cout << (result.accepted ? "accepted" : "rejected") << ": score " << result.score << ", threshold "
              << result.threshold;
    for (const std::string& flag : edge_sdk::flag_names(result.flags)) std::cout << ", " << flag;
    std::cout << '\n';
    return result.accepted ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
