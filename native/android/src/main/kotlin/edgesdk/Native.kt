package edgesdk

/** What src/main/cpp/edge_sdk_jni.cpp implements. Handles are pointers; texts are UTF-8. Everything throws EdgeException. */
internal object Native {
    init {
        System.loadLibrary("edge_sdk_jni")
    }

    @JvmStatic
    external fun open(
        path: ByteArray, threads: Int, manifestSha256: ByteArray?, variant: ByteArray?, operatingPoint: ByteArray?,
        own: Boolean, threshold: Double, faces: Int, skipSelftest: Boolean, locator: Long, smallestFace: Double,
        publicKeys: Array<ByteArray>?, minimumVersion: ByteArray?, verifyEd25519: SignatureCheck?,
    ): Long

    @JvmStatic external fun close(session: Long)
    @JvmStatic external fun describe(session: Long): Info
    @JvmStatic external fun selftest(session: Long): Replay
    @JvmStatic external fun verify(session: Long, references: Array<Picture>, query: Picture): Verification
    @JvmStatic external fun verifyTemplate(session: Long, enrolled: Long, query: Picture): Verification
    @JvmStatic external fun enroll(session: Long, references: Array<Picture>): Long
    @JvmStatic external fun templateFromBytes(data: ByteArray): Long
    @JvmStatic external fun templateToBytes(enrolled: Long): ByteArray
    @JvmStatic external fun templateEncrypt(enrolled: Long, key: ByteArray): ByteArray
    @JvmStatic external fun templateDecrypt(data: ByteArray, key: ByteArray): Long
    @JvmStatic external fun templateReferences(enrolled: Long): Int
    @JvmStatic external fun templateId(enrolled: Long): ByteArray
    @JvmStatic external fun templateFree(enrolled: Long)
    @JvmStatic external fun gallery(session: Long, templates: LongArray): Long
    @JvmStatic external fun galleryFree(gallery: Long)
    @JvmStatic external fun identify(session: Long, gallery: Long, probe: Picture, candidates: Int): Identification
    @JvmStatic external fun locate(session: Long, picture: Picture): Array<FaceBox>
    @JvmStatic external fun detect(session: Long, picture: Picture): Liveness
    @JvmStatic external fun flagName(flag: Long): ByteArray?
}

/** A pointer that is freed by the last of its users after close(), so that no thread uses what another one has freed. */
internal class Handle(private val pointer: Long, private val free: (Long) -> Unit) : AutoCloseable {
    private var users = 0
    private var closed = false

    fun acquire(): Long = synchronized(this) {
        check(!closed) { "closed already" }
        users++
        pointer
    }

    fun release() = synchronized(this) {
        users--
        if (closed && users == 0) free(pointer)
    }

    override fun close() {
        synchronized(this) {
            if (!closed && users == 0) free(pointer)
            closed = true
        }
    }

    inline fun <T> use(action: (Long) -> T): T {
        val value = acquire()
        try {
            return action(value)
        } finally {
            release()
        }
    }
}
