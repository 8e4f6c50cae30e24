"""``native/include/edge_sdk.h`` for ctypes: the structs, and what tests call."""

from __future__ import annotations

import ctypes as c
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import Self

STATUSES = (
    "OK", "USAGE", "BUNDLE", "INTEGRITY", "OPERATING_POINT", "ENGINE", "SELFTEST", "INPUT", "UNUSABLE_SAMPLE",
    "TEMPLATE", "UNSUPPORTED", "BUFFER", "MEMORY", "INTERNAL", "SIGNATURE", "ROLLBACK",
    "TEMPLATE_KEY",
)  # fmt: skip
ENCODED, GRAY8, BGR8, RGB8, BGRA8, RGBA8 = range(6)
LOCATE, CUT_OUT = range(2)
DECISIONS = ("uncertain", "live", "spoof", "no_face")


class Sized(c.Structure):
    """A struct whose first member is its size, which is set when it is made."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"struct_size": c.sizeof(self)} | fields)


class Image(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("format", c.c_int32), ("data", c.c_void_p), ("length", c.c_size_t),
        ("width", c.c_int32), ("height", c.c_int32), ("stride", c.c_size_t),
    )  # fmt: skip


VERIFY_ED25519 = c.CFUNCTYPE(
    c.c_int32, c.c_void_p, c.POINTER(c.c_uint8), c.POINTER(c.c_uint8), c.POINTER(c.c_uint8), c.c_size_t
)


class Options(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("threads", c.c_int32), ("manifest_sha256", c.c_char_p), ("variant", c.c_char_p),
        ("operating_point", c.c_char_p), ("threshold", c.POINTER(c.c_double)), ("faces", c.c_int32),
        ("skip_selftest", c.c_int32), ("locator", c.c_void_p), ("smallest_face", c.c_double),
        ("public_keys", c.POINTER(c.c_char_p)), ("public_key_count", c.c_size_t), ("minimum_version", c.c_char_p),
        ("verify_ed25519", VERIFY_ED25519), ("verify_context", c.c_void_p),
    )  # fmt: skip


class Info(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("task", c.c_int32), ("name", c.c_char_p), ("version", c.c_char_p),
        ("modality", c.c_char_p), ("variant", c.c_char_p), ("engine", c.c_char_p), ("operating_point", c.c_char_p),
        ("manifest_sha256", c.c_char_p), ("threshold", c.c_double),
    )  # fmt: skip


class Replay(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("passed", c.c_int32), ("score", c.c_double), ("expected", c.c_double),
        ("tolerance", c.c_double),
    )  # fmt: skip


class Verification(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("accepted", c.c_int32), ("score", c.c_double), ("raw_score", c.c_double),
        ("threshold", c.c_double), ("flags", c.c_uint64), ("blocking", c.c_uint64), ("references", c.c_int32),
        ("reserved", c.c_int32),
    )  # fmt: skip


class Candidate(c.Structure):
    _fields_ = (("person", c.c_size_t), ("score", c.c_double), ("raw_score", c.c_double))


class Identification(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("identified", c.c_int32), ("person", c.c_size_t), ("score", c.c_double),
        ("raw_score", c.c_double), ("threshold", c.c_double), ("flags", c.c_uint64), ("blocking", c.c_uint64),
        ("candidates", c.c_size_t), ("references", c.c_int32), ("reserved", c.c_int32),
    )  # fmt: skip


class Face(c.Structure):
    _fields_ = (
        ("left", c.c_int32), ("top", c.c_int32), ("width", c.c_int32), ("height", c.c_int32),
        ("points", (c.c_double * 2) * 5), ("confidence", c.c_double),
    )  # fmt: skip


class Liveness(Sized):
    _fields_ = (
        ("struct_size", c.c_uint32), ("decision", c.c_int32), ("score", c.c_double), ("threshold", c.c_double),
        ("flags", c.c_uint64), ("left", c.c_int32), ("top", c.c_int32), ("width", c.c_int32), ("height", c.c_int32),
    )  # fmt: skip


class NativeError(Exception):
    """A status that is no EDGE_OK: its name, and the library's text."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


def image(picture: bytes | NDArray[np.uint8], form: int | None = None) -> Image:
    """The bytes of a file, or pixels: gray, BGR or BGRA unless `form` says otherwise; they are kept with the struct."""
    if isinstance(picture, bytes):
        buffer = c.create_string_buffer(picture, len(picture))
        made = Image(format=ENCODED, data=c.addressof(buffer), length=len(picture))
        made.kept = buffer
        return made
    pixels = np.ascontiguousarray(picture)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    form = {1: GRAY8, 3: BGR8, 4: BGRA8}[channels] if form is None else form
    height, width = pixels.shape[:2]
    made = Image(format=form, data=pixels.ctypes.data, length=pixels.nbytes, width=width, height=height)
    made.kept = pixels
    return made


def array(images: Sequence[Image]) -> Any:
    """``const edge_image *const *``."""
    return (c.POINTER(Image) * len(images))(*(c.pointer(one) for one in images))


