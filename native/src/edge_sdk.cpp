// The border: pointers and sizes are checked here, and no exception leaves.

#include "edge_sdk.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "error.hpp"
#include "flags.hpp"
#include "images.hpp"
#include "session.hpp"

struct edge_template {
    edge::Template held;
};

struct edge_gallery {
    edge::Gallery held;
};

namespace {

using edge::Error;

constexpr int MOST_THREADS = 64;
constexpr size_t MOST_KEYS = 100;

thread_local std::string last_error;

edge_status failed(edge_status status, const char* what, const char* before = "") noexcept {
    try {
        last_error = before;
        last_error += what;
        for (char& letter : last_error)  // names come from files, and wrappers take the text for UTF-8
            if (letter < ' ' || letter > '~') letter = '?';
    } catch (...) {
        last_error.clear();
    }
    return status;
}

// Run a call; whatever it throws becomes a status and a text.
template <typename Call>
edge_status guarded(Call call) noexcept {
    try {
        last_error.clear();
        call();
        return EDGE_OK;
    } catch (const Error& error) {
        return failed(error.status(), error.what());
    } catch (const std::bad_alloc&) {
        return failed(EDGE_ERROR_MEMORY, "no memory");
    } catch (const nlohmann::json::exception& error) {
        return failed(EDGE_ERROR_BUNDLE, error.what(), "the manifest is not what it should be: ");
    } catch (const std::filesystem::filesystem_error& error) {
        return failed(EDGE_ERROR_BUNDLE, error.what());
    } catch (const cv::Exception& error) {
        const bool memory = error.code == cv::Error::StsNoMem;
        return failed(memory ? EDGE_ERROR_MEMORY : EDGE_ERROR_INPUT, error.what());
    } catch (const std::exception& error) {
        return failed(EDGE_ERROR_INTERNAL, error.what());
    } catch (...) {
        return failed(EDGE_ERROR_INTERNAL, "an unknown fault");
    }
}

void require(bool fine, const char* what) {
    if (!fine) throw Error(EDGE_ERROR_USAGE, what);
}

// Where a result says what was decided, in this version of the header and in all others: 0 is no.
constexpr size_t DECISION = sizeof(uint32_t);
static_assert(offsetof(edge_verification, accepted) == DECISION && offsetof(edge_liveness, decision) == DECISION &&
              offsetof(edge_identification, identified) == DECISION && offsetof(edge_replay, passed) == DECISION &&
              offsetof(edge_info, task) == DECISION && EDGE_UNCERTAIN == 0);

// A result that the caller gave, rejected until a call fills it, and so where its size is another one, too.
template <typename Result>
void begin(Result* result) {
    require(result, "the result is a null pointer");
    std::memset(reinterpret_cast<unsigned char*>(result) + DECISION, 0, sizeof(int32_t));
    require(result->struct_size == sizeof(Result),
            "the result's struct_size is not its sizeof: set it, and compile with this library's edge_sdk.h");
    std::memset(static_cast<void*>(result), 0, sizeof(Result));
    result->struct_size = sizeof(Result);
}

std::vector<const edge_image*> pictures(const edge_image* const* images, size_t count) {
    require(images, "the references are a null pointer");
    if (count < 1 || count > edge::MOST_ENROLLED)
        throw Error(EDGE_ERROR_USAGE, "1 to " + std::to_string(edge::MOST_ENROLLED) + " references are taken");
    return {images, images + count};
}

std::string text(const char* given) { return given ? given : ""; }

// The application's own check of signatures, or OpenSSL's.
edge::SignatureCheck verify_ed25519(const edge_options& given) {
    if (!given.verify_ed25519) {
        edge::SignatureCheck verify = edge::openssl_ed25519();
        if (!verify)
            throw Error(EDGE_ERROR_UNSUPPORTED,
                        "this library was built without OpenSSL: to open signed bundles give verify_ed25519");
        return verify;
    }
    return [verify = given.verify_ed25519, context = given.verify_context](
               const edge::Bytes& key, const edge::Bytes& signature, const edge::Bytes& message) {
        return verify(context, key.data(), signature.data(), message.data(), message.size()) == 1;
    };
}

edge::Options options_of(const edge_options* given) {
    edge::Options options;
    if (!given) return options;
    require(given->struct_size == sizeof(edge_options),
            "struct_size is not sizeof(edge_options): set it, and compile with this library's edge_sdk.h");
    require(given->threads >= 0 && given->threads <= MOST_THREADS, "threads are 1 to 64, or 0");
    require(given->faces == EDGE_FACES_LOCATE || given->faces == EDGE_FACES_CUT_OUT, "faces are located or cut out");
    require(given->smallest_face >= 0 && given->smallest_face <= 1, "smallest_face is a share, above 0 and up to 1");
    options.threads = std::max(1, given->threads);
    options.trust.manifest_sha256 = text(given->manifest_sha256);
    require(!given->manifest_sha256 || options.trust.manifest_sha256.size() == 64, "manifest_sha256 has 64 hex digits");
    require(given->public_keys || given->public_key_count == 0, "public_keys is a null pointer");
    require(!given->public_keys || (given->public_key_count >= 1 && given->public_key_count <= MOST_KEYS),
            "1 to 100 public keys are taken");
    for (size_t i = 0; i < given->public_key_count; ++i) {
        require(given->public_keys[i], "a public key is a null pointer");
        options.trust.keys.emplace_back(given->public_keys[i]);
    }
    require(!given->verify_ed25519 || given->public_keys, "verify_ed25519 is of no use without public keys");
    if (given->public_keys) options.trust.verify_ed25519 = verify_ed25519(*given);
    options.trust.minimum_version = text(given->minimum_version);
    require(!given->minimum_version || *given->minimum_version, "the minimum version is empty");
    require(!given->variant || *given->variant, "the variant is empty");
    options.variant = text(given->variant);
    require(!given->operating_point || *given->operating_point, "the operating point is empty");
    options.operating_point = text(given->operating_point);
    if (given->threshold) options.threshold = *given->threshold;
    options.faces_cut_out = given->faces == EDGE_FACES_CUT_OUT;
    options.selftest = !given->skip_selftest;
    if (given->smallest_face > 0) options.smallest_face = given->smallest_face;
    if (given->locator) options.locator = given->locator->held;
    return options;
}

edge::TemplateKey key_of(const void* key, size_t length) {
    edge::TemplateKey made;
    require(key && length == made.size(), "a template's key is 32 bytes");
    std::memcpy(made.data(), key, made.size());
    return made;
}

void read_template(const void* data, size_t length, const edge::TemplateKey* key, edge_template** enrolled) {
    require(enrolled, "enrolled is a null pointer");
    *enrolled = nullptr;
    require(data, "the data are a null pointer");
    *enrolled = new edge_template{edge::Template::from_bytes(static_cast<const uint8_t*>(data), length, key)};
}

template <typename Encode>
void write_template(const edge_template* enrolled, void* buffer, size_t capacity, size_t* length, Encode encode) {
    require(length, "length is a null pointer");
    *length = 0;
    require(enrolled, "the template is a null pointer");
    require(buffer || capacity == 0, "the buffer is a null pointer");
    const edge::Bytes bytes = encode(enrolled->held);
    *length = bytes.size();
    if (!buffer) return;
    if (capacity < bytes.size()) throw Error(EDGE_ERROR_BUFFER, "the buffer is too small for the template");
    std::memcpy(buffer, bytes.data(), bytes.size());
}

}  // namespace

