// Are two signatures by the same person? On Android, with LiteRT and the bundle in the app's assets.
//
//     edge-sdk slice deepsign --format tflite --precision int8 --out app/src/main/assets/deepsign
//
//     SignatureVerifier("fmr_1e-2") { path -> assets.open("deepsign/$path").use { it.readBytes() } }.use { verifier ->
//         verifier.selftest()                             // once, at the app's first start on this device
//         val result = verifier.verify(reference, query)  // the bytes of JPEG or PNG files, as the camera gives them
//     }
//
// Gradle: implementation("com.google.ai.edge.litert:litert:1.4.2"), and libedge_preprocess.so from
// examples/cpp/CMakeLists.txt with OpenCV's Android SDK: the pre-processing is C++, the same for every platform.
// Every error is thrown, so nothing is ever accepted by accident. One thread at a time may use a verifier.

package edge

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest
import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.ln
import kotlin.math.round
import kotlin.math.sqrt
import org.json.JSONObject
import org.tensorflow.lite.DataType
import org.tensorflow.lite.InterpreterApi
import org.tensorflow.lite.Tensor

object Preprocess {
    init {
        System.loadLibrary("edge_preprocess")
    }

    /** A picture file to the network's input, row by row in [0, 1]; IllegalArgumentException if it is unusable. */
    external fun prepare(operations: String, picture: ByteArray): FloatArray
}

data class Result(val accepted: Boolean, val score: Double, val threshold: Double)

/** [point]: an operating point of the variant (`edge-sdk inspect` lists them); [read] gives a file of the bundle. */
class SignatureVerifier(point: String, private val read: (String) -> ByteArray) : AutoCloseable {
    private val manifest = JSONObject(String(manifest(), Charsets.UTF_8))
    private val variant: JSONObject
    private val operations: String
    private val compare: (DoubleArray, DoubleArray) -> Double
    private val threshold: Double
    private val interpreter: InterpreterApi

    init {
        check(manifest.getInt("schema_version") == 1) { "a manifest of another version: update the app" }
        compare = comparison(manifest.getJSONObject("score"))
        val graph = objects(manifest, "graphs").single()
        check(graph.getJSONArray("inputs").length() == 1) { "the bundle does not take one picture" }
        operations = manifest.getJSONArray("preprocessing").toString()
        variant = objects(manifest, "variants").single { it.getString("format") == "tflite" }
        val chosen = objects(variant, "operating_points").single {
            it.getString("name") == point && it.optInt("references", 1) == 1
        }
        check(chosen.getString("kind") == "verify") { "no threshold for $point: ${chosen.optString("reason")}" }
        threshold = chosen.getDouble("threshold")
        val model = checked(graph.getJSONObject("files").getJSONObject("${variant.getString("precision")}.tflite"))
        val options = InterpreterApi.Options().setNumThreads(1)
        interpreter = InterpreterApi.create(direct(model.size).apply { put(model).rewind() }, options)
        interpreter.allocateTensors()
    }

    fun verify(reference: ByteArray, query: ByteArray): Result {
        val score = compare(embed(reference), embed(query))
        return Result(score >= threshold, score, threshold)
    }

    /** Replay the golden trial: throws if this device does not give the score that the bundle promises. */
    fun selftest() {
        val golden = manifest.getJSONObject("golden")
        val id = "${variant.getString("precision")}.tflite"
        val (reference, query) = objects(golden, "inputs").map { embed(checked(it)) }
        val expected = golden.getJSONObject("scores").getDouble(id)
        val score = compare(reference, query)
        val close = abs(score - expected) <= golden.getJSONObject("tolerance").getDouble(id)
        check(close) { "$id scores $score instead of $expected: do not use it on this device" }
    }

    override fun close() = interpreter.close()

    private fun embed(picture: ByteArray): DoubleArray {
        val values = Preprocess.prepare(operations, picture)
        val input = interpreter.getInputTensor(0)
        val output = interpreter.getOutputTensor(0)
        check(input.numElements() == values.size) { "the model does not take ${values.size} values" }
        val embedding = direct(output.numBytes())
        interpreter.run(stored(values, input), embedding)
        return normalised(restored(embedding, output))
    }

    /** The bytes of the manifest, checked. */
    private fun manifest(): ByteArray {
        val data = read("manifest.json")
        val digest = String(read("manifest.sha256"), Charsets.UTF_8)
        check(digest == "${sha256(data)}  manifest.json\n") { "manifest.json is damaged" }
        return data
    }

    /** The bytes of a file entry, checked. */
    private fun checked(file: JSONObject): ByteArray {
        val data = read(file.getString("path"))
        check(sha256(data) == file.getString("sha256")) { "${file.getString("path")} is damaged" }
        return data
    }

    private fun sha256(data: ByteArray) =
        MessageDigest.getInstance("SHA-256").digest(data).joinToString("") { "%02x".format(it) }

