// Write what the program makes of a face, to compare with edge_sdk: JSON on standard output, the aligned face in OUT.
//
//     faces FOLDER PICTURE TENSORS OUT
//
// FOLDER: locator.json (a manifest: preprocessing and score) and alignment.json. TENSORS: JSON of the network's outputs
// by name, {"shape": [...], "values": [...]} each.

#include "faces.hpp"

#include <iostream>

#include "bundle.hpp"
#include "images.hpp"

int main(int argc, char** argv) try {
    using edge::Json;
    if (argc != 5) throw std::runtime_error("usage: faces FOLDER PICTURE TENSORS OUT");
    const auto json = [](const std::filesystem::path& path) { return Json::parse(edge::load(path)); };
    const Json locator = json(std::filesystem::path(argv[1]) / "locator.json");
    const Json alignment = json(std::filesystem::path(argv[1]) / "alignment.json");
    const cv::Mat image = edge::decode(edge::load(argv[2]));
    const Json outputs = json(argv[3]);
    edge::Tensors tensors;
    for (const auto& [name, tensor] : outputs.items())
        tensors[name] = {tensor.at("shape").get<std::vector<std::int64_t>>(),
                         tensor.at("values").get<std::vector<float>>()};
    const auto found = edge::faces(locator, tensors, image.rows, image.cols, 0.5);
    Json said = {{"faces", Json::array()}, {"unfit", edge::unfit(image)}};
    for (const edge::Face& face : found) {
        Json points = Json::array();
        for (const cv::Point2d& point : face.points) points.push_back({point.x, point.y});
        said["faces"].push_back({{"box", {face.box.x, face.box.y, face.box.width, face.box.height}},
                                 {"points", points},
                                 {"confidence", face.confidence}});
    }
    if (!found.empty()) {
        const cv::Mat aligned = edge::align(alignment, image, found[0].points);
        said["sharpness"] = edge::sharpness(aligned);
        said["blocked"] = edge::assess(aligned, found[0].points, alignment, image.size(), false);
        said["not_enrolled"] = edge::assess(aligned, found[0].points, alignment, image.size(), true);
        std::ofstream(argv[4], std::ios::binary)
            .write(aligned.ptr<char>(), static_cast<std::streamsize>(aligned.total() * aligned.elemSize()));
    }
    std::cout << said.dump() << "\n";
    return 0;
} catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 3;
}
