"""The engines of TFLite models. What they share is tested with a made-up interpreter, the rest with LiteRT's."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from edge_sdk import model_files
from edge_sdk.errors import EngineError, MissingEngineError, UnsupportedModelError
from edge_sdk.runtime.engines import ENGINES, load_engine
from edge_sdk.runtime.engines.tflite import TFLiteEngine

# The smallest file: the offset of the table, the identifier, a layout without fields (size, table's size), the table.
HEADER = struct.pack("<I4sHHi", 12, b"TFL3", 4, 4, 4)


class Stub:
    """An interpreter that gives its input as its output; quantised as told."""

    def __init__(self, shape=(1, 2, 3, 4), dtype=np.int8, source=(0.5, 3), target=(0.25, -1), fail="") -> None:
        self.shape, self.dtype, self.source, self.target, self.fail = shape, dtype, source, target, fail
        self.stored: list[np.ndarray] = []

    def allocate_tensors(self) -> None:
        if self.fail == "allocate":
            raise RuntimeError("out of memory")

    def get_input_details(self):
        return [{"name": "image", "index": 7, "shape": self.shape, "dtype": self.dtype, "quantization": self.source}]

    def get_output_details(self):
        return [{"name": "map", "index": 9, "shape": self.shape, "dtype": self.dtype, "quantization": self.target}]

    def set_tensor(self, tensor_index, value) -> None:
        assert tensor_index == 7
        assert value.flags.c_contiguous
        assert value.dtype == self.dtype
        self.stored.append(value.copy())

    def invoke(self) -> None:
        if self.fail == "invoke":
            raise RuntimeError("node 3 failed to prepare")

    def get_tensor(self, tensor_index):
        assert tensor_index == 9
        return self.stored[-1].copy()


def engine(stub: Stub) -> TFLiteEngine:
    return TFLiteEngine(HEADER, lambda: stub, "Stub")


def test_maps_are_turned_round_and_pictures_run_one_by_one() -> None:
    stub = Stub(dtype=np.float32, source=(0.0, 0), target=(0.0, 0))
    loaded = engine(stub)
    assert (loaded.inputs[0].name, loaded.inputs[0].shape, loaded.inputs[0].dtype) == (
        "image",
        ("batch", 4, 2, 3),
        "float32",
    )
    assert loaded.outputs[0].shape == ("batch", 4, 2, 3)
    batch = np.arange(48, dtype=np.float32).reshape(2, 4, 2, 3)
    np.testing.assert_array_equal(loaded.run({"image": batch})["map"], batch)
    assert [value.shape for value in stub.stored] == [(1, 2, 3, 4)] * 2
    assert stub.stored[1][0, 1, 2, 3] == batch[1, 3, 1, 2]


def test_quantised_tensors_are_float_at_the_boundary_and_clipped() -> None:
    stub = Stub(shape=(1, 6))
    values = engine(stub).run({"image": np.array([[-1e9, -1.0, 0.0, 0.74, 0.76, 1e9]], np.float32)})["map"]
    np.testing.assert_array_equal(stub.stored[0], [[-128, 1, 3, 4, 5, 127]])  # value / 0.5 + 3
    np.testing.assert_array_equal(values, [[-31.75, 0.5, 1.0, 1.25, 1.5, 32.0]])  # (stored + 1) 0.25
    assert values.dtype == np.float32


def test_unsigned_tensors_work_too() -> None:
    stub = Stub(shape=(1, 3), dtype=np.uint8, source=(1.0, 128), target=(1.0, 128))
    np.testing.assert_array_equal(
        engine(stub).run({"image": np.array([[-200, 5, 200]], np.float32)})["map"], [[-128, 5, 127]]
    )
    np.testing.assert_array_equal(stub.stored[0], [[0, 133, 255]])


@pytest.mark.parametrize(
    "stub", [Stub(shape=(2, 6)), Stub(shape=()), Stub(dtype=np.int8, source=(0.0, 0)), Stub(dtype=np.int64)]
)
def test_models_that_cannot_be_served_are_refused(stub: Stub) -> None:
    with pytest.raises(EngineError, match="tensor image"):
        engine(stub)


def test_failures_of_the_interpreter_are_engine_errors() -> None:
    with pytest.raises(EngineError, match="Stub refuses the model: out of memory") as caught:
        engine(Stub(fail="allocate"))
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(EngineError, match="Stub failed: node 3") as caught:
        engine(Stub(fail="invoke")).run({"image": np.zeros((1, 4, 2, 3), np.float32)})
    assert isinstance(caught.value.__cause__, RuntimeError)


RIGHT = np.zeros((1, 4, 2, 3), np.float32)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"picture": RIGHT},
        {"image": RIGHT, "other": RIGHT},
        {"image": RIGHT[:, :, :1]},
        {"image": RIGHT[0]},
        {"image": RIGHT.astype(np.float64)},
        {"image": RIGHT[:0]},
        {"image": np.float32(1)},
    ],
)
def test_wrong_inputs_are_engine_errors(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(EngineError):
        engine(Stub()).run(wrong)


def refuse(model: bytes, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        TFLiteEngine(model, lambda: pytest.fail("the interpreter was asked"), "Stub")


@pytest.mark.parametrize("damage", [b"", b"no model", b"\xff" * 64])
def test_no_model_never_meets_an_interpreter(damage: bytes) -> None:
    refuse(damage, "not a TFLite model")


@pytest.mark.parametrize(
    "damage",
    [
        HEADER[:8],
        HEADER[:-1],
        struct.pack("<I4sHHi", 99, b"TFL3", 4, 4, 4),  # the table is behind the end
        struct.pack("<I4sHHi", 12, b"TFL3", 4, 4, 40),  # its layout before the start
        struct.pack("<I4sHHi", 12, b"TFL3", 64, 4, 4),  # its layout is too long
        struct.pack("<I4sHHi", 12, b"TFL3", 4, 64, 4),  # the table is
        struct.pack("<I4s6HiI", 20, b"TFL3", 12, 8, 0, 0, 0, 9, 12, 4),  # a field is outside of the table
        struct.pack("<I4s6HiII", 20, b"TFL3", 12, 8, 0, 0, 0, 4, 12, 4, 99),  # the description is too long
    ],
)
def test_a_damaged_model_never_meets_an_interpreter(damage: bytes) -> None:
    refuse(damage, "damaged or cut off")


def test_offsets_that_all_lead_to_the_same_table_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred subgraphs of a hundred tensors each, in 900 bytes: a file of a megabyte may ask for 10**10 looks."""
    many = 100
    offsets = (4 * (many - number) for number in range(many))  # all to what follows the vector
    vector = struct.pack(f"<{many + 1}I", many, *offsets)
    data = struct.pack("<I4s", 24, b"TFL3") + struct.pack("<5H", 10, 8, 0, 0, 4)  # layout of the model: field 2
    data += struct.pack("<3H", 6, 8, 4)  # of subgraphs and tensors: field 0
    data += struct.pack("<iI", len(data) - 8, 4)  # the model
    for _ in range(2):  # subgraphs, tensors
        data += vector
        data += struct.pack("<iI", len(data) - 18, 4)
    data += struct.pack("<I", 0)  # the shape of the tensors
    model_files.check(data, "tflite")
    monkeypatch.setattr("edge_sdk.model_files.tflite.MAX_TABLES", 10**3)
    refuse(data, "more than 1000 tables")