    /** Compares two unit embeddings by the bundle's score. */
    private fun comparison(score: JSONObject): (DoubleArray, DoubleArray) -> Double {
        val kind = score.getString("kind")
        if (kind == "person_model") {
            val path = score.getString("background")
            return PersonModel(checked(objects(manifest, "auxiliary").single { it.getString("path") == path }))::score
        }
        check(kind == "embedding_distance") { "the bundle does not compare embeddings" }
        val metric = score.getString("metric")
        check(metric == "euclidean" || metric == "cosine") { "unknown metric $metric" }
        return { first, second -> // rounded as the thresholds were measured
            val cosine = first.indices.sumOf { first[it] * second[it] }.coerceIn(-1.0, 1.0)
            if (metric == "cosine") (1 + rounded(cosine)) / 2 else 1 - rounded(sqrt(2 - 2 * cosine)) / 2
        }
    }
}

/** The score person_model of one reference: edge_sdk/scoring/background.py says what the file [data] holds. */
private class PersonModel(data: ByteArray) {
    private val mean: DoubleArray
    private val scatter: Double
    private val slope: Double
    private val offset: Double
    private val triangles: List<DoubleArray>

    init {
        val file = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
        val magic = ByteArray(18).also(file::get)
        check(String(magic, Charsets.US_ASCII) == "EDGE-BACKGROUND-1\n") { "the background is damaged" }
        val size = file.short.toInt()
        val width = file.short.toInt()
        file.int // how many people it was fitted to
        scatter = minOf(file.double, file.double)
        slope = file.double
        offset = file.double
        mean = DoubleArray(size) { file.float.toDouble() }
        triangles = List(2) {
            val scales = DoubleArray(size) { file.float.toDouble() }
            val rows = (0 until size).flatMap { 0..it }
            DoubleArray(rows.size) { (if (width == 2) file.short.toInt() else file.get().toInt()) * scales[rows[it]] }
        }
        check(!file.hasRemaining()) { "the background is damaged" }
    }

    fun score(reference: DoubleArray, query: DoubleArray): Double {
        check(reference.size == mean.size && query.size == mean.size) { "embeddings of another size" }
        val between = DoubleArray(mean.size) { query[it] - reference[it] }
        val away = DoubleArray(mean.size) { query[it] - mean[it] }
        val distance = maxOf(squares(triangles[0], between) / (2 * mean.size), 1e-12)
        val unusual = maxOf(squares(triangles[1], away) / mean.size, 1e-12)
        val ratio = offset + slope * (ln(scatter * unusual) / 2 - ln(distance))
        check(ratio.isFinite()) { "a score that is not finite" }
        return round(1e8 / (1 + exp(-ratio.coerceIn(-30.0, 30.0)))) / 1e8
    }

    /** The squared length of a row times a lower triangle, whose values lie row by row. */
    private fun squares(triangle: DoubleArray, row: DoubleArray): Double {
        val sums = DoubleArray(row.size)
        var at = 0
        for (i in row.indices) for (j in 0..i) sums[j] += row[i] * triangle[at++]
        return sums.sumOf { it * it }
    }
}

private fun objects(parent: JSONObject, key: String): List<JSONObject> =
    parent.getJSONArray(key).let { array -> List(array.length(), array::getJSONObject) }

private fun direct(bytes: Int): ByteBuffer = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder())

/** To six decimals; halves to the even neighbour, as Python does. */
private fun rounded(value: Double): Double = round(value * 1e6) / 1e6

/** stored = clip(round(value / scale) + zero point), for tensors that are int8 themselves (int8-io). */
private fun stored(values: FloatArray, tensor: Tensor): ByteBuffer {
    val buffer = direct(tensor.numBytes())
    when (tensor.dataType()) {
        DataType.FLOAT32 -> values.forEach(buffer::putFloat)
        DataType.INT8 -> {
            val (scale, zeroPoint) = tensor.quantizationParams().run { scale to zeroPoint }
            values.forEach { buffer.put((round(it / scale) + zeroPoint).coerceIn(-128f, 127f).toInt().toByte()) }
        }
        else -> error("the input is ${tensor.dataType()}")
    }
    buffer.rewind()
    return buffer
}

private fun restored(buffer: ByteBuffer, tensor: Tensor): DoubleArray {
    buffer.rewind()
    return when (tensor.dataType()) {
        DataType.FLOAT32 -> DoubleArray(tensor.numElements()) { buffer.float.toDouble() }
        DataType.INT8 -> {
            val (scale, zeroPoint) = tensor.quantizationParams().run { scale to zeroPoint }
            DoubleArray(tensor.numElements()) { (buffer.get() - zeroPoint) * scale.toDouble() }
        }
        else -> error("the output is ${tensor.dataType()}")
    }
}

/** Length 1; an embedding without a direction must never match anything. */
private fun normalised(embedding: DoubleArray): DoubleArray {
    check(embedding.all(Double::isFinite)) { "an embedding that is not finite" }
    val largest = embedding.maxOf { abs(it) }
    check(largest > 0) { "an embedding that is all zero" }
    val scaled = DoubleArray(embedding.size) { embedding[it] / largest } // tiny and huge values survive squaring
    val length = sqrt(scaled.sumOf { it * it })
    return DoubleArray(scaled.size) { scaled[it] / length }
}
