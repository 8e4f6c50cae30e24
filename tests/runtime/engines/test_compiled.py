"""Compiled models: only the one that this user made, for exactly this model, engine, device and options, is used."""

from __future__ import annotations

import errno
import hashlib
import hmac
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import files
from edge_sdk.bundle import Bundle
from edge_sdk.errors import ForeignEngineError
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import compiled, installed, load_engine, onnxruntime
from edge_sdk.runtime.engines.compiled import CompiledKey, CompiledStore, read, write

from ...paths import ROOT

KEY = CompiledKey(
    model="ab" * 32,
    engine="tensorrt 10.7.0 driver 12.6",
    device="Orin, compute capability 8.7",
    options="fp16",
)
posix = pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for settings of the test's own, in which the key is made."""
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def store(tmp_path: Path) -> CompiledStore:
    return CompiledStore(KEY.model, True, tmp_path / "deep" / "cache")


def put(store: CompiledStore, payload: bytes = b"one", key: CompiledKey = KEY) -> Path:
    """Store, and return the file."""
    assert store.write(key, lambda: payload) == ""
    return store.path(key)


def test_what_was_stored_is_read(store: CompiledStore, settings: Path) -> None:
    assert store.read(KEY) is None
    path = put(store)
    assert store.read(KEY) == b"one"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # no temporary files
    if os.name == "posix":
        modes = [entry.stat().st_mode & 0o777 for entry in (path.parent, path, settings / "compiled.key")]
        assert modes == [0o700, 0o600, 0o600]


def test_reading_leaves_nothing(store: CompiledStore, settings: Path) -> None:
    assert store.read(KEY) is None
    assert not store.folder.exists()
    assert not settings.exists()


def test_another_version_replaces_the_file(store: CompiledStore, caplog: pytest.LogCaptureFixture) -> None:
    put(store)
    other = msgspec.structs.replace(KEY, engine="tensorrt 10.8.0 driver 12.6")
    with caplog.at_level(logging.INFO):
        assert store.read(other) is None
    assert "engine tensorrt 10.7.0 driver 12.6, not tensorrt 10.8.0 driver 12.6" in caplog.text
    put(store, b"two", other)
    assert (store.read(KEY), store.read(other)) == (None, b"two")
    assert len(list(store.folder.iterdir())) == 1


@pytest.mark.parametrize("name", ["model", "device", "options"])
def test_other_models_devices_and_options_live_side_by_side(store: CompiledStore, name: str) -> None:
    other = msgspec.structs.replace(KEY, **{name: "another"})
    put(store)
    assert store.read(other) is None
    put(store, b"two", other)
    assert (store.read(KEY), store.read(other)) == (b"one", b"two")


def test_a_file_that_is_renamed_in_the_place_of_another_is_not_used(store: CompiledStore) -> None:
    other = msgspec.structs.replace(KEY, model="cd" * 32)
    put(store, b"two", other).replace(put(store))
    assert store.read(KEY) is None


def refused(store: CompiledStore, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """The file is refused with a typed error, which the store logs, and replaced by the next write."""
    with pytest.raises((ForeignEngineError, OSError), match=reason):
        read(store.path(KEY))
    with caplog.at_level(logging.WARNING):
        assert store.read(KEY) is None
    assert "compiled anew" in caplog.text


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:60],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + b"x",
        lambda data: data.replace(b'"device"', b'"devise"'),
        lambda data: data.replace(b"fp16", b"fp32"),
        lambda data: b"plan" + data,
        lambda data: data[:58] + b"\xff" * 4 + data[62:],
    ],
    ids=["empty", "magic", "header", "short", "long", "payload", "field", "options", "foreign", "length"],
)
def test_a_damaged_file_is_refused_and_replaced(store: CompiledStore, caplog, damage) -> None:
    path = put(store)
    path.write_bytes(damage(path.read_bytes()))
    refused(store, caplog, "is no compiled model|was changed, is damaged")
    put(store, b"two")
    assert store.read(KEY) == b"two"


def test_every_flipped_byte_is_found(store: CompiledStore) -> None:
    path = put(store)
    data = path.read_bytes()
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(ForeignEngineError):
            read(path)


