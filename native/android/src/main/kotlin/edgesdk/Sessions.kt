package edgesdk

import java.io.File

/** What the pictures of a bundle of faces are: frames in which a [Locator] finds the face, or one face each, cut out. */
enum class Faces { LOCATE, CUT_OUT }

/**
 * How a bundle is opened; edge_options in edge_sdk.h says more.
 *
 * Give [manifestSha256], which `edge-sdk inspect` shows, in every application, or [publicKeys], the texts of PEM files, of
 * whose owners one has to have signed the bundle: without either whoever may write the bundle may change thresholds.
 * [verifyEd25519] verifies the signature by [publicKeys] in place of java.security, which has Ed25519 on some Androids
 * alone; where neither does, [Status.UNSUPPORTED] is the answer.
 */
data class Options(
    val manifestSha256: String? = null,
    val publicKeys: List<String>? = null,
    val minimumVersion: String? = null,
    val operatingPoint: String? = null,
    val threshold: Double? = null,
    val variant: String? = null,
    val threads: Int = 1,
    val faces: Faces = Faces.LOCATE,
    val selftest: Boolean = true,
    val smallestFace: Double = 0.0,
    val verifyEd25519: SignatureCheck? = null,
)

/** A bundle's folder or .edge file, opened. Threads may share it; close() frees it once no call uses it any more. */
sealed class Session(bundle: File, options: Options, locator: Locator?, task: Int) : AutoCloseable {
    internal val handle: Handle
    val info: Info

    init {
        fun open(locator: Long) = Native.open(
            utf8(bundle.path), options.threads, options.manifestSha256?.let(::utf8), options.variant?.let(::utf8),
            options.operatingPoint?.let(::utf8), options.threshold != null, options.threshold ?: 0.0,
            options.faces.ordinal, !options.selftest, locator, options.smallestFace,
            options.publicKeys?.map(::utf8)?.toTypedArray(), options.minimumVersion?.let(::utf8),
            signatureCheck(options),
        )
        handle = Handle(locator?.handle?.use(::open) ?: open(0), Native::close)
        try {
            info = handle.use(Native::describe)
            if (info.task != task) throw EdgeException(Status.USAGE.ordinal, utf8("$bundle is a bundle of another task"))
        } catch (problem: Throwable) {
            handle.close()
            throw problem
        }
    }

    /** Replay the golden trial, and throw unless this device computes what the bundle promises. */
    fun selftest(): Replay = handle.use(Native::selftest).also {
        if (!it.passed) throw EdgeException(Status.SELFTEST.ordinal, utf8("the golden trial scores ${it.score}"))
    }

    override fun close() = handle.close()
}

/** Finds faces in pictures, for itself or for the sessions that are opened with it. */
class Locator(bundle: File, options: Options = Options()) : Session(bundle, options, null, task = 3) {
    /** The faces, the largest first. */
    fun locate(picture: Picture): List<FaceBox> = handle.use { Native.locate(it, picture) }.toList()
}

/** Verifies, enrols and identifies people. */
class Verifier(bundle: File, options: Options = Options(), locator: Locator? = null) :
    Session(bundle, options, locator, task = 1) {

    fun verify(reference: Picture, query: Picture) = verify(listOf(reference), query)

    fun verify(references: List<Picture>, query: Picture): Verification =
        handle.use { Native.verify(it, references.toTypedArray(), query) }

    fun verify(enrolled: Template, query: Picture): Verification =
        handle.use { session -> enrolled.handle.use { Native.verifyTemplate(session, it, query) } }

    /** A template of one person's pictures, each of which must be fit to be enrolled. */
    fun enroll(references: List<Picture>): Template =
        Template(handle.use { Native.enroll(it, references.toTypedArray()) })

    /** Templates made ready to be searched; they may be closed afterwards. */
    fun gallery(templates: List<Template>): Gallery {
        val taken = ArrayList<Handle>(templates.size)
        try {
            val pointers = LongArray(templates.size) { place ->
                templates[place].handle.let { one -> one.acquire().also { taken += one } }
            }
            return Gallery(handle.use { Native.gallery(it, pointers) })
        } finally {
            taken.forEach(Handle::release)
        }
    }

    /** Who of the gallery is it, if anybody? With up to [candidates] of the best. */
    fun identify(gallery: Gallery, probe: Picture, candidates: Int = 0): Identification {
        require(candidates >= 0) { "candidates is $candidates" }
        return handle.use { session -> gallery.handle.use { Native.identify(session, it, probe, candidates) } }
    }
}

/** Tells live faces from pictures of faces. Ask of many frames in a row: one frame says little. */
class SpoofDetector(bundle: File, options: Options = Options(), locator: Locator? = null) :
    Session(bundle, options, locator, task = 2) {

    fun detect(picture: Picture): Liveness = handle.use { Native.detect(it, picture) }
}

/** Enrolled references of one person: biometric data, to be kept encrypted. */
class Template internal constructor(pointer: Long) : AutoCloseable {
    internal val handle = Handle(pointer, Native::templateFree)
    val references: Int get() = handle.use(Native::templateReferences)

    /** By which an application revokes it; empty of one that was enrolled before there were ids. */
    val id: String get() = String(handle.use(Native::templateId), Charsets.UTF_8)

    /** In plain, as Python's Template.load() reads it: encrypt it with a key of the Android Keystore. */
    fun toBytes(): ByteArray = handle.use(Native::templateToBytes)

    /**
     * Encrypted by a [key] of 32 random bytes, as Python's Template.load() reads it with the key. [Status.UNSUPPORTED]
     * of a library that was built without OpenSSL.
     */
    fun encrypt(key: ByteArray): ByteArray = handle.use { Native.templateEncrypt(it, key) }

    override fun close() = handle.close()

    companion object {
        /** Of plain bytes: whoever can write them can have made them. */
        fun fromBytes(data: ByteArray) = Template(Native.templateFromBytes(data))

        /** What this key encrypted, and nothing else; compare [id] with the one beside the person's account. */
        fun decrypt(data: ByteArray, key: ByteArray) = Template(Native.templateDecrypt(data, key))
    }
}

/** Whom to search among. */
class Gallery internal constructor(pointer: Long) : AutoCloseable {
    internal val handle = Handle(pointer, Native::galleryFree)

    override fun close() = handle.close()
}

private fun utf8(text: String) = text.toByteArray(Charsets.UTF_8)
