#include "session.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <utility>

#include "error.hpp"
#include "images.hpp"
#include "preprocess.hpp"

namespace edge {

namespace {

constexpr double CLEARLY = 2.0;     // a face so many times as wide as the next one is the one that counts
constexpr double AS_CASCADE = 0.9;  // of the locator's box: liveness networks were trained on OpenCV's cascade
constexpr double UNIT = 0.01;       // how far from 1 the length of a scaled embedding may be
constexpr double LARGEST = 1e9;     // of thresholds
constexpr double SMALLEST = 0.2;    // face that counts, as a share of the picture's shorter side
const char* const CUSTOM = "custom";
constexpr std::size_t LONGEST_SPACE = 200;  // the embedding space's id, which templates hold

double finite(double score) {
    if (!std::isfinite(score)) throw Error(EDGE_ERROR_ENGINE, "a score that is not finite");
    return score;
}

double eight_digits(double value) { return std::nearbyint(value * 1e8) / 1e8; }

int task_of(const std::string& task) {
    if (task == "verify") return EDGE_TASK_VERIFY;
    if (task == "spoof") return EDGE_TASK_SPOOF;
    if (task == "locate") return EDGE_TASK_LOCATE;
    throw Error(EDGE_ERROR_UNSUPPORTED, "a bundle of task " + task + ", which this library does not have");
}

[[noreturn]] void usage(const std::string& why) { throw Error(EDGE_ERROR_USAGE, why); }

bool of_length_1(const Embedding& embedding) {
    double squares = 0;
    for (const double value : embedding) squares += value * value;
    return std::abs(std::sqrt(squares) - 1) < UNIT;
}

// Of all pictures, as a result gives them.
Flags together(const std::vector<Prepared>& pictures) {
    Flags flags;
    for (const Prepared& picture : pictures) flags.add(picture.flags);
    return flags;
}

}  // namespace

std::shared_ptr<const Session> Session::open(const std::filesystem::path& path, const Options& options) {
    Bundle bundle(path, options.trust);
    const std::string variant = bundle.choose(options.variant);
    auto engine = open_engine(variant.substr(variant.rfind('.') + 1), bundle.model(variant), bundle.graph(),
                              options.threads);
    const auto session =
        std::make_shared<const Session>(std::move(bundle), variant, std::move(engine), options);
    if (options.selftest) {
        const edge_replay replay = session->selftest();
        if (!replay.passed)
            throw Error(EDGE_ERROR_SELFTEST, "the golden trial scores " + std::to_string(replay.score) + " with " +
                                                 variant + ", not " + std::to_string(replay.expected) +
                                                 ": the bundle was changed, or this device computes it wrongly");
    }
    return session;
}

Session::Session(Bundle bundle, std::string variant, std::unique_ptr<Engine> engine, const Options& options)
    : bundle_(std::move(bundle)),
      variant_(std::move(variant)),
      model_sha256_(bundle_.model_sha256(variant_)),
      version_(bundle_.version()),
      modality_(bundle_.modality()),
      engine_name_(engine_for(variant_.substr(variant_.rfind('.') + 1))),
      task_(task_of(bundle_.task())),
      faces_cut_out_(options.faces_cut_out),
      smallest_face_(options.smallest_face.value_or(SMALLEST)),
      graph_(bundle_.graph()),
      engine_(std::move(engine)),
      locator_(options.locator) {
    check_operations(bundle_.preprocessing());
    const auto output = [this](const std::string& name) { return bundle_.output(name); };
    const auto auxiliary = [this](const std::string& path) { return bundle_.auxiliary(path); };
    const Json alignment = bundle_.source("alignment"), crop = bundle_.source("face");
    if (task_ == EDGE_TASK_VERIFY) {
        const Json& space = bundle_.manifest().at("embedding_space_id");
        if (space.is_string()) space_ = space;
        if (space_.empty() || space_.size() > LONGEST_SPACE)
            throw Error(EDGE_ERROR_BUNDLE, "a bundle of task verify without an embedding space, or of too long a name");
        comparison_ = open_comparison(bundle_.score(), auxiliary);
        embedding_ = bundle_.output(bundle_.score().at("output"));
        if (modality_ == "signature")
            signatures_.emplace(bundle_.preprocessing(), bundle_.source("region"),
                                bundle_.manifest().value("familiarity", Json()));
        else if (!alignment.is_null())
            alignment_.emplace(alignment);
        else if (!crop.is_null())
            crop_.emplace(crop);
    } else if (task_ == EDGE_TASK_SPOOF) {
        liveness_ = open_liveness(bundle_.score(), output, auxiliary);
        range_ = liveness_->range();
        crop_.emplace(crop.is_null() ? Json{{"scale", 1.0}, {"overflow", "replicate"}} : crop);
    } else {
        boxes_.emplace(bundle_.score(), bundle_.preprocessing());
        for (const std::string& name : boxes_->outputs()) bundle_.output(name);
    }

    if (options.smallest_face && !boxes_) usage("the smallest face is the locator's");
    const bool finds_faces = alignment_ || crop_;
    if (faces_cut_out_ && !finds_faces) usage(bundle_.name() + " takes no faces that were cut out");
    if (locator_ && locator_->task_ != EDGE_TASK_LOCATE) usage("the locator's bundle does not locate faces");
    if (locator_ && (!finds_faces || faces_cut_out_)) usage(bundle_.name() + " needs no locator here");
    if (!locator_ && finds_faces && !faces_cut_out_)
        usage(bundle_.name() + " takes frames, in which a locator finds the face: give one, or cut faces out");

    if (options.threshold && !options.operating_point.empty())
        usage("a threshold replaces the operating point: give one of them");
    const auto [low, high] = range_;
    if (options.threshold) {
        const double own = *options.threshold;
        if (!std::isfinite(own) || !(own > low && own <= high)) usage("a threshold that every score reaches, or none");
        points_ = {{CUSTOM, own, 0}};
    } else {
        points_ = bundle_.points(variant_, options.operating_point);
        for (const Threshold& point : points_)
            if (!(point.value > low && std::abs(point.value) <= LARGEST))
                throw Error(EDGE_ERROR_BUNDLE, "the manifest has a threshold that accepts everything");
    }
}

void Session::require(int task) const {
    if (task_ != task) usage(bundle_.name() + " is of another task than this call");
}

const Threshold& Session::deciding(std::size_t references) const { return point_for(points_, references); }

Binding Session::binding() const { return {space_, variant_, model_sha256_, bundle_.name()}; }

edge_info Session::describe() const {
    const Threshold& point = deciding(1);
    edge_info info{};
    info.struct_size = sizeof info;
    info.task = task_;
    info.name = bundle_.name().c_str();
    info.version = version_.c_str();
    info.modality = modality_.c_str();
    info.variant = variant_.c_str();
    info.engine = engine_name_.c_str();
    info.operating_point = point.name.c_str();
    info.manifest_sha256 = bundle_.sha256().c_str();
    info.threshold = point.value;
    return info;
}

// --- the network ---

// The picture, if it has the shape of the network's input.
Tensor Session::checked(Tensor picture) const {
    if (picture.shape != graph_.input.shape)
        throw Error(EDGE_ERROR_BUNDLE, "the manifest's pre-processing gives another shape than its network takes");
    return picture;
}

Tensors Session::run(const Tensor& picture) const {
    Tensors tensors;
    try {
        const std::lock_guard<std::mutex> alone(running_);
        tensors = engine_->run(picture);
    } catch (const Error&) {
        throw;
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& error) {
        throw Error(EDGE_ERROR_ENGINE, std::string("the engine failed: ") + error.what());
    }
    for (const TensorSpec& output : graph_.outputs) {
        const auto found = tensors.find(output.name);
        if (found == tensors.end() || found->second.shape != output.shape ||
            found->second.values.size() != elements(output.shape))
            throw Error(EDGE_ERROR_ENGINE, "the engine gave no " + output.name + " of the manifest's shape");
    }
    return tensors;
}

Embedding Session::embed(const Prepared& prepared) const {
    Embedding embedding = run(prepared.tensor).at(embedding_).values;
    try {
        normalised(embedding);
    } catch (const std::domain_error& error) {
        throw Error(EDGE_ERROR_ENGINE, std::string("the engine gave ") + error.what());
    }
    return embedding;
}

// --- from a picture to the network's input ---

Prepared Session::whole(const cv::Mat& image) const {
    const Json& operations = bundle_.preprocessing();
    return {checked(tensor(edge::run(operations.cbegin(), operations.cend(), image))), {}};
}

Prepared Session::cut_out(const cv::Mat& face, Flags flags) const {
    Prepared prepared = whole(face);
    prepared.flags = flags;
    return prepared;
}

Prepared Session::prepare(const cv::Mat& image, bool aligned) const {
    if (signatures_) {
        Prepared prepared = signatures_->prepare(image);
        prepared.tensor = checked(std::move(prepared.tensor));
        return prepared;
    }
    if (!alignment_ && !crop_) return whole(image);
    if (!aligned) return face(image);
    if (alignment_ && image.rows != image.cols) usage("a picture that is no square is no aligned face");
    return cut_out(image, assess_face(image, alignment_ ? &*alignment_ : nullptr, nullptr, image.size()));
}

// The only face of a frame, or the one that is clearly the largest.
Prepared Session::face(const cv::Mat& frame) const {
    const auto none = [](std::uint64_t flags) {
        Prepared prepared;
        prepared.flags.block(flags);
        return prepared;
    };
    if (const std::uint64_t unfit = assess_frame(frame)) return none(unfit);
    std::vector<Face> found = locator_->locate(frame);
    std::stable_sort(found.begin(), found.end(), [](const Face& a, const Face& b) { return a.width() > b.width(); });
    if (found.empty()) return none(EDGE_FLAG_NO_FACE);
    const bool others = found.size() > 1;
    if (others && found[0].width() < CLEARLY * found[1].width()) return none(EDGE_FLAG_SEVERAL_FACES);
    Flags flags;
    if (others) flags.refuse_to_enroll(EDGE_FLAG_OTHER_FACES);
    if (crop_) {
        const cv::Mat cut = (*crop_)(frame, found[0].box);
        flags.add(assess_face(cut, nullptr, nullptr, frame.size()));
        return cut_out(cut, flags);
    }
    const auto aligned = (*alignment_)(frame, found[0].points);
    if (!aligned) return none(EDGE_FLAG_NO_FACE);
    flags.add(assess_face(*aligned, &*alignment_, &found[0].points, frame.size()));
    return cut_out(*aligned, flags);
}

// --- verify, enrol, identify ---

edge_verification Session::blocked(const Flags& flags, std::size_t count) const {
    const Threshold& point = deciding(count);
    const Compared worst = comparison_->worst();
    edge_verification result{};
    result.struct_size = sizeof result;
    result.score = worst.score, result.raw_score = worst.raw;
    result.threshold = point.value, result.references = point.references;
    result.flags = flags.raised, result.blocking = flags.blocking;
    return result;
}

edge_verification Session::decide(const Person& person, const Flags& flags, const Embedding& query,
                                  std::size_t count) const {
    edge_verification result = blocked(flags, count);
    const Compared compared = person.compare(query);
    result.score = finite(compared.score), result.raw_score = compared.raw;
    result.accepted = !flags.blocking && result.score >= result.threshold;
    return result;
}

edge_verification Session::verify(const std::vector<const edge_image*>& references, const edge_image* query) const {
    require(EDGE_TASK_VERIFY);
    std::vector<Prepared> pictures;
    for (const edge_image* reference : references) pictures.push_back(prepare(picture(reference), faces_cut_out_));
    pictures.push_back(prepare(picture(query), faces_cut_out_));
    const Flags flags = together(pictures);
    if (flags.blocking) return blocked(flags, references.size());
    std::vector<Embedding> embeddings;
    for (const Prepared& prepared : pictures) embeddings.push_back(embed(prepared));
    const Embedding asked = embeddings.back();
    embeddings.pop_back();
    return decide(*comparison_->person(embeddings), flags, asked, references.size());
}

// Whether the network scales embeddings to length 1, which a manifest does not say: seen on two even pictures.
bool Session::scales() const {
    std::call_once(looked_, [this] {
        bool unit = true;
        for (const float level : {0.0f, 1.0f}) {
            const std::vector<std::int64_t>& shape = graph_.input.shape;
            const Tensor even{shape, std::vector<float>(elements(shape), level)};
            unit = unit && of_length_1(run(even).at(embedding_).values);
        }
        scales_ = unit;
    });
    return scales_;
}

std::unique_ptr<Person> Session::person(const Template& enrolled) const {
    const auto refuse = [](const std::string& why) { throw Error(EDGE_ERROR_TEMPLATE, why); };
    if (enrolled.binding.embedding_space_id != space_)
        refuse("template of " + enrolled.binding.bundle_name + " is of another embedding space than " + bundle_.name() +
               ": enrol again");
    if (enrolled.binding.variant_sha256 != model_sha256_)
        refuse("template was made by " + enrolled.binding.variant_id + ", this is " + variant_ +
               ": no operating point was measured for the mix; enrol again");
    for (const TensorSpec& output : graph_.outputs)
        if (output.name == embedding_ && enrolled.references[0].size() != elements(output.shape))
            refuse("template of embeddings of another size than the network gives: enrol again");
    if (!std::all_of(enrolled.references.begin(), enrolled.references.end(), of_length_1) && scales())
        refuse("template of embeddings of another length than 1, to which the network scales them: enrol again");
    return comparison_->person(enrolled.references);
}

edge_verification Session::verify(const Template& enrolled, const cv::Mat& query) const {
    require(EDGE_TASK_VERIFY);
    const auto known = person(enrolled);
    const Prepared picture = prepare(query, faces_cut_out_);
    const std::size_t count = enrolled.references.size();
    if (picture.flags.blocking) return blocked(picture.flags, count);
    return decide(*known, picture.flags, embed(picture), count);
}

Template Session::enroll(const std::vector<const edge_image*>& references) const {
    require(EDGE_TASK_VERIFY);
    std::vector<Prepared> pictures;
    for (const edge_image* reference : references) {
        pictures.push_back(prepare(picture(reference), faces_cut_out_));
        const Flags& flags = pictures.back().flags;
        if (flags.blocking || flags.not_enrolled)
            throw Error(EDGE_ERROR_UNUSABLE_SAMPLE, "reference " + std::to_string(pictures.size()) + " of " +
                                                        std::to_string(references.size()) + ": " +
                                                        names(flags.raised) + "; enrol another one");
    }
    Template made{binding(), {}, 0, Template::new_id()};
    for (const Prepared& prepared : pictures) made.references.push_back(embed(prepared));
    comparison_->person(made.references);
    return made;
}

Gallery Session::gallery(const std::vector<const Template*>& templates) const {
    require(EDGE_TASK_VERIFY);
    Gallery made{bundle_.sha256(), variant_, {}, {}};
    for (const Template* one : templates) {
        made.people.push_back(person(*one));
        made.references.push_back(one->references.size());
    }
    return made;
}

edge_identification Session::identify(const Gallery& gallery, const cv::Mat& probe,
                                      std::vector<edge_candidate>& candidates) const {
    require(EDGE_TASK_VERIFY);
    if (gallery.manifest_sha256 != bundle_.sha256() || gallery.variant != variant_)
        throw Error(EDGE_ERROR_TEMPLATE, "the gallery is of another bundle or variant: make it anew of its templates");
    const Prepared picture = prepare(probe, faces_cut_out_);
    candidates.clear();
    edge_verification best = blocked(
        picture.flags, *std::min_element(gallery.references.begin(), gallery.references.end()));
    edge_identification result{};
    if (!picture.flags.blocking) {
        const Embedding query = embed(picture);
        for (std::size_t i = 0; i < gallery.people.size(); ++i) {
            const Compared compared = gallery.people[i]->compare(query);
            candidates.push_back({i, finite(compared.score), compared.raw});
        }
        std::stable_sort(candidates.begin(), candidates.end(),
                         [](const edge_candidate& a, const edge_candidate& b) { return a.score > b.score; });
        result.person = candidates.front().person;
        best = decide(*gallery.people[result.person], picture.flags, query, gallery.references[result.person]);
    }
    result.struct_size = sizeof result;
    result.identified = best.accepted;
    result.score = best.score, result.raw_score = best.raw_score;
    result.threshold = best.threshold, result.references = best.references;
    result.flags = best.flags, result.blocking = best.blocking;
    return result;
}

// --- faces ---

std::vector<Face> Session::locate(const cv::Mat& image) const {
    require(EDGE_TASK_LOCATE);
    auto found = boxes_->faces(run(whole(image).tensor), image.rows, image.cols, deciding(1).value);
    const double least = smallest_face_ * std::min(image.rows, image.cols);
    found.erase(std::remove_if(found.begin(), found.end(), [&](const Face& face) { return face.width() < least; }),
                found.end());
    return found;
}

double Session::liveness(const cv::Mat& face) const {
    return finite(eight_digits((*liveness_)(run(whole(face).tensor))));
}

edge_liveness Session::detect(const cv::Mat& image) const {
    require(EDGE_TASK_SPOOF);
    edge_liveness result{};
    result.struct_size = sizeof result;
    result.decision = EDGE_UNCERTAIN;
    result.score = std::numeric_limits<double>::quiet_NaN();
    result.threshold = deciding(1).value;
    if ((result.flags = assess_frame(image))) return result;
    cv::Mat face = image;
    cv::Rect box({}, image.size());
    if (!faces_cut_out_) {
        const auto found = locator_->locate(image);
        if (found.size() != 1) {
            result.decision = found.empty() ? EDGE_NO_FACE : EDGE_UNCERTAIN;
            result.flags = found.empty() ? 0 : EDGE_FLAG_SEVERAL_FACES;
            return result;
        }
        box = rescaled(found[0].box, AS_CASCADE, image.size());
        face = (*crop_)(image, box);
    }
    result.left = box.x, result.top = box.y, result.width = box.width, result.height = box.height;
    if ((result.flags = assess_frame(face))) return result;
    result.score = liveness(face);
    result.decision = result.score >= result.threshold ? EDGE_LIVE : EDGE_SPOOF;
    return result;
}

// --- selftest ---

double Session::golden_score() const {
    std::vector<cv::Mat> pictures;
    for (const Json& file : bundle_.manifest().at("golden").at("inputs")) {
        const Bytes data = bundle_.read(file);
        pictures.push_back(decode(data.data(), data.size()));
    }
    if (task_ == EDGE_TASK_VERIFY) {
        if (pictures.size() < 2) throw Error(EDGE_ERROR_BUNDLE, "a golden trial of fewer than two pictures");
        std::vector<Embedding> embeddings;
        for (const cv::Mat& picture : pictures) {
            const Prepared prepared = prepare(picture, true);
            if (prepared.flags.blocking) return comparison_->worst().score;
            embeddings.push_back(embed(prepared));
        }
        const Embedding query = embeddings.back();
        embeddings.pop_back();
        return comparison_->person(embeddings)->compare(query).score;
    }
    if (pictures.empty()) throw Error(EDGE_ERROR_BUNDLE, "a golden trial without pictures");
    double sum = 0;
    for (const cv::Mat& picture : pictures) {
        if (liveness_ && assess_frame(picture))
            throw Error(EDGE_ERROR_BUNDLE, "a golden picture never reaches the engine");
        sum += liveness_ ? liveness(picture) : boxes_->golden(run(whole(picture).tensor));
    }
    return sum / static_cast<double>(pictures.size());
}

edge_replay Session::selftest() const {
    const Json& golden = bundle_.manifest().at("golden");
    if (!golden.at("scores").contains(variant_) || !golden.at("tolerance").contains(variant_))
        throw Error(EDGE_ERROR_BUNDLE, bundle_.name() + " has no golden trial for " + variant_ + ": skip it");
    edge_replay replay{};
    replay.struct_size = sizeof replay;
    replay.expected = golden.at("scores").at(variant_);
    replay.tolerance = golden.at("tolerance").at(variant_);
    if (!(std::isfinite(replay.tolerance) && replay.tolerance >= 0 && replay.tolerance <= range_.second - range_.first))
        throw Error(EDGE_ERROR_BUNDLE, "a golden trial that every score passes, or none");
    replay.score = golden_score();
    replay.passed = std::abs(replay.score - replay.expected) <= replay.tolerance;
    return replay;
}

}  // namespace edge