class Library:
    """The shared library; a status that is no EDGE_OK is a NativeError."""

    def __init__(self, path: Path) -> None:
        self.c = c.CDLL(str(path))
        for name in ("edge_last_error", "edge_status_name", "edge_version", "edge_engines", "edge_flag_name"):
            getattr(self.c, name).restype = c.c_char_p
        self.c.edge_flag_name.argtypes = [c.c_uint64]
        self.c.edge_template_references.restype = c.c_size_t
        self.c.edge_template_references.argtypes = [c.c_void_p]
        self.c.edge_template_id.restype, self.c.edge_template_id.argtypes = c.c_char_p, [c.c_void_p]
        self.c.edge_gallery_size.restype, self.c.edge_gallery_size.argtypes = c.c_size_t, [c.c_void_p]
        for name in ("edge_close", "edge_template_free", "edge_gallery_free"):
            getattr(self.c, name).restype, getattr(self.c, name).argtypes = None, [c.c_void_p]

    @property
    def engines(self) -> list[str]:
        return self.c.edge_engines().decode().split()

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.c, name)(*arguments)
        text = self.c.edge_last_error().decode()
        if status:
            raise NativeError(STATUSES[status], text)
        assert not text

    def flags(self, bits: int) -> set[str]:
        return {self.c.edge_flag_name(1 << n).decode() for n in range(64) if bits >> n & 1}

    def open(self, path: Path | str, **options: Any) -> Session:
        return Session(self, path, **options)

    def template(self, data: bytes, key: bytes | None = None) -> c.c_void_p:
        handle, length = c.c_void_p(), c.c_size_t(len(data))
        try:
            if key is None:
                self.call("edge_template_from_bytes", data, length, c.byref(handle))
            else:
                self.call("edge_template_decrypt", data, length, key, c.c_size_t(len(key)), c.byref(handle))
        except NativeError:
            assert not handle
            raise
        return handle

    def id_of(self, template: c.c_void_p) -> str:
        return self.c.edge_template_id(template).decode()

    def to_bytes(self, template: c.c_void_p, key: bytes | None = None) -> bytes:
        length = c.c_size_t()
        secret = () if key is None else (key, c.c_size_t(len(key)))
        name = "edge_template_to_bytes" if key is None else "edge_template_encrypt"
        self.call(name, template, *secret, None, c.c_size_t(0), c.byref(length))
        buffer = c.create_string_buffer(length.value)
        self.call(name, template, *secret, buffer, c.c_size_t(len(buffer)), c.byref(length))
        return buffer.raw


class Session:
    """``edge_session``."""

    def __init__(
        self,
        library: Library,
        path: Path | str,
        *,
        threshold: float | None = None,
        locator: Session | None = None,
        public_keys: Sequence[bytes] = (),
        verify_ed25519: Callable[[bytes, bytes, bytes], int] | None = None,
        **options: Any,
    ) -> None:
        self.library, self.handle = library, c.c_void_p()
        texts = {key: value.encode() if isinstance(value, str) else value for key, value in options.items()}
        given = Options(**texts)
        if threshold is not None:
            given.threshold = c.pointer(c.c_double(threshold))
        if public_keys:
            given.public_keys, given.public_key_count = (c.c_char_p * len(public_keys))(*public_keys), len(public_keys)
        if verify_ed25519 is not None:

            def verify(context: int, key: Any, signature: Any, message: Any, length: int) -> int:
                assert context == c.addressof(given)
                return verify_ed25519(c.string_at(key, 32), c.string_at(signature, 64), c.string_at(message, length))

            given.verify_ed25519, given.verify_context = VERIFY_ED25519(verify), c.addressof(given)
        if locator is not None:
            given.locator = locator.handle
        try:
            library.call("edge_open", str(path).encode(), c.byref(given), c.byref(self.handle))
        except NativeError:
            assert not self.handle
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.library.c.edge_close(self.handle)

    def describe(self) -> Info:
        info = Info()
        self.library.call("edge_describe", self.handle, c.byref(info))
        return info

    def selftest(self) -> Replay:
        replay = Replay()
        self.library.call("edge_selftest", self.handle, c.byref(replay))
        return replay

    def verify(self, references: Sequence[Image] | c.c_void_p, query: Image) -> Verification:
        result = Verification(accepted=1)
        try:
            if isinstance(references, c.c_void_p):
                self.library.call("edge_verify_template", self.handle, references, c.byref(query), c.byref(result))
            else:
                count = c.c_size_t(len(references))
                self.library.call("edge_verify", self.handle, array(references), count, c.byref(query), c.byref(result))
        except NativeError:
            assert not result.accepted
            raise
        return result

    def enroll(self, references: Sequence[Image]) -> c.c_void_p:
        handle = c.c_void_p()
        try:
            self.library.call(
                "edge_enroll", self.handle, array(references), c.c_size_t(len(references)), c.byref(handle)
            )
        except NativeError:
            assert not handle
            raise
        return handle

    def identify(self, templates: Sequence[c.c_void_p], probe: Image) -> tuple[Identification, list[Candidate]]:
        gallery, result = c.c_void_p(), Identification(identified=1)
        held = (c.c_void_p * len(templates))(*(one.value for one in templates))
        self.library.call("edge_gallery_new", self.handle, held, c.c_size_t(len(templates)), c.byref(gallery))
        candidates = (Candidate * len(templates))()
        try:
            self.library.call(
                "edge_identify", self.handle, gallery, c.byref(probe), c.byref(result), candidates,
                c.c_size_t(len(candidates)),
            )  # fmt: skip
        except NativeError:
            assert not result.identified
            raise
        finally:
            self.library.c.edge_gallery_free(gallery)
        return result, list(candidates)[: result.candidates]

    def locate(self, picture: Image) -> list[Face]:
        faces, count = (Face * 20)(), c.c_size_t()
        self.library.call(
            "edge_locate", self.handle, c.byref(picture), faces, c.c_size_t(len(faces)), c.byref(count)
        )  # fmt: skip
        return list(faces)[: count.value]

    def detect(self, picture: Image) -> Liveness:
        result = Liveness(decision=DECISIONS.index("live"))
        try:
            self.library.call("edge_detect", self.handle, c.byref(picture), c.byref(result))
        except NativeError:
            assert DECISIONS[result.decision] == "uncertain"
            raise
        return result
