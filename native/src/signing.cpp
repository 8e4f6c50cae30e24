#include "signing.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

#include "error.hpp"
#include "json.hpp"
#include "sha256.hpp"

#ifdef EDGE_SDK_WITH_OPENSSL
#include <openssl/evp.h>

#include <memory>
#endif

namespace edge {

namespace {

constexpr std::size_t MOST_SIGNATURES = 8, KEY_BYTES = 32, SIGNATURE_BYTES = 64;

// --- versions ---

using Part = std::tuple<int, std::string>;  // numbers before words; numbers padded, so that they sort as text

struct Version {
    std::vector<std::string> release;  // six numbers, padded
    bool released = true;              // a pre-release comes before it
    std::vector<Part> before;

    bool operator<(const Version& other) const {
        return std::tie(release, released, before) < std::tie(other.release, other.released, other.before);
    }
};

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts(1);
    for (const char letter : text)
        if (letter == '.')
            parts.emplace_back();
        else
            parts.back().push_back(letter);
    return parts;
}

bool all_of(const std::string& text, const char* letters) {
    return !text.empty() && text.find_first_not_of(letters) == std::string::npos;
}

std::string padded(const std::string& number) { return std::string(99 - number.size(), '0') + number; }

// Nothing for what is no such version.
std::optional<Version> version_of(const std::string& text) {
    constexpr const char *digits = "0123456789", *letters = "0123456789-abcdefghijklmnopqrstuvwxyz"
                                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (text.size() > 200 || text.find('\n') != std::string::npos) return std::nullopt;
    const std::string order = text.substr(0, text.find('+'));  // the rest names a build
    const std::size_t dash = order.find('-');
    Version version;
    for (const std::string& number : split(order.substr(0, dash))) {
        if (!all_of(number, digits) || number.size() > 9) return std::nullopt;
        version.release.push_back(padded(number));
    }
    if (version.release.size() > 6) return std::nullopt;
    version.release.resize(6, padded(""));
    if (dash == std::string::npos) return version;
    version.released = false;
    for (const std::string& part : split(order.substr(dash + 1))) {
        if (!all_of(part, letters) || part.size() > 99) return std::nullopt;
        const bool number = all_of(part, digits);
        version.before.emplace_back(number ? 0 : 1, number ? padded(part) : part);
    }
    return version;
}

// --- keys and signatures ---

// Nothing for what is not the base64 of whole bytes.
std::optional<Bytes> from_base64(const std::string& text) {
    static const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size() % 4 != 0) return std::nullopt;
    Bytes bytes;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        const std::size_t padding = last ? (text[at + 2] == '=' ? 2 : text[at + 3] == '=' ? 1 : 0) : 0;
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 4; ++k) {
            const std::size_t value = k >= 4 - padding ? (text[at + k] == '=' ? 0 : std::string::npos)
                                                       : alphabet.find(text[at + k]);
            if (value == std::string::npos) return std::nullopt;
            group = group << 6 | static_cast<std::uint32_t>(value);
        }
        for (std::size_t k = 0; k < 3 - padding; ++k) bytes.push_back(static_cast<std::uint8_t>(group >> (16 - 8 * k)));
    }
    return bytes;
}

// All y of the 8 points whose order divides 8, in each encoding that decoders take: by such a key anybody can sign.
bool of_small_order(Bytes key) {
    static const auto y = [](std::initializer_list<std::uint8_t> first, std::uint8_t fill, std::uint8_t last) {
        Bytes bytes(first);
        bytes.resize(KEY_BYTES - 1, fill);
        bytes.push_back(last);
        return bytes;
    };
    static const std::vector<Bytes> refused = {
        y({}, 0, 0), y({1}, 0, 0), y({0xec}, 0xff, 0x7f), y({0xed}, 0xff, 0x7f), y({0xee}, 0xff, 0x7f),
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
         0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
         0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    };
    key.back() &= 0x7f;  // without the sign of x
    return std::find(refused.begin(), refused.end(), key) != refused.end();
}

