#include "template_layouts.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "error.hpp"
#include "msgpack.hpp"
#include "sha256.hpp"

#ifdef EDGE_SDK_WITH_OPENSSL
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>
#endif

namespace edge {

namespace {

const std::string FAMILY = "EDGE-TEMPLATE-", PLAIN = FAMILY + "1\n", ENCRYPTED = FAMILY + "2\n";
constexpr std::size_t CHECKSUM = 16, LENGTH = 2, NONCE = 12, TAG = 16;

[[noreturn]] void refuse(const std::string& why) { throw Error(EDGE_ERROR_TEMPLATE, why); }

// What a key is called; nothing of the key follows from it.
std::string id_of(const TemplateKey& key) {
    static const std::string context("edge-sdk template key\0", 22);
    Bytes named(context.begin(), context.end());
    named.insert(named.end(), key.begin(), key.end());
    return sha256_hex(named).substr(0, 32);
}

// AES-256-GCM: key, nonce, and `bound`, which is authenticated with what is encrypted.
#ifdef EDGE_SDK_WITH_OPENSSL
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Bytes new_nonce() {
    Bytes nonce(NONCE);
    if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1)
        throw Error(EDGE_ERROR_INTERNAL, "OpenSSL gives no random numbers");
    return nonce;
}

// The ciphertext and its tag.
Bytes seal(const TemplateKey& key, const Bytes& nonce, const Bytes& bound, const Bytes& text) {
    const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    Bytes sealed(text.size() + TAG);
    int length = 0, last = 0;
    const bool done =
        cipher && EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &length, bound.data(), static_cast<int>(bound.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), sealed.data(), &length, text.data(), static_cast<int>(text.size())) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), sealed.data() + length, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, TAG, sealed.data() + text.size()) == 1;
    if (!done) throw Error(EDGE_ERROR_INTERNAL, "OpenSSL does not encrypt");
    return sealed;
}

// What was encrypted; nothing where a byte of it, of its tag, the nonce or `bound` was changed.
std::optional<Bytes> unseal(const TemplateKey& key, const Bytes& nonce, const Bytes& bound, Bytes sealed) {
    const Cipher cipher(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    const std::size_t size = sealed.size() - TAG;
    Bytes text(sealed.size());
    int length = 0, last = 0;
    const bool done =
        cipher && EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &length, bound.data(), static_cast<int>(bound.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), text.data(), &length, sealed.data(), static_cast<int>(size)) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, TAG, sealed.data() + size) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), text.data() + length, &last) == 1;
    if (!done) return std::nullopt;
    text.resize(size);
    return text;
}

void require_openssl() {}
#else
void require_openssl() {
    throw Error(EDGE_ERROR_UNSUPPORTED, "this library was built without OpenSSL, and encrypts no templates");
}

Bytes new_nonce() { return {}; }
Bytes seal(const TemplateKey&, const Bytes&, const Bytes&, const Bytes&) { return {}; }
std::optional<Bytes> unseal(const TemplateKey&, const Bytes&, const Bytes&, Bytes) { return std::nullopt; }
#endif

// The header's record.
Bytes named(const TemplateHeader& header, const std::string& key_id) {
    return Record::to_msgpack({{"template_id", header.template_id},
                               {"key_id", key_id},
                               {"embedding_space_id", header.embedding_space_id},
                               {"variant_sha256", header.variant_sha256}});
}

Bytes limited(Bytes bytes) {
    if (bytes.size() > MOST_TEMPLATE_BYTES) refuse("a template takes up to 16 MiB: enroll fewer references");
    return bytes;
}

Payload decrypted(const std::uint8_t* data, std::size_t length, const TemplateKey* key) {
    const std::size_t start = ENCRYPTED.size() + LENGTH;
    if (length < start) refuse("template is truncated");
    const std::size_t end = start + (std::size_t{data[start - 2]} << 8 | data[start - 1]);
    if (length < end + NONCE + TAG) refuse("template is truncated");
    const Fields fields(data + start, end - start);
    const std::string& id = fields.text_of("key_id");
    const TemplateHeader header{fields.text_of("template_id"), fields.text_of("embedding_space_id"),
                                fields.text_of("variant_sha256")};
    if (named(header, id) != Bytes(data + start, data + end))
        refuse("template is damaged: its header is not as edge-sdk writes it");
    if (!key)
        throw Error(EDGE_ERROR_TEMPLATE_KEY, "template is encrypted by the key " + id + ": give it with the template");
    if (id != id_of(*key))
        throw Error(EDGE_ERROR_TEMPLATE_KEY,
                    "template is encrypted by the key " + id + ", this is " + id_of(*key) + ": give that one");
    const std::uint8_t* sealed = data + end + NONCE;
    auto record = unseal(*key, Bytes(data + end, sealed), Bytes(data, data + end), Bytes(sealed, data + length));
    if (!record) refuse("template was changed or damaged: it is not as its key's owner wrote it");
    return {std::move(*record), header};
}

}  // namespace

Bytes plain(const Bytes& record) {
    const Bytes digest = sha256(record.data(), record.size());
    Bytes bytes(PLAIN.begin(), PLAIN.end());
    bytes.insert(bytes.end(), digest.begin(), digest.begin() + CHECKSUM);
    bytes.insert(bytes.end(), record.begin(), record.end());
    return limited(std::move(bytes));
}

Bytes encrypted(const Bytes& record, const TemplateHeader& header, const TemplateKey& key) {
    require_openssl();
    const Bytes shown = named(header, id_of(key));
    Bytes bytes(ENCRYPTED.begin(), ENCRYPTED.end());
    bytes.push_back(static_cast<std::uint8_t>(shown.size() >> 8));
    bytes.push_back(static_cast<std::uint8_t>(shown.size()));
    bytes.insert(bytes.end(), shown.begin(), shown.end());
    const Bytes nonce = new_nonce(), sealed = seal(key, nonce, bytes, record);
    bytes.insert(bytes.end(), nonce.begin(), nonce.end());
    bytes.insert(bytes.end(), sealed.begin(), sealed.end());
    return limited(std::move(bytes));
}

Payload payload_of(const std::uint8_t* data, std::size_t length, const TemplateKey* key) {
    const auto begins = [&](const std::string& text) {
        return length >= text.size() && std::memcmp(data, text.data(), text.size()) == 0;
    };
    if (key) require_openssl();
    if (length > MOST_TEMPLATE_BYTES) refuse("a template takes up to 16 MiB");
    if (begins(ENCRYPTED)) return decrypted(data, length, key);
    if (!begins(PLAIN)) refuse(begins(FAMILY) ? "template of another version of edge-sdk" : "not a template");
    if (key) refuse("template is plain, so that anybody who can write it may have made it, and a key was given");
    const std::size_t start = PLAIN.size() + CHECKSUM;
    if (length < start) refuse("template is truncated");
    const Bytes digest = sha256(data + start, length - start);
    if (!std::equal(digest.begin(), digest.begin() + CHECKSUM, data + PLAIN.size()))
        refuse("template is truncated or damaged");
    return {Bytes(data + start, data + length), std::nullopt};
}

}  // namespace edge
