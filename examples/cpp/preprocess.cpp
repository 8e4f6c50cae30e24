// Write what the network would see, to compare with edge_sdk.preprocess.apply:
//
//     preprocess MANIFEST PICTURE OUT     (OUT: float32, native byte order, row by row)

#include "preprocess.hpp"

#include <iostream>

#include "bundle.hpp"
#include "images.hpp"

int main(int argc, char** argv) try {
    if (argc != 4) throw std::runtime_error("usage: preprocess MANIFEST PICTURE OUT");
    const edge::Json manifest = edge::Json::parse(edge::load(argv[1]));
    const cv::Mat tensor =
        edge::preprocess(manifest.at("preprocessing"), edge::decode(edge::load(argv[2])));
    std::ofstream out(argv[3], std::ios::binary);
    out.write(tensor.ptr<char>(), static_cast<std::streamsize>(tensor.total() * sizeof(float)));
    return out ? 0 : throw std::runtime_error(std::string("cannot write ") + argv[3]);
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 3;
}
