// Whose key vouches for a bundle's manifest, and how old a bundle may be: edge_sdk/bundle/signing.py and trust.py.

#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine.hpp"

namespace edge {

// Is an Ed25519 signature of 64 bytes that of the message by a public key of 32 bytes?
using SignatureCheck = std::function<bool(const Bytes& key, const Bytes& signature, const Bytes& message)>;

// By OpenSSL; empty where this library was built without it.
SignatureCheck openssl_ed25519();

// Throws Error(EDGE_ERROR_SIGNATURE) unless one of these keys signed the manifest.
//
// signature: the bytes of signature.json. manifest_sha256: 32 bytes. keys: Ed25519 public keys in PEM;
// Error(EDGE_ERROR_USAGE) for one that is none.
void check_signature(const Bytes& signature, const Bytes& manifest_sha256, const std::vector<std::string>& keys,
                     const SignatureCheck& verify);

// Throws Error(EDGE_ERROR_ROLLBACK) where a version comes before the least one, by Semantic Versioning, or has no
// order; Error(EDGE_ERROR_USAGE) for a least one that has none.
void check_version(const std::string& version, const std::string& least);

constexpr std::size_t MOST_SIGNATURE_BYTES = 16 << 10;

}  // namespace edge
