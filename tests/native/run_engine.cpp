// run_engine FORMAT MODEL THREADS INPUT NAME:SIZES [NAME:SIZES ...] - one network, for comparison with Python's engines.
//
// The first tensor is the input, such as image:1,1,150,180, and INPUT its float32 values. The outputs' values are
// written to standard output, one a line, in the order of their names.

#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

#include "engine.hpp"

namespace {

edge::Bytes load(const char* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(std::string("cannot read ") + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

edge::TensorSpec spec(const std::string& text) {
    const std::size_t colon = text.find(':');
    std::istringstream sizes(text.substr(colon + 1));
    edge::TensorSpec made{text.substr(0, colon), {}};
    for (std::string size; std::getline(sizes, size, ',');) made.shape.push_back(std::stoll(size));
    return made;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 7) return 2;
    edge::GraphSpec graph{spec(argv[5]), {}};
    for (int i = 6; i < argc; ++i) graph.outputs.push_back(spec(argv[i]));
    const std::string format = argv[1];
    const auto engine = edge::open_engine(format, load(argv[2]), graph, std::stoi(argv[3]));
    const edge::Bytes bytes = load(argv[4]);
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    const edge::Tensor picture{graph.input.shape, {values, values + bytes.size() / sizeof(float)}};
    engine->run(picture);  // the second run must not see the first
    for (const auto& [name, tensor] : engine->run(picture))
        for (const float value : tensor.values) std::printf("%.9g\n", static_cast<double>(value));
    return 0;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
