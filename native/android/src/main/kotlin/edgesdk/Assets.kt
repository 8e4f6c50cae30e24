package edgesdk

import java.io.File
import java.io.IOException
import java.io.InputStream

private val unpacking = Any()

/**
 * Copy a bundle out of the app's assets, for the library opens files, and return where it is:
 *
 *     val bundle = unpack(assets::open, "deepsign.edge", noBackupFilesDir)
 *
 * A copy that has the asset's bytes is kept; another one is replaced, whole or not at all. Threads take turns; processes
 * do not.
 */
fun unpack(open: (String) -> InputStream, bundle: String, into: File): File = synchronized(unpacking) {
    val data = open(bundle).use(InputStream::readBytes)
    val file = File(into, bundle)
    if (file.isFile && file.readBytes().contentEquals(data)) return file
    val new = File(into, "$bundle.new")
    new.parentFile?.mkdirs()
    new.writeBytes(data)
    if (!new.renameTo(file)) throw IOException("cannot rename $new")
    return file
}