extern "C" {

const char* edge_last_error(void) { return last_error.c_str(); }

const char* edge_status_name(edge_status status) {
    static const char* const names[] = {
        "EDGE_OK",           "EDGE_ERROR_USAGE",    "EDGE_ERROR_BUNDLE",   "EDGE_ERROR_INTEGRITY",
        "EDGE_ERROR_OPERATING_POINT", "EDGE_ERROR_ENGINE", "EDGE_ERROR_SELFTEST", "EDGE_ERROR_INPUT",
        "EDGE_ERROR_UNUSABLE_SAMPLE", "EDGE_ERROR_TEMPLATE", "EDGE_ERROR_UNSUPPORTED", "EDGE_ERROR_BUFFER",
        "EDGE_ERROR_MEMORY", "EDGE_ERROR_INTERNAL", "EDGE_ERROR_SIGNATURE", "EDGE_ERROR_ROLLBACK",
        "EDGE_ERROR_TEMPLATE_KEY"};
    return status >= EDGE_OK && status <= EDGE_ERROR_TEMPLATE_KEY ? names[status] : "unknown";
}

const char* edge_version(void) { return EDGE_SDK_VERSION; }

const char* edge_engines(void) {
    const bool onnx = !edge::engine_for("onnx").empty(), tflite = !edge::engine_for("tflite").empty();
    return onnx && tflite ? "onnxruntime tflite" : onnx ? "onnxruntime" : tflite ? "tflite" : "";
}

const char* edge_flag_name(uint64_t flag) {
    for (const auto& [bit, name] : edge::FLAGS)
        if (bit == flag) return name;
    return nullptr;
}

edge_status edge_open(const char* path, const edge_options* options, edge_session** session) {
    return guarded([&] {
        require(session, "session is a null pointer");
        *session = nullptr;
        require(path && *path, "the path is a null pointer, or empty");
        *session = new edge_session{edge::Session::open(std::filesystem::u8path(path), options_of(options))};
    });
}

void edge_close(edge_session* session) { delete session; }

edge_status edge_describe(const edge_session* session, edge_info* info) {
    return guarded([&] {
        begin(info);
        require(session, "the session is a null pointer");
        *info = session->held->describe();
    });
}

edge_status edge_selftest(const edge_session* session, edge_replay* replay) {
    return guarded([&] {
        begin(replay);
        require(session, "the session is a null pointer");
        *replay = session->held->selftest();
    });
}

edge_status edge_verify(const edge_session* session, const edge_image* const* references, size_t count,
                        const edge_image* query, edge_verification* result) {
    return guarded([&] {
        begin(result);
        require(session, "the session is a null pointer");
        *result = session->held->verify(pictures(references, count), query);
    });
}

edge_status edge_verify_template(const edge_session* session, const edge_template* enrolled, const edge_image* query,
                                 edge_verification* result) {
    return guarded([&] {
        begin(result);
        require(session && enrolled, "the session or template is a null pointer");
        *result = session->held->verify(enrolled->held, edge::picture(query));
    });
}

edge_status edge_enroll(const edge_session* session, const edge_image* const* references, size_t count,
                        edge_template** enrolled) {
    return guarded([&] {
        require(enrolled, "enrolled is a null pointer");
        *enrolled = nullptr;
        require(session, "the session is a null pointer");
        *enrolled = new edge_template{session->held->enroll(pictures(references, count))};
    });
}

edge_status edge_template_from_bytes(const void* data, size_t length, edge_template** enrolled) {
    return guarded([&] { read_template(data, length, nullptr, enrolled); });
}

edge_status edge_template_decrypt(const void* data, size_t length, const void* key, size_t key_length,
                                  edge_template** enrolled) {
    return guarded([&] {
        if (enrolled) *enrolled = nullptr;
        const edge::TemplateKey secret = key_of(key, key_length);
        read_template(data, length, &secret, enrolled);
    });
}

edge_status edge_template_to_bytes(const edge_template* enrolled, void* buffer, size_t capacity, size_t* length) {
    return guarded([&] {
        write_template(enrolled, buffer, capacity, length, [](const edge::Template& held) { return held.to_bytes(); });
    });
}

edge_status edge_template_encrypt(const edge_template* enrolled, const void* key, size_t key_length, void* buffer,
                                  size_t capacity, size_t* length) {
    return guarded([&] {
        write_template(enrolled, buffer, capacity, length, [&](const edge::Template& held) {
            return held.encrypt(key_of(key, key_length));
        });
    });
}

size_t edge_template_references(const edge_template* enrolled) {
    return enrolled ? enrolled->held.references.size() : 0;
}

const char* edge_template_id(const edge_template* enrolled) { return enrolled ? enrolled->held.id.c_str() : ""; }

void edge_template_free(edge_template* enrolled) { delete enrolled; }

edge_status edge_gallery_new(const edge_session* session, const edge_template* const* templates, size_t count,
                             edge_gallery** gallery) {
    return guarded([&] {
        require(gallery, "gallery is a null pointer");
        *gallery = nullptr;
        require(session && templates && count >= 1, "the session or templates are a null pointer, or there are none");
        std::vector<const edge::Template*> held;
        for (size_t i = 0; i < count; ++i) {
            require(templates[i], "a template is a null pointer");
            held.push_back(&templates[i]->held);
        }
        *gallery = new edge_gallery{session->held->gallery(held)};
    });
}

size_t edge_gallery_size(const edge_gallery* gallery) { return gallery ? gallery->held.people.size() : 0; }

void edge_gallery_free(edge_gallery* gallery) { delete gallery; }

edge_status edge_identify(const edge_session* session, const edge_gallery* gallery, const edge_image* probe,
                          edge_identification* result, edge_candidate* candidates, size_t capacity) {
    return guarded([&] {
        begin(result);
        require(session && gallery, "the session or gallery is a null pointer");
        require(candidates || capacity == 0, "the candidates are a null pointer");
        std::vector<edge_candidate> ranked;
        edge_identification found = session->held->identify(gallery->held, edge::picture(probe), ranked);
        found.candidates = std::min(capacity, ranked.size());
        std::copy_n(ranked.begin(), found.candidates, candidates);
        *result = found;
    });
}

edge_status edge_locate(const edge_session* session, const edge_image* picture, edge_face* faces, size_t capacity,
                        size_t* count) {
    return guarded([&] {
        require(count, "count is a null pointer");
        *count = 0;
        require(session, "the session is a null pointer");
        require(faces || capacity == 0, "the faces are a null pointer");
        const auto found = session->held->locate(edge::picture(picture));
        for (size_t i = 0; i < std::min(capacity, found.size()); ++i) {
            const edge::Face& face = found[i];
            faces[i] = {face.box.x, face.box.y, face.box.width, face.box.height, {}, face.confidence};
            for (size_t k = 0; k < 5; ++k) {
                faces[i].points[k][0] = face.points[k].x;
                faces[i].points[k][1] = face.points[k].y;
            }
        }
        *count = found.size();
    });
}

edge_status edge_detect(const edge_session* session, const edge_image* picture, edge_liveness* result) {
    return guarded([&] {
        begin(result);
        result->score = std::numeric_limits<double>::quiet_NaN();
        require(session, "the session is a null pointer");
        *result = session->held->detect(edge::picture(picture));
    });
}

}  // extern "C"
