package edgesdk

import java.io.File
import java.io.IOException
import java.io.InputStream

private val unpacking = Any()

/**
 * Copy a bundle's folder out of the app's assets, for the library reads folders, and return where it is:
 *
 *     val folder = unpack(assets::list, assets::open, "deepsign", noBackupFilesDir)
 *
 * A copy with the same manifest, digest and signature is kept. The manifest names every file by its SHA-256, which is
 * checked when the bundle is opened: after [Status.INTEGRITY] delete the folder, and unpack again. Threads take turns;
 * processes do not.
 */
fun unpack(list: (String) -> Array<String>?, open: (String) -> InputStream, bundle: String, into: File): File = synchronized(unpacking) {
    fun bytes(path: String) = open(path).use(InputStream::readBytes)
    fun copy(path: String, to: File) {
        val children = list(path).orEmpty()
        if (children.isEmpty()) return to.writeBytes(bytes(path))
        if (!to.mkdirs()) throw IOException("cannot make $to")
        children.forEach { copy("$path/$it", File(to, it)) }
    }

    val folder = File(into, bundle)
    val assets = list(bundle).orEmpty()
    fun kept(name: String): Boolean {
        val copy = File(folder, name)
        if (name !in assets) return !copy.exists()
        return copy.isFile && copy.readBytes().contentEquals(bytes("$bundle/$name"))
    }
    if (folder.isDirectory && listOf("manifest.json", "manifest.sha256", "signature.json").all(::kept)) return folder
    val new = File(into, "$bundle.new")
    if (!new.deleteRecursively() || !folder.deleteRecursively()) throw IOException("cannot replace $folder")
    copy(bundle, new)
    if (!new.renameTo(folder)) throw IOException("cannot rename $new")
    return folder
}