def test_a_right_digest_by_somebody_elses_key_is_refused(store: CompiledStore, caplog, settings: Path) -> None:
    path = put(store)
    data = path.read_bytes()
    magic = data[: data.index(b"\n") + 1]
    content = data[len(magic) + 32 :]
    for digest in (hashlib.sha256(content).digest(), hmac.digest(bytes(32), content, "sha256")):
        path.write_bytes(magic + digest + content)
        refused(store, caplog, "made with another key")
    path.write_bytes(data)
    assert store.read(KEY) == b"one"
    (settings / "compiled.key").write_bytes(bytes(32))
    refused(store, caplog, "made with another key")


@pytest.mark.parametrize("secret", [b"", b"short", bytes(33)])
def test_a_damaged_key_is_made_anew(store: CompiledStore, settings: Path, secret: bytes) -> None:
    put(store)
    (settings / "compiled.key").write_bytes(secret)
    assert store.read(KEY) is None
    put(store, b"two")
    assert store.read(KEY) == b"two"


@posix
@pytest.mark.usefixtures("shared_group")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_refused(store: CompiledStore, caplog, settings: Path, mode: int) -> None:
    path = put(store)
    path.chmod(mode)
    refused(store, caplog, "can be written by others")
    put(store, b"two")
    assert store.read(KEY) == b"two"
    (settings / "compiled.key").chmod(mode)
    refused(store, caplog, "can be written by others")
    assert "can be written by others" in store.write(KEY, lambda: b"three")


@posix
@pytest.mark.usefixtures("shared_group")
@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_a_folder_that_others_can_write_is_neither_read_nor_written(store: CompiledStore, caplog, mode: int) -> None:
    put(store)
    store.folder.chmod(mode)
    refused(store, caplog, "can be written by others")
    assert "can be written by others" in store.write(KEY, lambda: b"two")


