// Preprocess.prepare() of Verify.kt: the C++ pre-processing for Kotlin and Java.

#include <jni.h>

#include <stdexcept>

#include "images.hpp"
#include "quality.hpp"

namespace {

// A Java string as UTF-8; a manifest's operations are ASCII, for which JNI's own encoding is the same.
std::string text(JNIEnv* env, jstring from) {
    const char* characters = env->GetStringUTFChars(from, nullptr);
    if (!characters) throw std::runtime_error("out of memory");
    const std::string copy = characters;
    env->ReleaseStringUTFChars(from, characters);
    return copy;
}

}  // namespace

extern "C" JNIEXPORT jfloatArray JNICALL Java_edge_Preprocess_prepare(JNIEnv* env, jobject, jstring operations,
                                                                      jbyteArray picture) try {
    std::vector<std::uint8_t> file(static_cast<std::size_t>(env->GetArrayLength(picture)));
    env->GetByteArrayRegion(picture, 0, static_cast<jsize>(file.size()), reinterpret_cast<jbyte*>(file.data()));
    const edge::Prepared prepared = edge::prepare(edge::Json::parse(text(env, operations)), edge::decode(file));
    if (!prepared.blocked.empty()) throw std::runtime_error(prepared.blocked);
    const auto size = static_cast<jsize>(prepared.tensor.total());
    const jfloatArray values = env->NewFloatArray(size);
    if (values) env->SetFloatArrayRegion(values, 0, size, prepared.tensor.ptr<float>());
    return values;  // null: an OutOfMemoryError is pending
} catch (const std::exception& error) {
    env->ThrowNew(env->FindClass("java/lang/IllegalArgumentException"), error.what());
    return nullptr;
}