// The 32 bytes of an Ed25519 public key in PEM (RFC 8410), with nothing round it but white space.
Bytes public_key(const std::string& pem) {
    static const std::string begin = "-----BEGIN PUBLIC KEY-----", end = "-----END PUBLIC KEY-----";
    static const Bytes before = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    constexpr const char* white = " \t\r\n\f\v";
    const std::size_t from = pem.find_first_not_of(white), to = pem.find_last_not_of(white);
    const std::string text = from == std::string::npos ? "" : pem.substr(from, to - from + 1);
    std::optional<Bytes> der;
    if (text.size() > begin.size() + end.size() && text.compare(0, begin.size(), begin) == 0 &&
        text.compare(text.size() - end.size(), end.size(), end) == 0) {
        std::string body;
        for (const char letter : text.substr(begin.size(), text.size() - begin.size() - end.size()))
            if (std::string(white).find(letter) == std::string::npos) body += letter;
        der = from_base64(body);
    }
    if (!der || der->size() != before.size() + KEY_BYTES || !std::equal(before.begin(), before.end(), der->begin()))
        throw Error(EDGE_ERROR_USAGE, "a key is no Ed25519 public key in PEM, as openssl pkey -pubout writes it");
    const Bytes key(der->begin() + static_cast<std::ptrdiff_t>(before.size()), der->end());
    if (of_small_order(key)) throw Error(EDGE_ERROR_USAGE, "a key is of small order: anybody can make its signatures");
    return key;
}

// The signatures in a signature.json, by the ids of their keys.
std::map<std::string, Bytes> signatures_of(const Bytes& data) {
    const auto refuse = [] {
        throw Error(EDGE_ERROR_SIGNATURE, "signature.json is damaged, or of a newer edge-sdk: get the bundle again");
    };
    std::map<std::string, Bytes> found;
    if (data.size() > MOST_SIGNATURE_BYTES) refuse();
    try {
        const Json file = parse_json(data);
        for (const auto& [key, value] : file.items())
            if (key != "signatures" && !(key == "version" && value.is_number_integer() && value == 1)) refuse();
        const Json& signatures = file.at("signatures");
        if (!signatures.is_array() || signatures.empty() || signatures.size() > MOST_SIGNATURES) refuse();
        for (const Json& one : signatures) {
            const std::string id = one.at("key_id");
            const auto signature = from_base64(one.at("signature").get<std::string>());
            const bool fine = one.size() == 2 && id.size() == 64 && all_of(id, "0123456789abcdef") && signature &&
                              signature->size() == SIGNATURE_BYTES;
            if (!fine || !found.emplace(id, *signature).second) refuse();
        }
    } catch (const Json::exception&) {
        refuse();
    } catch (const Error&) {
        refuse();
    }
    return found;
}

}  // namespace

SignatureCheck openssl_ed25519() {
#ifdef EDGE_SDK_WITH_OPENSSL
    return [](const Bytes& key, const Bytes& signature, const Bytes& message) {
        const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> opened(
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()), EVP_PKEY_free);
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        return opened && context &&
               EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, opened.get()) == 1 &&
               EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
    };
#else
    return nullptr;
#endif
}

void check_version(const std::string& version, const std::string& least) {
    const auto found = version_of(version), limit = version_of(least);
    if (!limit) throw Error(EDGE_ERROR_USAGE, "the minimum version has no order: give one such as 1.2.0");
    if (!found || *found < *limit)
        throw Error(EDGE_ERROR_ROLLBACK, "the bundle has version " + version + ", and at least " + least +
                                             " is wanted: get a newer one");
}

void check_signature(const Bytes& signature, const Bytes& manifest_sha256, const std::vector<std::string>& keys,
                     const SignatureCheck& verify) {
    std::map<std::string, Bytes> trusted;
    for (const std::string& pem : keys) {
        const Bytes key = public_key(pem);
        trusted[sha256_hex(key)] = key;
    }
    static const std::string context("edge-sdk bundle signature v1\0", 29);
    Bytes message(context.begin(), context.end());
    message.insert(message.end(), manifest_sha256.begin(), manifest_sha256.end());
    bool signed_by_one = false;
    for (const auto& [id, one] : signatures_of(signature)) {
        const auto key = trusted.find(id);
        if (key == trusted.end()) continue;
        if (!verify(key->second, one, message))
            throw Error(EDGE_ERROR_SIGNATURE, "the signature of the key " + id.substr(0, 12) +
                                                  " does not belong to this manifest: get the bundle again");
        signed_by_one = true;
    }
    if (!signed_by_one)
        throw Error(EDGE_ERROR_SIGNATURE,
                    "the bundle is signed with keys that are not trusted here: get a signed one from its maker");
}

}  // namespace edge
