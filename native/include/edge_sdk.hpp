// edge_sdk.hpp - edge_sdk.h for C++17: handles that free themselves, and exceptions in place of statuses.
//
//     edge_sdk::Verifier verifier("deepsign");
//     const edge_verification result = verifier.verify({edge_sdk::encoded(reference)}, edge_sdk::encoded(query));
//     if (result.accepted) unlock();
//
// Results are the structs of edge_sdk.h, which says what their members mean. Everything that fails throws Error, so that
// no failure can be read as an acceptance. Objects move and are not copied; threads may share them (edge_sdk.h).

#ifndef EDGE_SDK_HPP
#define EDGE_SDK_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "edge_sdk.h"

namespace edge_sdk {

// A status other than EDGE_OK, and edge_last_error() as its text.
class Error : public std::runtime_error {
  public:
    Error(edge_status status, const std::string& what) : std::runtime_error(what), status_(status) {}

    edge_status status() const noexcept { return status_; }

  private:
    edge_status status_;
};

inline void check(edge_status status) {
    if (status != EDGE_OK) throw Error(status, edge_last_error());
}

// ---- pictures: they point at the caller's bytes, which must live until the call that takes them is over ----

// The bytes of a PNG or baseline JPEG file.
inline edge_image encoded(const std::uint8_t* data, std::size_t length) {
    return {sizeof(edge_image), EDGE_ENCODED, data, length, 0, 0, 0};
}

inline edge_image encoded(const std::vector<std::uint8_t>& file) { return encoded(file.data(), file.size()); }

// Pixels of a format such as EDGE_BGR8. length: bytes at data; stride: bytes from one row to the next, 0 without gaps.
inline edge_image pixels(std::int32_t format, const std::uint8_t* data, std::size_t length, std::int32_t width,
                         std::int32_t height, std::size_t stride = 0) {
    return {sizeof(edge_image), format, data, length, width, height, stride};
}

// The names of the flags of a result.
inline std::vector<std::string> flag_names(std::uint64_t flags) {
    std::vector<std::string> names;
    for (std::uint64_t flag = 1; flag; flag <<= 1)
        if (flags & flag) {
            const char* name = edge_flag_name(flag);
            names.push_back(name ? name : "unknown");
        }
    return names;
}

namespace detail {

template <auto free>
struct Free {
    template <typename T>
    void operator()(T* handle) const noexcept {
        free(handle);
    }
};

inline std::vector<const edge_image*> pointers(const std::vector<edge_image>& images) {
    std::vector<const edge_image*> made;
    for (const edge_image& image : images) made.push_back(&image);
    return made;
}

template <typename Result>
Result sized() {
    Result result{};
    result.struct_size = sizeof result;
    return result;
}

// A text for C, where a NUL would end it early.
inline const char* text(const std::string& given) {
    if (given.find('\0') != std::string::npos) throw Error(EDGE_ERROR_USAGE, "a text with NUL");
    return given.c_str();
}

inline const char* text(const std::optional<std::string>& given) { return given ? text(*given) : nullptr; }

inline std::vector<edge_face> locate(const edge_session* session, const edge_image& picture) {
    std::vector<edge_face> faces(8);
    std::size_t count = 0;
    check(edge_locate(session, &picture, faces.data(), faces.size(), &count));
    if (count > faces.size()) {
        faces.resize(count);
        check(edge_locate(session, &picture, faces.data(), faces.size(), &count));
    }
    faces.resize(count);
    return faces;
}

// What a call writes that is first asked for the length: write(buffer, capacity, &length).
template <typename Write>
std::vector<std::uint8_t> written(Write write) {
    std::size_t length = 0;
    check(write(nullptr, 0, &length));
    std::vector<std::uint8_t> bytes(length);
    check(write(bytes.data(), bytes.size(), &length));
    return bytes;
}

inline std::vector<std::uint8_t> to_bytes(const edge_template* enrolled) {
    return written([&](void* buffer, std::size_t capacity, std::size_t* length) {
        return edge_template_to_bytes(enrolled, buffer, capacity, length);
    });
}

inline std::vector<std::uint8_t> encrypt(const edge_template* enrolled, const void* key, std::size_t key_length) {
    return written([&](void* buffer, std::size_t capacity, std::size_t* length) {
        return edge_template_encrypt(enrolled, key, key_length, buffer, capacity, length);
    });
}

}  // namespace detail

// ---- sessions ----

class Locator;

// Is an Ed25519 signature of 64 bytes that of the message by a public key of 32 bytes? An exception says no, too.
using SignatureCheck = std::function<bool(const std::uint8_t* public_key, const std::uint8_t* signature,
                                         const std::uint8_t* message, std::size_t length)>;

// edge_options; what is not set, or 0, takes the default that edge_sdk.h names. What is set and empty is an error.
struct Options {
    std::int32_t threads = 0;
    std::optional<std::string> manifest_sha256;
    std::optional<std::string> variant;
    std::optional<std::string> operating_point;
    std::optional<double> threshold;
    std::int32_t faces = EDGE_FACES_LOCATE;
    bool skip_selftest = false;
    const Locator* locator = nullptr;  // may be closed afterwards
    double smallest_face = 0;          // of a Locator
    std::optional<std::string> minimum_version;
    // Texts of PEM files, one of which has to have signed the bundle; an empty list is an error.
    std::optional<std::vector<std::string>> public_keys;
    // In place of OpenSSL. What it throws is nested in the Error(EDGE_ERROR_SIGNATURE) of the constructor.
    SignatureCheck verify_ed25519;
};

namespace detail {

// A SignatureCheck for C, through which no exception may go, and what it threw.
struct Callback {
    const SignatureCheck& verify;
    std::exception_ptr problem;

