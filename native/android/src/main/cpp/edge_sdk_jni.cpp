// The native methods of Native.kt, over edge_sdk.h. Nothing is decided here: values in, a result out, or an exception.

#include <jni.h>

#include <string>
#include <vector>

#include "edge_sdk.hpp"

namespace {

// Java has thrown already: go back to it.
struct Pending {};

void require(const void* value) {
    if (!value) throw Pending{};
}

jbyteArray to_java(JNIEnv* env, const void* data, std::size_t length) {
    const jbyteArray made = env->NewByteArray(static_cast<jsize>(length));
    require(made);
    env->SetByteArrayRegion(made, 0, static_cast<jsize>(length), static_cast<const jbyte*>(data));
    return made;
}

jbyteArray to_java(JNIEnv* env, const char* text) {
    return to_java(env, text, std::char_traits<char>::length(text));
}

// EdgeException(status, text). The text as bytes: JNI's own encoding of strings is not UTF-8.
void raise(JNIEnv* env, edge_status status, const std::string& what) {
    if (env->ExceptionCheck()) return;
    const jclass type = env->FindClass("edgesdk/EdgeException");
    if (!type) return;
    const jmethodID constructor = env->GetMethodID(type, "<init>", "(I[B)V");
    if (!constructor) return;
    const jbyteArray text = env->NewByteArray(static_cast<jsize>(what.size()));
    if (!text) return;
    env->SetByteArrayRegion(text, 0, static_cast<jsize>(what.size()), reinterpret_cast<const jbyte*>(what.data()));
    const jobject exception = env->NewObject(type, constructor, status, text);
    if (exception) env->Throw(static_cast<jthrowable>(exception));
}

template <typename Result, typename Action>
Result guarded(JNIEnv* env, Action action) noexcept {
    try {
        return action();
    } catch (const Pending&) {
    } catch (const edge_sdk::Error& error) {
        raise(env, error.status(), error.what());
    } catch (const std::bad_alloc&) {
        raise(env, EDGE_ERROR_MEMORY, "no memory");
    } catch (const std::exception& error) {
        raise(env, EDGE_ERROR_INTERNAL, error.what());
    }
    return Result();
}

template <typename Handle>
Handle* handle(jlong value) {
    return reinterpret_cast<Handle*>(static_cast<std::uintptr_t>(value));
}

jlong to_java(const void* handle) { return static_cast<jlong>(reinterpret_cast<std::uintptr_t>(handle)); }

// UTF-8 from a Java byte array; empty from null.
std::string text(JNIEnv* env, jbyteArray from) {
    if (!from) return {};
    std::string made(static_cast<std::size_t>(env->GetArrayLength(from)), '\0');
    env->GetByteArrayRegion(from, 0, static_cast<jsize>(made.size()), reinterpret_cast<jbyte*>(made.data()));
    return made;
}

// A Picture, which keeps its bytes in a direct buffer: they are read where they are.
edge_image image(JNIEnv* env, jobject picture) {
    if (!picture) throw edge_sdk::Error(EDGE_ERROR_USAGE, "a picture is null");
    const jclass type = env->GetObjectClass(picture);
    const auto field = [&](const char* name, const char* kind) {
        const jfieldID id = env->GetFieldID(type, name, kind);
        require(id);
        return id;
    };
    const jobject buffer = env->GetObjectField(picture, field("buffer", "Ljava/nio/ByteBuffer;"));
    const auto length = static_cast<std::size_t>(env->GetIntField(picture, field("length", "I")));
    const jint format = env->GetIntField(picture, field("format", "I"));
    const jint width = env->GetIntField(picture, field("width", "I"));
    const jint height = env->GetIntField(picture, field("height", "I"));
    const auto stride = static_cast<std::size_t>(env->GetIntField(picture, field("stride", "I")));
    const auto* data = static_cast<const std::uint8_t*>(env->GetDirectBufferAddress(buffer));
    env->DeleteLocalRef(buffer);
    env->DeleteLocalRef(type);
    return edge_sdk::pixels(format, data, length, width, height, stride);
}

struct Images {
    std::vector<edge_image> images;
    std::vector<const edge_image*> pointers;

