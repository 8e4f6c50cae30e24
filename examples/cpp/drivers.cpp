// Who of a few drivers is it, if it is a live face of one of them?
//
//     drivers LOCATOR LIVENESS APCER FACES FMR PROBE NAME FRAME [NAME FRAME ...] [TRUST]
//
//     drivers face_locator liveness apcer_5e-2 face_lite fmr_1e-3 now.png ann 1.png ann 2.png ben 3.png
//
// The bundles are folders or .edge files; APCER and FMR are operating points of them; a name's frames together are its
// enrolment. TRUST is --key FILE, the public key of who signs the bundles, and --minimum-version VERSION of all three;
// without a key any bundles open, whoever made them. Every frame must show one live face. A unit watches a camera and
// asks of many frames in a row: one frame says little.
// Exit codes: 0 somebody, 1 nobody, or nobody who is live; 2 usage; 3 error.

#include <edge_sdk.hpp>

#include <deque>
#include <iostream>
#include <iterator>
#include <map>

#include "files.hpp"
#include "trust.hpp"

namespace {

// A line why nobody is let in.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The picture of a file that shows a live face.
class Frames {
  public:
    explicit Frames(const edge_sdk::SpoofDetector& detector) : detector_(detector) {}

    edge_image live(const std::string& path) {
        files_.push_back(load(path));
        const edge_image frame = edge_sdk::encoded(files_.back());
        const edge_liveness result = detector_.detect(frame);
        if (result.decision == EDGE_LIVE) return frame;
        std::string why = path + (result.decision == EDGE_SPOOF ? " shows no live face" : " cannot be judged");
        for (const std::string& flag : edge_sdk::flag_names(result.flags)) why += ", " + flag;
        throw Refused(why);
    }

  private:
    const edge_sdk::SpoofDetector& detector_;
    std::deque<std::vector<std::uint8_t>> files_;  // pictures point into them
};

}  // namespace

int main(int argc, char** argv) try {
    edge_sdk::Options options = trusted(argc, argv);
    if (argc < 9 || argc % 2 == 0) {
        std::cerr << "usage: drivers LOCATOR LIVENESS APCER FACES FMR PROBE NAME FRAME [NAME FRAME ...]"
                     " [--key FILE] [--minimum-version VERSION]\n";
        return 2;
    }
    const edge_sdk::Locator locator(argv[1], options);
    options.locator = &locator;
    options.operating_point = argv[3];
    const edge_sdk::SpoofDetector detector(argv[2], options);
    options.operating_point = argv[5];
    const edge_sdk::Verifier verifier(argv[4], options);

    Frames frames(detector);
    std::map<std::string, std::vector<edge_image>> people;
    for (int i = 7; i + 1 < argc; i += 2) people[argv[i]].push_back(frames.live(argv[i + 1]));
    std::vector<edge_sdk::Template> templates;
    for (const auto& [name, references] : people) templates.push_back(verifier.enroll(references));
    std::vector<const edge_sdk::Template*> all;
    for (const edge_sdk::Template& one : templates) all.push_back(&one);
    const edge_sdk::Gallery gallery = verifier.gallery(all);

    const edge_sdk::Identification result = verifier.identify(gallery, frames.live(argv[6]));
    if (!result.identified) throw Refused("nobody of them: score " + std::to_string(result.score));
    std::cout << std::next(people.begin(), static_cast<std::ptrdiff_t>(result.person))->first << ": score "
              << result.score << ", threshold " << result.threshold << '\n';
    return 0;
} catch (const Refused& refused) {
    std::cout << refused.what() << '\n';
    return 1;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 3;
}