    static std::int32_t call(void* context, const std::uint8_t* public_key, const std::uint8_t* signature,
                             const std::uint8_t* message, std::size_t length) noexcept {
        auto& self = *static_cast<Callback*>(context);
        try {
            return self.verify(public_key, signature, message, length) ? 1 : 0;
        } catch (...) {
            self.problem = std::current_exception();
            return 0;
        }
    }
};

}  // namespace detail

// A bundle's folder or .edge file, of any task, opened. Use Verifier, SpoofDetector and Locator.
class Session {
  public:
    edge_info describe() const {
        auto info = detail::sized<edge_info>();
        check(edge_describe(handle(), &info));
        return info;
    }

    // Replay the golden trial, and throw Error(EDGE_ERROR_SELFTEST) unless it passes.
    edge_replay selftest() const {
        auto replay = detail::sized<edge_replay>();
        check(edge_selftest(handle(), &replay));
        if (!replay.passed)
            throw Error(EDGE_ERROR_SELFTEST, "the golden trial scores " + std::to_string(replay.score) +
                                                 " instead of " + std::to_string(replay.expected));
        return replay;
    }

    const edge_session* handle() const noexcept { return handle_.get(); }

  protected:
    Session(const std::string& path, const Options& options, std::int32_t task);  // EDGE_ERROR_USAGE: another task

  private:
    std::unique_ptr<edge_session, detail::Free<edge_close>> handle_;
};

// Finds faces.
class Locator : public Session {
  public:
    explicit Locator(const std::string& path, const Options& options = {}) : Session(path, options, EDGE_TASK_LOCATE) {}

    // The faces, the largest first.
    std::vector<edge_face> locate(const edge_image& picture) const { return detail::locate(handle(), picture); }
};

inline Session::Session(const std::string& path, const Options& options, std::int32_t task) {
    using detail::text;
    auto given = detail::sized<edge_options>();
    given.threads = options.threads;
    given.manifest_sha256 = text(options.manifest_sha256);
    given.variant = text(options.variant);
    given.operating_point = text(options.operating_point);
    given.threshold = options.threshold ? &*options.threshold : nullptr;
    given.faces = options.faces;
    given.skip_selftest = options.skip_selftest;
    given.locator = options.locator ? options.locator->handle() : nullptr;
    given.smallest_face = options.smallest_face;
    std::vector<const char*> keys;
    if (options.public_keys) {
        if (options.public_keys->empty()) throw Error(EDGE_ERROR_USAGE, "public_keys holds no key");
        for (const std::string& key : *options.public_keys) keys.push_back(text(key));
        given.public_keys = keys.data();
        given.public_key_count = keys.size();
    }
    given.minimum_version = text(options.minimum_version);
    detail::Callback callback{options.verify_ed25519, nullptr};
    if (options.verify_ed25519) given.verify_ed25519 = detail::Callback::call, given.verify_context = &callback;
    edge_session* session = nullptr;
    const edge_status status = edge_open(text(path), &given, &session);
    handle_.reset(session);
    if (callback.problem) {
        try {
            std::rethrow_exception(callback.problem);
        } catch (...) {
            std::throw_with_nested(Error(EDGE_ERROR_SIGNATURE, "verify_ed25519 threw an exception"));
        }
    }
    check(status);
    if (describe().task != task) throw Error(EDGE_ERROR_USAGE, path + " is a bundle of another task");
}

// ---- templates ----

// 32 random bytes that the application keeps, such as under the platform's key store.
using TemplateKey = std::array<std::uint8_t, 32>;

// Enrolled references of one person. Keep it encrypted.
class Template {
  public:
    explicit Template(edge_template* handle) noexcept : handle_(handle) {}  // takes it over