    Images(JNIEnv* env, jobjectArray pictures) {
        for (jsize i = 0; i < env->GetArrayLength(pictures); ++i) {
            const jobject picture = env->GetObjectArrayElement(pictures, i);
            images.push_back(image(env, picture));
            env->DeleteLocalRef(picture);  // there may be more of them than local references
        }
        pointers = edge_sdk::detail::pointers(images);
    }
};

template <typename Handle>
std::vector<const Handle*> handles(JNIEnv* env, jlongArray from) {
    std::vector<jlong> values(static_cast<std::size_t>(env->GetArrayLength(from)));
    env->GetLongArrayRegion(from, 0, static_cast<jsize>(values.size()), values.data());
    std::vector<const Handle*> made;
    for (const jlong value : values) made.push_back(handle<Handle>(value));
    return made;
}

// An object of a class of this package, by its only constructor.
template <typename... Arguments>
jobject object(JNIEnv* env, const char* name, const char* signature, Arguments... arguments) {
    const jclass type = env->FindClass(name);
    require(type);
    const jmethodID constructor = env->GetMethodID(type, "<init>", signature);
    require(constructor);
    const jobject made = env->NewObject(type, constructor, arguments...);
    require(made);
    env->DeleteLocalRef(type);
    return made;
}

// A SignatureCheck of Java, in the thread that called open().
struct Check {
    JNIEnv* env;
    jobject check;
    jmethodID verify;
};

// edge_options.verify_ed25519: what the check throws stays pending, and open() goes back to it.
std::int32_t verify_ed25519(void* context, const std::uint8_t* public_key, const std::uint8_t* signature,
                            const std::uint8_t* message, std::size_t length) {
    const Check& given = *static_cast<const Check*>(context);
    JNIEnv* env = given.env;
    return guarded<std::int32_t>(env, [&] {
        const jbyteArray key = to_java(env, public_key, 32), signed_by = to_java(env, signature, 64),
                         text = to_java(env, message, length);
        const jboolean right = env->CallBooleanMethod(given.check, given.verify, key, signed_by, text);
        return !env->ExceptionCheck() && right == JNI_TRUE ? 1 : 0;
    });
}

jboolean flag(std::int32_t value) { return value ? JNI_TRUE : JNI_FALSE; }

jobject verification(JNIEnv* env, const edge_verification& result) {
    return object(env, "edgesdk/Verification", "(ZDDDJJI)V", flag(result.accepted), result.score, result.raw_score,
                  result.threshold, static_cast<jlong>(result.flags), static_cast<jlong>(result.blocking),
                  static_cast<jint>(result.references));
}

}  // namespace

#define EDGE_JNI(type, name) extern "C" JNIEXPORT type JNICALL Java_edgesdk_Native_##name

EDGE_JNI(jlong, open)
(JNIEnv* env, jclass, jbyteArray path, jint threads, jbyteArray manifest, jbyteArray variant, jbyteArray point,
 jboolean own, jdouble threshold, jint faces, jboolean skip_selftest, jlong locator, jdouble smallest_face,
 jobjectArray public_keys, jbyteArray minimum_version, jobject verify) {
    return guarded<jlong>(env, [&] {
        const auto word = [](const std::string& given) { return edge_sdk::detail::text(given); };
        const std::string path_text = text(env, path), sha = text(env, manifest), variant_id = text(env, variant),
                          point_name = text(env, point), least = text(env, minimum_version);
        std::vector<std::string> keys;
        std::vector<const char*> key_texts;
        for (jsize i = 0; public_keys && i < env->GetArrayLength(public_keys); ++i) {
            const auto key = static_cast<jbyteArray>(env->GetObjectArrayElement(public_keys, i));
            keys.push_back(text(env, key));
            env->DeleteLocalRef(key);  // there may be more of them than local references
        }
        if (public_keys && keys.empty()) throw edge_sdk::Error(EDGE_ERROR_USAGE, "publicKeys holds no key");
        for (const std::string& key : keys) key_texts.push_back(word(key));
        auto options = edge_sdk::detail::sized<edge_options>();
        options.threads = threads;
        options.manifest_sha256 = manifest ? word(sha) : nullptr;
        options.variant = variant ? word(variant_id) : nullptr;
        options.operating_point = point ? word(point_name) : nullptr;
        options.threshold = own ? &threshold : nullptr;
        options.faces = faces;
        options.skip_selftest = skip_selftest ? 1 : 0;
        options.locator = handle<edge_session>(locator);
        options.smallest_face = smallest_face;
        options.public_keys = public_keys ? key_texts.data() : nullptr;
        options.public_key_count = key_texts.size();
        options.minimum_version = minimum_version ? word(least) : nullptr;
        Check check{env, verify, nullptr};
        if (verify) {
            check.verify = env->GetMethodID(env->GetObjectClass(verify), "verify", "([B[B[B)Z");
            require(check.verify);
            options.verify_ed25519 = verify_ed25519;
            options.verify_context = &check;
        }
        edge_session* session = nullptr;
        edge_sdk::check(edge_open(word(path_text), &options, &session));
        return to_java(session);
    });
}