def test_a_truncated_model_never_meets_an_interpreter(tflite_models) -> None:
    for size in (9, 40, len(tflite_models.int8) // 2, len(tflite_models.int8) - 16):
        refuse(tflite_models.int8[:size], "damaged or cut off")


@pytest.mark.parametrize(
    "change",
    [
        lambda model, schema: setattr(model.subgraphs[0].tensors[0], "externalBuffer", 1),
        lambda model, schema: setattr(model, "externalBuffers", [schema.ExternalBufferT()]),
        lambda model, schema: setattr(model, "externalBufferGroups", [schema.ExternalBufferGroupT()]),
        lambda model, schema: setattr(model.buffers[1], "offset", 2**32),
        lambda model, schema: setattr(model.subgraphs[0].operators[0], "largeCustomOptionsOffset", 4096),
    ],
    ids=["tensor", "buffer", "file", "behind the structure", "options"],
)
def test_weights_in_other_places_never_meet_an_interpreter(tflite_models, change: Callable[..., None]) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edge-sdk[tflite]")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def packed(changed: bool) -> bytes:
        model = schema.ModelT.InitFromPackedBuf(tflite_models.fp32, 0)
        if changed:
            change(model, schema)
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    model_files.check(packed(changed=False), "tflite")
    with pytest.raises(UnsupportedModelError, match="outside of its buffers"):
        model_files.check(packed(changed=True), "tflite")
    refuse(packed(changed=True), "outside of its buffers")


def test_litert_runs_every_precision(tflite_models) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edge-sdk[tflite]")
    for model, least in ((tflite_models.fp32, 1 - 1e-6), (tflite_models.int8, 0.99), (tflite_models.int8_io, 0.99)):
        loaded = load_engine("litert", model, "tflite")
        before = tflite_models.samples.copy()
        values = loaded.run({"image": tflite_models.samples})["embedding"]
        assert values.shape == tflite_models.expected.shape
        assert values.dtype == np.float32
        cosine = (values * tflite_models.expected).sum(axis=1) / np.linalg.norm(values, axis=1)
        assert cosine.min() > least
        np.testing.assert_array_equal(tflite_models.samples, before)
        np.testing.assert_array_equal(loaded.run({"image": before[3:4]})["embedding"][0], values[3])
        loaded.close()
        loaded.close()
        with pytest.raises(EngineError, match="closed"):
            loaded.run({"image": before})


@pytest.mark.parametrize("variant", ["fp32", "int8", "int8_io"])
def test_what_is_not_finite_never_reaches_litert(tflite_models, variant: str) -> None:
    engine = load_engine("litert", getattr(tflite_models, variant), "tflite")
    picture = tflite_models.samples[:1].copy()
    picture[0, 0, 3, 4] = np.nan
    with pytest.raises(EngineError, match="not finite"):
        engine.run({"image": picture})


def test_litert_gets_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edge-sdk[tflite]")
    from edge_sdk.runtime.engines import litert

    asked: list[dict[str, object]] = []

    def make(**settings: object) -> Stub:
        asked.append(settings)
        return Stub()

    monkeypatch.setattr(litert, "Interpreter", make)
    load_engine("litert", HEADER, "tflite", threads=3)
    assert asked == [{"model_content": HEADER, "num_threads": 3}]


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("litert", "ai_edge_litert", "tflite"), ("tflite-runtime", "tflite_runtime", "tflite-runtime")],
)
def test_a_missing_package_names_the_extra(
    name: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, ENGINES[name].module, raising=False)
    for module in (package, f"{package}.interpreter"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingEngineError, match=f'with the extra "{extra}"'):
        load_engine(name, HEADER, "tflite")


@pytest.mark.parametrize("version", ["1.26.4", "2.4.6"])
def test_tflite_runtime_is_only_asked_beside_numpy_1(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tflite_runtime.interpreter")
    module.Interpreter = lambda model_content, num_threads: Stub()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    monkeypatch.delitem(sys.modules, ENGINES["tflite-runtime"].module, raising=False)
    monkeypatch.setattr(np, "__version__", version)
    if version.startswith("1"):
        assert load_engine("tflite-runtime", HEADER, "tflite").inputs[0].name == "image"
    else:
        with pytest.raises(EngineError, match=r"does not work with numpy 2.4.6.*numpy<2"):
            load_engine("tflite-runtime", HEADER, "tflite")
    monkeypatch.delitem(sys.modules, ENGINES["tflite-runtime"].module, raising=False)
