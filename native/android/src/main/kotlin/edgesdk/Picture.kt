package edgesdk

import java.nio.ByteBuffer

/** The numbers are those of edge_sdk.h. */
enum class PixelFormat(internal val number: Int) {
    GRAY8(1), BGR8(2), RGB8(3), BGRA8(4), RGBA8(5)
}

/** A picture file or pixels. It must not change while a call uses it. */
class Picture private constructor(
    private val buffer: ByteBuffer, private val format: Int, private val width: Int, private val height: Int,
    private val stride: Int,
) {
    private val length = buffer.capacity()

    companion object {
        /** The bytes of a PNG or baseline JPEG file. */
        fun encoded(file: ByteArray) = Picture(direct(ByteBuffer.wrap(file)), 0, 0, 0, 0)

        /**
         * Rows of pixels from the top, from the buffer's position on: without copying them if the buffer is direct, such
         * as ImageProxy's planes[0].buffer (RGBA_8888; its rowStride is [stride]). 0: rows without gaps.
         */
        fun pixels(format: PixelFormat, pixels: ByteBuffer, width: Int, height: Int, stride: Int = 0) =
            Picture(direct(pixels), format.number, width, height, stride)

        fun pixels(format: PixelFormat, pixels: ByteArray, width: Int, height: Int, stride: Int = 0) =
            pixels(format, ByteBuffer.wrap(pixels), width, height, stride)

        private fun direct(from: ByteBuffer): ByteBuffer =
            if (from.isDirect) from.slice()
            else ByteBuffer.allocateDirect(from.remaining()).apply { put(from.duplicate()) }
    }
}
