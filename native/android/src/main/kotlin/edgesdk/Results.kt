package edgesdk

/** Why a call failed; the numbers are those of edge_status in edge_sdk.h. */
enum class Status {
    OK, USAGE, BUNDLE, INTEGRITY, OPERATING_POINT, ENGINE, SELFTEST, INPUT, UNUSABLE_SAMPLE, TEMPLATE, UNSUPPORTED,
    BUFFER, MEMORY, INTERNAL, SIGNATURE, ROLLBACK, TEMPLATE_KEY
}

/** Everything that fails throws this: no failure can be read as an acceptance. */
class EdgeException internal constructor(status: Int, text: ByteArray) : RuntimeException(String(text, Charsets.UTF_8)) {
    val status: Status = Status.values().getOrElse(status) { Status.INTERNAL }
}

/** Names of quality flags, as docs/preprocessing.md explains them. */
private fun names(flags: Long): List<String> = (0 until Long.SIZE_BITS).map { 1L shl it }.filter { flags and it != 0L }
    .map { Native.flagName(it)?.let { name -> String(name, Charsets.UTF_8) } ?: "unknown" }

/** [accepted] if and only if no flag blocks and [score] >= [threshold]; [references]: with how many it was measured. */
class Verification internal constructor(
    val accepted: Boolean, val score: Double, val rawScore: Double, val threshold: Double, flags: Long, blocking: Long,
    val references: Int,
) {
    val flags = names(flags)
    val blocking = names(blocking)

    override fun toString() = "Verification(accepted=$accepted, score=$score, threshold=$threshold, flags=$flags)"
}

/** One of the best: the place of its template in the gallery. */
class Candidate internal constructor(val person: Int, val score: Double, val rawScore: Double)

/** [person] is the place of the template in the gallery, null if the probe shows nobody of it. */
class Identification internal constructor(
    identified: Boolean, person: Int, val score: Double, val rawScore: Double, val threshold: Double, flags: Long,
    blocking: Long, val references: Int, candidates: Array<Candidate>,
) {
    val person: Int? = if (identified) person else null
    val flags = names(flags)
    val blocking = names(blocking)
    val candidates = candidates.toList()

    override fun toString() = "Identification(person=$person, score=$score, threshold=$threshold, flags=$flags)"
}

/** The numbers are those of edge_sdk.h. */
enum class Decision { UNCERTAIN, LIVE, SPOOF, NO_FACE }

/** [live] alone is live; [flags] say why a picture was unfit to be judged. The box is that of the face, in pixels. */
class Liveness internal constructor(
    decision: Int, val score: Double, val threshold: Double, flags: Long, val left: Int, val top: Int, val width: Int,
    val height: Int,
) {
    val decision = Decision.values().getOrElse(decision) { Decision.UNCERTAIN }
    val live get() = decision == Decision.LIVE
    val flags = names(flags)

    override fun toString() = "Liveness(decision=$decision, score=$score, threshold=$threshold, flags=$flags)"
}

/** A face in pixels; [points] are x and y of right eye, left eye, tip of the nose, right and left corner of the mouth. */
class FaceBox internal constructor(
    val left: Int, val top: Int, val width: Int, val height: Int, val confidence: Double, val points: DoubleArray,
)

/** The golden trial replayed; it [passed] if |score - expected| <= tolerance. */
class Replay internal constructor(
    val passed: Boolean, val score: Double, val expected: Double, val tolerance: Double,
)

/** What was opened. */
class Info internal constructor(
    internal val task: Int, name: ByteArray, version: ByteArray, modality: ByteArray, variant: ByteArray,
    engine: ByteArray, operatingPoint: ByteArray, manifestSha256: ByteArray, val threshold: Double,
) {
    val name = String(name, Charsets.UTF_8)
    val version = String(version, Charsets.UTF_8)
    val modality = String(modality, Charsets.UTF_8)
    val variant = String(variant, Charsets.UTF_8)
    val engine = String(engine, Charsets.UTF_8)
    val operatingPoint = String(operatingPoint, Charsets.UTF_8)
    val manifestSha256 = String(manifestSha256, Charsets.UTF_8)
}