EDGE_JNI(void, close)(JNIEnv*, jclass, jlong session) { edge_close(handle<edge_session>(session)); }

EDGE_JNI(jobject, describe)(JNIEnv* env, jclass, jlong session) {
    return guarded<jobject>(env, [&] {
        auto info = edge_sdk::detail::sized<edge_info>();
        edge_sdk::check(edge_describe(handle<edge_session>(session), &info));
        const auto bytes = [env](const char* text) { return to_java(env, text); };
        return object(env, "edgesdk/Info", "(I[B[B[B[B[B[B[BD)V", static_cast<jint>(info.task), bytes(info.name),
                      bytes(info.version), bytes(info.modality), bytes(info.variant), bytes(info.engine),
                      bytes(info.operating_point), bytes(info.manifest_sha256), info.threshold);
    });
}

EDGE_JNI(jobject, selftest)(JNIEnv* env, jclass, jlong session) {
    return guarded<jobject>(env, [&] {
        auto replay = edge_sdk::detail::sized<edge_replay>();
        edge_sdk::check(edge_selftest(handle<edge_session>(session), &replay));
        return object(env, "edgesdk/Replay", "(ZDDD)V", flag(replay.passed), replay.score, replay.expected,
                      replay.tolerance);
    });
}

EDGE_JNI(jobject, verify)(JNIEnv* env, jclass, jlong session, jobjectArray references, jobject query) {
    return guarded<jobject>(env, [&] {
        const Images given(env, references);
        const edge_image probe = image(env, query);
        auto result = edge_sdk::detail::sized<edge_verification>();
        edge_sdk::check(edge_verify(handle<edge_session>(session), given.pointers.data(), given.pointers.size(),
                                    &probe, &result));
        return verification(env, result);
    });
}

EDGE_JNI(jobject, verifyTemplate)(JNIEnv* env, jclass, jlong session, jlong enrolled, jobject query) {
    return guarded<jobject>(env, [&] {
        const edge_image probe = image(env, query);
        auto result = edge_sdk::detail::sized<edge_verification>();
        edge_sdk::check(edge_verify_template(handle<edge_session>(session), handle<edge_template>(enrolled), &probe,
                                             &result));
        return verification(env, result);
    });
}

EDGE_JNI(jlong, enroll)(JNIEnv* env, jclass, jlong session, jobjectArray references) {
    return guarded<jlong>(env, [&] {
        const Images given(env, references);
        edge_template* enrolled = nullptr;
        edge_sdk::check(edge_enroll(handle<edge_session>(session), given.pointers.data(), given.pointers.size(),
                                    &enrolled));
        return to_java(enrolled);
    });
}

EDGE_JNI(jlong, templateFromBytes)(JNIEnv* env, jclass, jbyteArray data) {
    return guarded<jlong>(env, [&] {
        const std::string bytes = text(env, data);
        edge_template* enrolled = nullptr;
        edge_sdk::check(edge_template_from_bytes(bytes.data(), bytes.size(), &enrolled));
        return to_java(enrolled);
    });
}

EDGE_JNI(jbyteArray, templateToBytes)(JNIEnv* env, jclass, jlong enrolled) {
    return guarded<jbyteArray>(env, [&] {
        const std::vector<std::uint8_t> bytes = edge_sdk::detail::to_bytes(handle<edge_template>(enrolled));
        return to_java(env, bytes.data(), bytes.size());
    });
}

EDGE_JNI(jbyteArray, templateEncrypt)(JNIEnv* env, jclass, jlong enrolled, jbyteArray key) {
    return guarded<jbyteArray>(env, [&] {
        const std::string secret = text(env, key);
        const auto bytes = edge_sdk::detail::encrypt(handle<edge_template>(enrolled), secret.data(), secret.size());
        return to_java(env, bytes.data(), bytes.size());
    });
}

EDGE_JNI(jlong, templateDecrypt)(JNIEnv* env, jclass, jbyteArray data, jbyteArray key) {
    return guarded<jlong>(env, [&] {
        const std::string bytes = text(env, data), secret = text(env, key);
        edge_template* enrolled = nullptr;
        edge_sdk::check(edge_template_decrypt(bytes.data(), bytes.size(), secret.data(), secret.size(), &enrolled));
        return to_java(enrolled);
    });
}

EDGE_JNI(jint, templateReferences)(JNIEnv*, jclass, jlong enrolled) {
    return static_cast<jint>(edge_template_references(handle<edge_template>(enrolled)));
}

