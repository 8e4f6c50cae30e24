// Who of a few drivers is it, if it is a live face of one of them? With the module native/android.
//
//     val bundle = { name: String -> unpack(assets::open, "$name.edge", noBackupFilesDir) }
//     Drivers(bundle("face_locator"), bundle("liveness"), bundle("face_lite")).use { drivers ->
//         val sealed = seal(key, drivers.enrol(frames))        // keep it
//         drivers.known = mapOf("ann" to unseal(key, sealed))
//         drivers.who(Picture.pixels(PixelFormat.RGBA8, plane.buffer, image.width, image.height, plane.rowStride))
//     }
//
// `edge-sdk slice NAME --format onnx --precision int8 --out app/src/main/assets/NAME.edge` puts a bundle into the app,
// and `edge-sdk inspect` shows the SHA-256 of its manifest: name it in Options, so that no other one is opened; or, for
// bundles that are updated apart from the app, the key that signs them: Options(publicKeys = listOf(vendor)).
//
// The key never leaves the Android Keystore:
//
//     KeyGenerator.getInstance("AES", "AndroidKeyStore").apply {
//         init(KeyGenParameterSpec.Builder("templates", PURPOSE_ENCRYPT or PURPOSE_DECRYPT)
//             .setBlockModes("GCM").setEncryptionPaddings("NoPadding").build())
//     }.generateKey()

package example

import edgesdk.Locator
import edgesdk.Options
import edgesdk.Picture
import edgesdk.SpoofDetector
import edgesdk.Template
import edgesdk.Verifier
import java.io.File
import javax.crypto.Cipher
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

class Drivers(locator: File, liveness: File, faces: File) : AutoCloseable {
    private val finder = Locator(locator)
    private val detector = SpoofDetector(liveness, Options(operatingPoint = "apcer_5e-2"), finder)
    private val verifier = Verifier(faces, Options(operatingPoint = "fmr_1e-3"), finder)

    /** Whom to let drive. */
    var known: Map<String, Template> = emptyMap()

    /** A template of frames that each show one live face; EdgeException names what is wrong with one of them. */
    fun enrol(frames: List<Picture>): Template {
        require(frames.all { detector.detect(it).live }) { "a frame shows no live face" }
        return verifier.enroll(frames)
    }

    /** The name, or null: nobody of them, or no live face. Ask of many frames in a row: one frame says little. */
    fun who(frame: Picture): String? {
        if (known.isEmpty() || !detector.detect(frame).live) return null
        val names = known.keys.toList()
        return verifier.gallery(names.map(known::getValue)).use { verifier.identify(it, frame).person?.let(names::get) }
    }

    override fun close() = listOf(verifier, detector, finder).forEach { it.close() }
}

private const val AES = "AES/GCM/NoPadding"
private const val NONCE = 12
private const val TAG_BITS = 128

/** Nonce and ciphertext, to be kept. */
fun seal(key: SecretKey, template: Template): ByteArray =
    Cipher.getInstance(AES).run { init(Cipher.ENCRYPT_MODE, key); iv + doFinal(template.toBytes()) }

/** AEADBadTagException: another key, or changed bytes. */
fun unseal(key: SecretKey, sealed: ByteArray): Template = Cipher.getInstance(AES).run {
    init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, sealed, 0, NONCE))
    Template.fromBytes(doFinal(sealed, NONCE, sealed.size - NONCE))
}