    static Template from_bytes(const void* data, std::size_t length) {
        edge_template* made = nullptr;
        check(edge_template_from_bytes(data, length, &made));
        return Template(made);
    }

    static Template from_bytes(const std::vector<std::uint8_t>& data) { return from_bytes(data.data(), data.size()); }

    // What this key encrypted, and nothing else; compare id() with the one beside the person's account.
    static Template decrypt(const std::vector<std::uint8_t>& data, const TemplateKey& key) {
        edge_template* made = nullptr;
        check(edge_template_decrypt(data.data(), data.size(), key.data(), key.size(), &made));
        return Template(made);
    }

    // In plain.
    std::vector<std::uint8_t> to_bytes() const { return detail::to_bytes(handle()); }

    std::vector<std::uint8_t> encrypt(const TemplateKey& key) const {
        return detail::encrypt(handle(), key.data(), key.size());
    }

    std::size_t references() const noexcept { return edge_template_references(handle()); }

    // By which an application revokes it; empty of one that was enrolled before there were ids.
    std::string id() const { return edge_template_id(handle()); }

    const edge_template* handle() const noexcept { return handle_.get(); }

  private:
    std::unique_ptr<edge_template, detail::Free<edge_template_free>> handle_;
};

// Templates made ready to be searched: Verifier::gallery().
class Gallery {
  public:
    explicit Gallery(edge_gallery* handle) noexcept : handle_(handle) {}  // takes it over

    const edge_gallery* handle() const noexcept { return handle_.get(); }

  private:
    std::unique_ptr<edge_gallery, detail::Free<edge_gallery_free>> handle_;
};

struct Identification : edge_identification {
    std::vector<edge_candidate> best;  // the best first
};

// ---- verify, enrol, identify ----

class Verifier : public Session {
  public:
    explicit Verifier(const std::string& path, const Options& options = {})
        : Session(path, options, EDGE_TASK_VERIFY) {}

    edge_verification verify(const std::vector<edge_image>& references, const edge_image& query) const {
        auto result = detail::sized<edge_verification>();
        const auto given = detail::pointers(references);
        check(edge_verify(handle(), given.data(), given.size(), &query, &result));
        return result;
    }

    edge_verification verify(const Template& enrolled, const edge_image& query) const {
        auto result = detail::sized<edge_verification>();
        check(edge_verify_template(handle(), enrolled.handle(), &query, &result));
        return result;
    }

    Template enroll(const std::vector<edge_image>& references) const {
        edge_template* made = nullptr;
        const auto given = detail::pointers(references);
        check(edge_enroll(handle(), given.data(), given.size(), &made));
        return Template(made);
    }

    Gallery gallery(const std::vector<const Template*>& templates) const {
        std::vector<const edge_template*> given;
        for (const Template* one : templates) given.push_back(one ? one->handle() : nullptr);
        edge_gallery* made = nullptr;
        check(edge_gallery_new(handle(), given.data(), given.size(), &made));
        return Gallery(made);
    }

    // Who of the gallery is it, if anybody? With up to so many of the best candidates.
    Identification identify(const Gallery& gallery, const edge_image& probe, std::size_t candidates = 0) const {
        Identification result{};
        result.struct_size = sizeof(edge_identification);
        result.best.resize(std::min(candidates, edge_gallery_size(gallery.handle())));
        check(edge_identify(handle(), gallery.handle(), &probe, &result, result.best.data(), result.best.size()));
        result.best.resize(result.candidates);
        return result;
    }
};

// ---- live faces ----

class SpoofDetector : public Session {
  public:
    explicit SpoofDetector(const std::string& path, const Options& options = {})
        : Session(path, options, EDGE_TASK_SPOOF) {}

    edge_liveness detect(const edge_image& picture) const {
        auto result = detail::sized<edge_liveness>();
        check(edge_detect(handle(), &picture, &result));
        return result;
    }
};

}  // namespace edge_sdk

#endif  // EDGE_SDK_HPP
