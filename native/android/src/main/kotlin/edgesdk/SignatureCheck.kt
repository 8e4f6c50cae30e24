package edgesdk

import java.security.KeyFactory
import java.security.Security
import java.security.Signature
import java.security.spec.X509EncodedKeySpec

/** Verifies Ed25519 signatures (RFC 8032) for [Options.publicKeys]. */
fun interface SignatureCheck {
    /**
     * Whether [signature], 64 bytes, is that of [message] by [publicKey], 32 bytes. An exception refuses the bundle, too:
     * it is the cause of the [EdgeException].
     */
    fun verify(publicKey: ByteArray, signature: ByteArray, message: ByteArray): Boolean
}

private const val ED25519 = "Ed25519"

/** What stands before the 32 bytes of a key in a SubjectPublicKeyInfo (RFC 8410). */
private val BEFORE_KEY = byteArrayOf(0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00)

/** The check of the options, or the platform's; null where no keys are given, or the platform has none. */
internal fun signatureCheck(options: Options): SignatureCheck? {
    val check = options.verifyEd25519 ?: options.publicKeys?.let { platformCheck() } ?: return null
    return SignatureCheck { publicKey, signature, message ->
        try {
            check.verify(publicKey, signature, message)
        } catch (problem: Exception) {
            val text = "the signature could not be verified: $problem"
            throw EdgeException(Status.SIGNATURE.ordinal, text.toByteArray(Charsets.UTF_8)).apply { initCause(problem) }
        }
    }
}

/** By java.security. The Android Keystore makes Ed25519 keys of its own, and takes no others, so it is passed over. */
private fun platformCheck(): SignatureCheck? {
    val provider = Security.getProviders().firstOrNull { one ->
        !one.name.startsWith("AndroidKeyStore") && one.getService("KeyFactory", ED25519) != null &&
            one.getService("Signature", ED25519) != null
    } ?: return null
    return SignatureCheck { publicKey, signature, message ->
        val key = KeyFactory.getInstance(ED25519, provider).generatePublic(X509EncodedKeySpec(BEFORE_KEY + publicKey))
        Signature.getInstance(ED25519, provider).run { initVerify(key); update(message); verify(signature) }
    }
}