@posix
def test_what_belongs_to_another_user_is_refused(
    store: CompiledStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    if owner == 0:  # root may write anywhere anyway, so what root made is used
        assert store.read(KEY) == b"one"
        os.chown(path, 1234, -1)
    refused(store, caplog, "belongs to another user")


@posix
def test_a_link_is_not_followed_and_not_written_through(store: CompiledStore, caplog, tmp_path: Path) -> None:
    path = put(store)
    target = tmp_path / "elsewhere"
    path.rename(target)
    path.symlink_to(target)
    before = target.read_bytes()
    refused(store, caplog, "is a link")
    put(store, b"two")
    assert not path.is_symlink()
    assert target.read_bytes() == before


@posix
def test_a_pipe_is_not_waited_for(store: CompiledStore, caplog: pytest.LogCaptureFixture) -> None:
    path = put(store)
    path.unlink()
    os.mkfifo(path)
    refused(store, caplog, "is a pipe, not a file")


def test_where_there_is_no_folder_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = CompiledStore(
        KEY.model, True, tmp_path / "file" / "cache"
    )  # like a read-only system, but true for root too
    assert store.read(KEY) is None
    assert "Not a directory" in store.write(KEY, lambda: pytest.fail("it cannot be stored"))


def test_a_full_disk_leaves_the_old_file(store: CompiledStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert "No space left" in store.write(KEY, lambda: b"two")
    assert store.read(KEY) == b"one"
    assert len(list(store.folder.iterdir())) == 1


def test_the_oldest_go_first(store: CompiledStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [msgspec.structs.replace(KEY, options=str(number)) for number in range(4)]
    monkeypatch.setattr(compiled, "MAX_TOTAL_BYTES", 3000)
    for age, key in enumerate(keys[:3]):
        os.utime(put(store, bytes(1000), key), (age, age))
    (store.folder / "of somebody else").write_bytes(bytes(5000))
    put(store, bytes(2000), keys[3])
    assert [store.read(key) is not None for key in keys] == [False, True, True, True]
    monkeypatch.setattr(compiled, "MAX_TOTAL_BYTES", 0)
    put(store, bytes(2000), keys[3])
    assert [store.read(key) is not None for key in keys] == [False, False, False, True]
    assert (store.folder / "of somebody else").exists()


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGE_SDK_CACHE", str(tmp_path / "own"))
    assert CompiledStore(KEY.model).path(KEY).parent == tmp_path / "own" / "compiled"


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise FileNotFoundError("the user has no home folder")

    monkeypatch.setattr("edge_sdk.files.cache_folder", nobody)
    assert CompiledStore(KEY.model).read(KEY) is None
    assert "no home folder" in CompiledStore(KEY.model).write(KEY, lambda: b"one")


def test_processes_that_store_at_once_use_one_key(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, msgspec\n"
        "from edge_sdk.runtime.engines.compiled import CompiledKey, CompiledStore\n"
        "key = CompiledKey(model='m', engine='e 1', device='d', options=sys.argv[2])\n"
        "store = CompiledStore('m', True, pathlib.Path(sys.argv[1]))\n"
        "for _ in range(20):\n"
        "    assert store.write(key, lambda: b'x' * 1000) == ''\n"
        "    assert store.read(key) == b'x' * 1000\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen([*command, options], env=environment) for options in ("one", "two", "one")]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_variables_that_change_what_is_compiled_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv(device.INSTRUCTIONS_VARIABLE, raising=False)
    before = device.conditions()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert device.conditions() == f"{before}; ONEDNN_MAX_CPU_ISA=AVX2"
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, "avx2")
    assert device.conditions() != before


# --- engines ---------------------------------------------------------------------------------------------------------

SHIPPED = Bundle.open("deepsign")
PICTURES = np.random.default_rng(0).random((3, 1, 150, 180), dtype=np.float32)
RUNS = [
    pytest.param(engine, artifact, marks=pytest.mark.skipif(not installed(engine), reason=f"needs {engine}"))
    for engine in ("onnxruntime", "openvino")
    for artifact in ("fp32.onnx", "int8.onnx")
    if (engine, artifact) != ("openvino", "int8.onnx") or not device.int8_saturates()
]


class Counter:
    """How often an engine compiles."""

    count = 0


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter()

    def counted(module: object, name: str) -> None:
        original: Callable[..., object] = getattr(module, name)

        def call(*arguments: object, **options: object) -> object:
            counter.count += 1
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    counted(onnxruntime, "open_session")
    if installed("openvino"):
        from edge_sdk.runtime.engines import openvino

        counted(openvino, "checked_network")
    return counter


def outputs(engine: str, model: bytes, store: CompiledStore | None, threads: int = 1) -> list[np.ndarray]:
    """One picture, and three at once."""
    loaded = load_engine(engine, model, "onnx", threads=threads, compiled=store)
    assert loaded.inputs == load_engine(engine, model, "onnx").inputs
    assert loaded.outputs == load_engine(engine, model, "onnx").outputs
    found = [loaded.run({"image": pictures})["embedding"].copy() for pictures in (PICTURES[:1], PICTURES)]
    loaded.close()
    return found


def stored(model: bytes, folder: Path, keep: bool = True) -> CompiledStore:
    return CompiledStore(hashlib.sha256(model).hexdigest(), keep, folder)


@pytest.mark.parametrize(("engine", "artifact"), RUNS)
def test_a_kept_model_computes_the_same_bits(engine: str, artifact: str, tmp_path: Path, compilations: Counter) -> None:
    model = SHIPPED.read_model(artifact)
    expected = outputs(engine, model, None)
    for _ in range(3):
        for one, other in zip(outputs(engine, model, stored(model, tmp_path / "c")), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    load_engine(engine, model, "onnx", compiled=stored(model, tmp_path / "c")).close()
    compilations.count = 0
    load_engine(engine, model, "onnx", compiled=stored(model, tmp_path / "c")).close()
    assert compilations.count == 0


@pytest.mark.parametrize(("engine", "artifact"), RUNS)
def test_nothing_is_kept_unless_it_is_asked_for(engine: str, artifact: str, tmp_path: Path) -> None:
    model = SHIPPED.read_model(artifact)
    load_engine(engine, model, "onnx", compiled=stored(model, tmp_path / "c", keep=False)).close()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("engine", "artifact"), RUNS)
@pytest.mark.parametrize("change", ["threads", "processor", "version", "model"])
def test_what_was_compiled_for_something_else_is_not_used(
    engine: str, artifact: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compilations: Counter
) -> None:
    model = SHIPPED.read_model(artifact)
    expected = outputs(engine, model, None)
    load_engine(engine, model, "onnx", compiled=stored(model, tmp_path / "c")).close()
    compilations.count = 0
    if change == "processor":
        monkeypatch.setattr(device, "processor", lambda: "another")
    if change == "version":
        module = sys.modules[f"edge_sdk.runtime.engines.{engine}"]
        monkeypatch.setattr(module, "__version__", "0.0.1")
    store = stored(model, tmp_path / "c")
    if change == "model":
        store = CompiledStore("cd" * 32, True, tmp_path / "c")
    loaded = load_engine(engine, model, "onnx", threads=2 if change == "threads" else 1, compiled=store)
    assert compilations.count > 0
    np.testing.assert_allclose(loaded.run({"image": PICTURES[:1]})["embedding"], expected[0], atol=1e-6)
    loaded.close()


@pytest.mark.parametrize(("engine", "artifact"), RUNS)
@pytest.mark.parametrize("content", [b"", b"no model", None])
def test_what_the_engine_refuses_is_compiled_anew(
    engine: str, artifact: str, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = SHIPPED.read_model(artifact)
    expected = outputs(engine, model, None)
    store = stored(model, tmp_path / "c")
    load_engine(engine, model, "onnx", compiled=store).close()
    (path,) = store.folder.iterdir()
    key, payload = read(path)
    write(path, key, payload[: len(payload) // 2] if content is None else content)
    with caplog.at_level(logging.WARNING):
        found = outputs(engine, model, store)
    assert "refuses the" in caplog.text
    np.testing.assert_array_equal(found[0], expected[0])
    assert read(path)[0] == key
    load_engine(engine, model, "onnx", compiled=store).close()  # ONNX Runtime names its nodes anew each time
    assert len(read(path)[1]) > len(payload) // 2


@pytest.mark.parametrize(("engine", "artifact"), RUNS)
def test_where_nothing_can_be_kept_the_model_runs_all_the_same(
    engine: str, artifact: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = SHIPPED.read_model(artifact)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = outputs(engine, model, None)
    monkeypatch.setattr(files, "write_bytes", full)
    for one, other in zip(outputs(engine, model, stored(model, tmp_path / "c")), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "not kept" in caplog.text
    assert "No space left" in caplog.text


def test_without_temporary_files_onnxruntime_keeps_nothing_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = SHIPPED.read_model("fp32.onnx")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    found = outputs("onnxruntime", model, stored(model, tmp_path / "c"))
    for one, other in zip(found, outputs("onnxruntime", model, None), strict=True):
        np.testing.assert_array_equal(one, other)
    assert "not kept" in caplog.text


@pytest.mark.skipif(not installed("openvino"), reason="needs openvino")
def test_openvino_refuses_inexact_int8_whatever_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_sdk.errors import EngineError

    model = SHIPPED.read_model("int8.onnx")
    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, "avx2,avx512f,avx512_vnni")
    monkeypatch.setattr(device.platform, "machine", lambda: "x86_64")
    load_engine("openvino", model, "onnx", compiled=stored(model, tmp_path / "c")).close()
    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, "avx2,avx512f")
    with pytest.raises(EngineError, match="saturate"):
        load_engine("openvino", model, "onnx", compiled=stored(model, tmp_path / "c"))


@pytest.mark.parametrize(("instructions", "kind"), [("avx2", "UINT8"), ("avx2,avx512f,avx512_vnni", "INT8")])
def test_the_graph_that_onnxruntime_keeps_has_the_exact_kernels(
    instructions: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exact kernels take unsigned weights: the switch for them is in the graph, not in how it is opened."""
    import onnx

    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, instructions)
    monkeypatch.setattr(device.platform, "machine", lambda: "x86_64")
    graph = onnx.load_from_string(onnxruntime._optimized(SHIPPED.read_model("int8.onnx"), 1)).graph
    kinds = {onnx.TensorProto.DataType.Name(one.data_type) for one in graph.initializer if len(one.dims) == 4}
    assert kinds == {kind}
