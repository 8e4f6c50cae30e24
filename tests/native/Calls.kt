// What tests/native/test_kotlin.py asks of the Kotlin classes; one line an answer.

import edgesdk.EdgeException
import edgesdk.Faces
import edgesdk.Locator
import edgesdk.Options
import edgesdk.Picture
import edgesdk.PixelFormat
import edgesdk.SpoofDetector
import edgesdk.Template
import edgesdk.Verifier
import edgesdk.unpack
import example.Drivers
import example.seal
import example.unseal
import java.io.File
import java.nio.ByteBuffer
import javax.crypto.KeyGenerator
import javax.imageio.ImageIO
import kotlin.concurrent.thread

fun file(path: String) = Picture.encoded(File(path).readBytes())

fun failure(action: () -> Any?): String = try {
    action().toString()
} catch (problem: EdgeException) {
    "${problem.status}"
} catch (problem: Exception) {
    problem.javaClass.simpleName
}

fun signatures(folder: File, own: String, other: String) {
    val bundle = unpack({ File(folder, "assets/$it").inputStream() }, "deepsign.edge", folder)
    val verifier = Verifier(bundle, Options(operatingPoint = "fmr_1e-2"))
    println("info ${verifier.info.name} ${verifier.info.variant} ${verifier.info.engine}")
    println("selftest ${verifier.selftest().passed}")
    println("score ${verifier.verify(file(own), file(other)).score}")
    println("accepted ${verifier.verify(listOf(file(own)), file(own)).accepted}")

    val image = ImageIO.read(File(other))
    val gray = ByteArray(image.width * image.height) { image.raster.getSample(it % image.width, it / image.width, 0).toByte() }
    println("gray ${verifier.verify(file(own), Picture.pixels(PixelFormat.GRAY8, gray, image.width, image.height)).score}")
    val stride = image.width * 4 + 12
    val direct = ByteBuffer.allocateDirect(8 + stride * image.height)
    for (y in 0 until image.height) for (x in 0 until image.width) for (channel in 0..3) {
        direct.put(8 + y * stride + x * 4 + channel, if (channel == 3) -1 else gray[y * image.width + x])
    }
    direct.position(8)
    val rows = Picture.pixels(PixelFormat.RGBA8, direct, image.width, image.height, stride)
    println("rgba ${verifier.verify(file(own), rows).score}")
    val blank = ByteArray(6400) { -1 }
    println("blank ${verifier.verify(file(own), Picture.pixels(PixelFormat.GRAY8, blank, 80, 80)).blocking}")

    val template = verifier.enroll(listOf(file(own), file(other)))
    File(folder, "two.template").writeBytes(template.toBytes())
    println("id ${template.id}")
    println("references ${Template.fromBytes(template.toBytes()).use { it.references }}")
    val single = verifier.enroll(listOf(file(own)))
    println("template ${verifier.verify(single, file(other)).score}")
    val key = KeyGenerator.getInstance("AES").generateKey()
    val sealed = seal(key, single)
    println("unsealed ${unseal(key, sealed).toBytes().contentEquals(single.toBytes())}")
    sealed[sealed.size - 1]++
    println("changed ${failure { unseal(key, sealed) }}")
    val secret = ByteArray(32) { it.toByte() }
    val encrypted = File(folder, "single.template")
    println("encrypted ${failure { encrypted.writeBytes(single.encrypt(secret)) }}")
    fun decrypted(file: File, key: ByteArray) =
        failure { Template.decrypt(file.readBytes(), key).use { it.id == single.id } }
    println("decrypted ${decrypted(encrypted, secret)}")
    println("otherkey ${decrypted(encrypted, ByteArray(32))}")
    println("plainly ${decrypted(File(folder, "two.template"), secret)}")
    println("shortkey ${decrypted(encrypted, ByteArray(31))}")
    val gallery = verifier.gallery(listOf(template, single))
    listOf(template, single).forEach(Template::close)
    val found = verifier.identify(gallery, file(own), candidates = 5)
    println("person ${found.person} of ${found.candidates.map { it.person }}")

    println("candidates ${failure { verifier.identify(gallery, file(own), candidates = Int.MAX_VALUE).candidates.size }}")
    println("novariant ${failure { Verifier(bundle, Options(variant = "")) }}")
    println("nopoint ${failure { Verifier(bundle, Options(operatingPoint = "")) }}")
    println("nul ${failure { Verifier(bundle, Options(variant = "fp32.onnx\u0000x")) }}")
    println("nulpath ${failure { Verifier(File(bundle.path + "\u0000x")) }}")
    println("point ${failure { Verifier(bundle, Options(operatingPoint = "none")) }}")
    println("pin ${failure { Verifier(bundle, Options(manifestSha256 = "0".repeat(64))) }}")
    println("nopin ${failure { Verifier(bundle, Options(manifestSha256 = "")) }}")
    println("noversion ${failure { Verifier(bundle, Options(minimumVersion = "")) }}")
    println("missing ${failure { Verifier(File(folder, "b\u00fcndel \ud83d\ude97")) }}")
    println("task ${failure { SpoofDetector(bundle) }}")
    println("unusable ${failure { verifier.enroll(listOf(Picture.pixels(PixelFormat.GRAY8, blank, 80, 80))) }}")
    println("garbage ${failure { verifier.verify(Picture.encoded(ByteArray(9)), file(own)) }}")
    println("short ${failure { verifier.verify(Picture.pixels(PixelFormat.BGR8, blank, 80, 80), file(own)) }}")
    println("damaged ${failure { Template.fromBytes(ByteArray(100)) }}")
    println("none ${failure { verifier.verify(emptyList(), file(own)) }}")
    println("closed ${failure { verifier.verify(single, file(own)) }}")

    val results = List(4) { mutableListOf<String>() }
    val query = file(other)
    val threads = results.map { to -> thread { repeat(20) { to += failure { verifier.verify(query, query).accepted } } } }
    Thread.sleep(30)
    verifier.close()
    threads.forEach(Thread::join)
    println("threads ${results.flatten().toSet().sorted()}")
    gallery.close()
    gallery.close()
}