EDGE_JNI(jbyteArray, templateId)(JNIEnv* env, jclass, jlong enrolled) {
    return guarded<jbyteArray>(env, [&] { return to_java(env, edge_template_id(handle<edge_template>(enrolled))); });
}

EDGE_JNI(void, templateFree)(JNIEnv*, jclass, jlong enrolled) { edge_template_free(handle<edge_template>(enrolled)); }

EDGE_JNI(jlong, gallery)(JNIEnv* env, jclass, jlong session, jlongArray templates) {
    return guarded<jlong>(env, [&] {
        const auto given = handles<edge_template>(env, templates);
        edge_gallery* gallery = nullptr;
        edge_sdk::check(edge_gallery_new(handle<edge_session>(session), given.data(), given.size(), &gallery));
        return to_java(gallery);
    });
}

EDGE_JNI(void, galleryFree)(JNIEnv*, jclass, jlong gallery) { edge_gallery_free(handle<edge_gallery>(gallery)); }

EDGE_JNI(jobject, identify)(JNIEnv* env, jclass, jlong session, jlong gallery, jobject probe, jint candidates) {
    return guarded<jobject>(env, [&] {
        const edge_image picture = image(env, probe);
        auto result = edge_sdk::detail::sized<edge_identification>();
        const auto* people = handle<edge_gallery>(gallery);
        std::vector<edge_candidate> best(std::min(static_cast<std::size_t>(candidates), edge_gallery_size(people)));
        edge_sdk::check(
            edge_identify(handle<edge_session>(session), people, &picture, &result, best.data(), best.size()));
        const auto count = static_cast<jsize>(result.candidates);
        const jclass type = env->FindClass("edgesdk/Candidate");
        require(type);
        const jobjectArray found = env->NewObjectArray(count, type, nullptr);
        require(found);
        for (jsize i = 0; i < count; ++i) {
            const edge_candidate& one = best[static_cast<std::size_t>(i)];
            const jobject made = object(env, "edgesdk/Candidate", "(IDD)V", static_cast<jint>(one.person), one.score,
                                        one.raw_score);
            env->SetObjectArrayElement(found, i, made);
            env->DeleteLocalRef(made);
        }
        return object(env, "edgesdk/Identification", "(ZIDDDJJI[Ledgesdk/Candidate;)V", flag(result.identified),
                      static_cast<jint>(result.person), result.score, result.raw_score, result.threshold,
                      static_cast<jlong>(result.flags), static_cast<jlong>(result.blocking),
                      static_cast<jint>(result.references), found);
    });
}

EDGE_JNI(jobjectArray, locate)(JNIEnv* env, jclass, jlong session, jobject picture) {
    return guarded<jobjectArray>(env, [&] {
        const edge_image frame = image(env, picture);
        const std::vector<edge_face> faces = edge_sdk::detail::locate(handle<edge_session>(session), frame);
        const jclass type = env->FindClass("edgesdk/FaceBox");
        require(type);
        const jobjectArray found = env->NewObjectArray(static_cast<jsize>(faces.size()), type, nullptr);
        require(found);
        for (std::size_t i = 0; i < faces.size(); ++i) {
            const edge_face& face = faces[i];
            const jdoubleArray points = env->NewDoubleArray(10);
            require(points);
            env->SetDoubleArrayRegion(points, 0, 10, &face.points[0][0]);
            const jobject made = object(env, "edgesdk/FaceBox", "(IIIID[D)V", face.left, face.top, face.width,
                                        face.height, face.confidence, points);
            env->SetObjectArrayElement(found, static_cast<jsize>(i), made);
            env->DeleteLocalRef(made);
            env->DeleteLocalRef(points);
        }
        return found;
    });
}

EDGE_JNI(jobject, detect)(JNIEnv* env, jclass, jlong session, jobject picture) {
    return guarded<jobject>(env, [&] {
        const edge_image frame = image(env, picture);
        auto result = edge_sdk::detail::sized<edge_liveness>();
        edge_sdk::check(edge_detect(handle<edge_session>(session), &frame, &result));
        return object(env, "edgesdk/Liveness", "(IDDJIIII)V", static_cast<jint>(result.decision), result.score,
                      result.threshold, static_cast<jlong>(result.flags), static_cast<jint>(result.left),
                      static_cast<jint>(result.top), static_cast<jint>(result.width),
                      static_cast<jint>(result.height));
    });
}

EDGE_JNI(jbyteArray, flagName)(JNIEnv* env, jclass, jlong flag) {
    return guarded<jbyteArray>(env, [&]() -> jbyteArray {
        const char* name = edge_flag_name(static_cast<std::uint64_t>(flag));
        return name ? to_java(env, name) : nullptr;
    });
}