fun faces(bundles: String, frame: String, face: String) {
    Locator(File(bundles, "face_locator")).use { locator ->
        println("faces ${locator.locate(file(frame)).map { listOf(it.left, it.top, it.width, it.height) }}")
        SpoofDetector(File(bundles, "liveness"), Options(operatingPoint = "apcer_5e-2"), locator).use {
            val result = it.detect(file(frame))
            println("liveness ${result.decision} ${result.score}")
        }
    }
    val cut = Options(operatingPoint = "fmr_1e-3", faces = Faces.CUT_OUT)
    Verifier(File(bundles, "face_lite"), cut).use { println("cut ${it.verify(file(face), file(face)).accepted}") }
    Drivers(File(bundles, "face_locator"), File(bundles, "liveness"), File(bundles, "face_lite")).use {
        println("drivers ${it.who(file(frame))} ${failure { it.enrol(listOf(file(frame))) }}")
    }
}

fun unpacked(folder: File) {
    val (assets, into) = listOf("assets", "into").map { File(folder, it) }
    fun copy() = unpack({ File(assets, it).inputStream() }, "nano.edge", into)
    val ways = List(6) { mutableListOf<String>() }
    ways.map { to -> thread { to += failure { copy().name } } }.forEach(Thread::join)
    println("together ${ways.flatten().toSet()} ${into.list()?.toList()}")
    val copied = copy().apply { setLastModified(1_000_000) }
    println("kept ${copy().lastModified()}")
    copied.writeBytes(copied.readBytes().dropLast(1).toByteArray())
    println("mended ${failure { Verifier(copy()).use { it.info.name } }}")
    File(assets, "nano.edge").writeText("another")
    println("replaced ${copy().readText()}")
    println("absent ${failure { unpack({ File(assets, it).inputStream() }, "none.edge", into) }}")
}

fun main(given: Array<String>) {
    val (bundles, folder, own, other, frame) = given
    signatures(File(folder), own, other)
    unpacked(File(folder))
    faces(bundles, frame, given[5])
}
