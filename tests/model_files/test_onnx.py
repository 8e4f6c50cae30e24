"""ONNX files that need other files are refused, wherever in the model they say so."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_sdk import model_files
from edge_sdk.bundle import Bundle, BundleWriter, pack
from edge_sdk.cli import main
from edge_sdk.errors import EngineError, IntegrityError, UnsupportedModelError
from edge_sdk.manifest import FileEntry
from edge_sdk.model_files.onnx import _FIELDS, MAX_DEPTH
from edge_sdk.runtime import Verifier
from edge_sdk.runtime.engines import ENGINES, installed, load_engine
from edge_sdk.runtime.engines.placement import placement

VALUES = np.arange(8, dtype=np.float32)
LOCATION = "weights.bin"


def inside(name: str = "w") -> TensorProto:
    return numpy_helper.from_array(VALUES, name)


def outside(name: str = "w") -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[8], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=LOCATION)
    return tensor


def flagged(name: str = "w") -> TensorProto:
    tensor = inside(name)
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def named(name: str = "w") -> TensorProto:
    tensor = inside(name)
    tensor.external_data.add(key="location", value=LOCATION)
    return tensor


def sparse(values: TensorProto, indices: TensorProto | None = None) -> onnx.SparseTensorProto:
    places = numpy_helper.from_array(np.arange(8, dtype=np.int64), "places") if indices is None else indices
    return onnx.SparseTensorProto(values=values, indices=places, dims=[8])


def model(tensor: TensorProto | None = None) -> onnx.ModelProto:
    """``y = x + w`` on 8 numbers a row."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [tensor or inside()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def branch(tensor: TensorProto) -> onnx.GraphProto:
    """A graph with one constant in it."""
    return helper.make_graph([], "branch", [], [], [tensor])


def attribute(**values: object) -> onnx.ModelProto:
    """The model with one more node that has this attribute."""
    made = model()
    node = made.graph.node.add(op_type="Constant", output=["c"])
    node.attribute.append(helper.make_attribute("value", next(iter(values.values()))))
    return made


def in_subgraph(tensor: TensorProto, depth: int = 1) -> onnx.ModelProto:
    graph = branch(tensor)
    for _ in range(depth - 1):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["d"], then_branch=graph)], "deeper", [], [])
    return attribute(graph=graph)


def in_function(tensor: TensorProto, default: bool = False) -> onnx.ModelProto:
    made = model()
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    function = helper.make_function("own", "f", [], ["c"], [] if default else [node], [helper.make_opsetid("", 17)])
    if default:
        function.attribute_proto.append(node.attribute[0])
    made.functions.append(function)
    return made


def in_training(tensor: TensorProto, field: str) -> onnx.ModelProto:
    made = model()
    getattr(made.training_info.add(), field).CopyFrom(branch(tensor))
    return made


def in_sparse_initializer(tensor: TensorProto, indices: bool) -> onnx.ModelProto:
    made = model()
    made.graph.sparse_initializer.append(sparse(inside(), tensor) if indices else sparse(tensor))
    return made


PLACES: dict[str, Callable[[TensorProto], onnx.ModelProto]] = {
    "initializer": model,
    "sparse initializer": lambda tensor: in_sparse_initializer(tensor, indices=False),
    "its indices": lambda tensor: in_sparse_initializer(tensor, indices=True),
    "attribute": lambda tensor: attribute(tensor=tensor),
    "attribute of several": lambda tensor: attribute(tensors=[inside("v"), tensor]),
    "sparse attribute": lambda tensor: attribute(sparse=sparse(tensor)),
    "sparse attribute of several": lambda tensor: attribute(sparse=[sparse(inside("v")), sparse(tensor)]),
    "subgraph": in_subgraph,
    "subgraph of several": lambda tensor: attribute(graphs=[branch(inside("v")), branch(tensor)]),
    "deep subgraph": lambda tensor: in_subgraph(tensor, 12),
    "function": in_function,
    "default of a function": lambda tensor: in_function(tensor, default=True),
    "initialization": lambda tensor: in_training(tensor, "initialization"),
    "training": lambda tensor: in_training(tensor, "algorithm"),
}


def check(data: bytes) -> None:
    model_files.check(data, "onnx")


@pytest.mark.parametrize("tensor", [outside, flagged, named])
@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_everywhere(place: str, tensor: Callable[[], TensorProto]) -> None:
    check(PLACES[place](inside()).SerializeToString())
    with pytest.raises(UnsupportedModelError, match=r"tensor 'w' lie in another file.*external_data=False"):
        check(PLACES[place](tensor()).SerializeToString())


def test_every_way_to_a_tensor_is_followed() -> None:
    """By the schema of the installed ``onnx``, which a newer version may extend."""
    kinds = {
        "ModelProto": "model",
        "TrainingInfoProto": "training information",
        "FunctionProto": "function",
        "GraphProto": "graph",
        "NodeProto": "node",
        "AttributeProto": "attribute",
        "SparseTensorProto": "sparse tensor",
        "TensorProto": "tensor",
    }

    def leads(message, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a tensor may lie in the message."""
        if message.name == "TensorProto":
            return True
        parts = (one.message_type for one in message.fields if one.message_type and one.message_type.name not in seen)
        return any(leads(part, seen | {message.name}) for part in parts)

    wanted: dict[str, dict[int, str]] = {}
    todo = [onnx.ModelProto.DESCRIPTOR]
    while todo:
        message = todo.pop()
        if kinds[message.name] in wanted:
            continue
        following = [one for one in message.fields if one.message_type and leads(one.message_type)]
        wanted[kinds[message.name]] = {one.number: kinds[one.message_type.name] for one in following}
        todo += [one.message_type for one in following]
    assert wanted == _FIELDS


def field(number: int, data: bytes | int) -> bytes:
    """One field of protobuf: a number, or bytes with their length."""

    def varint(value: int) -> bytes:
        return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])

    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    return varint(number << 3 | 2) + varint(len(data)) + data


WHOLE = model().SerializeToString()
TENSOR = outside().SerializeToString()


@pytest.mark.parametrize(
    "data",
    [
        WHOLE + field(7, field(5, TENSOR)),  # the graph in two parts, which are merged
        field(7, field(5, TENSOR)) + WHOLE,
        WHOLE + field(7, field(5, TENSOR + field(14, 0))),  # the last place counts, but it names a file
        WHOLE + field(7, field(5, field(14, 1) + inside().SerializeToString())),
        WHOLE + field(7, field(5, b"\x70\x81\x80\x80\x80\x80\x80\x00" + inside().SerializeToString())),  # a long 1
        WHOLE + field(7, field(5, field(14, b"\1"))),  # packed
        WHOLE + field(7, field(5, field(13, b""))),
        WHOLE + field(99, b"unknown") + field(98, 7) + field(7, field(77, b"unknown") + field(5, TENSOR)),
        WHOLE + b"\xf5\x06abcd" + b"\xf1\x06abcdefgh" + field(7, field(5, TENSOR)),  # unknown, of 4 and 8 bytes
    ],
)
def test_parts_and_unknown_fields_hide_nothing(data: bytes) -> None:
    with pytest.raises(UnsupportedModelError, match="another file"):
        check(data)


def test_what_protobuf_allows_is_read() -> None:
    check(WHOLE + field(99, b"unknown") + field(98, 2**63) + b"\xf5\x06abcd" + b"\xf1\x06abcdefgh")
    check(WHOLE + field(7, field(5, field(14, 0) + inside("v").SerializeToString())))
    unpacked = b"".join(b"\x25" + struct.pack("<f", value) for value in VALUES)  # float_data, one by one
    check(WHOLE + field(7, field(5, field(1, 8) + field(2, 1) + unpacked + field(8, b"v"))))
    packed = field(1, b"\x08") + field(2, 1) + field(4, VALUES.tobytes()) + field(8, b"v")
    check(WHOLE + field(7, field(5, packed)))


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"no model",
        b"\xff" * 64,
        bytes(64),
        field(1, 8),  # no graph
        WHOLE + b"\x3b\x3c",  # a group
        WHOLE + b"\x3c",
        WHOLE + b"\x3e",  # wire types that there are not
        WHOLE + b"\x3f",
        WHOLE + b"\x02\x00",  # a field of number 0
        WHOLE + b"\x08" + b"\x80" * 10 + b"\x00",  # a number of 11 bytes
        WHOLE + b"\x3a\x05abcd",
        WHOLE + b"\x3a" + b"\xff" * 9 + b"\x01",
    ],
)
def test_what_is_no_model_is_refused(damage: bytes) -> None:
    with pytest.raises(EngineError, match="this is no ONNX model") as caught:
        check(damage)
    assert not isinstance(caught.value, UnsupportedModelError)


def test_a_model_that_is_cut_off_is_refused_at_every_byte() -> None:
    for size in range(len(WHOLE)):
        data = WHOLE[:size]
        try:
            check(data)
        except EngineError:
            continue
        assert onnx.load_from_string(data).HasField("graph")  # cut between two fields


def test_depth_and_number_of_fields_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = b""
    for level in range(3 * MAX_DEPTH):  # graph, node, attribute, graph, ...
        deep = field((6, 5, 1)[level % 3], deep)
    with pytest.raises(EngineError, match=f"more than {MAX_DEPTH} messages"):
        check(field(7, deep))
    monkeypatch.setattr("edge_sdk.model_files.onnx.MAX_FIELDS", 1000)
    with pytest.raises(EngineError, match="more than 1000 fields"):
        check(WHOLE + field(98, 0) * 1000)


def test_code_that_comes_from_elsewhere_is_refused() -> None:
    made = model()
    made.graph.node.add(op_type="EPContext", domain="com.microsoft", output=["y"])
    with pytest.raises(UnsupportedModelError, match="EPContext"):
        check(made.SerializeToString())
    made = model()
    made.graph.node.add(op_type="Tokenizer", domain="ai.onnx.contrib", output=["t"])
    with pytest.raises(UnsupportedModelError, match=r"'Tokenizer' of 'ai\.onnx\.contrib' needs code"):
        check(made.SerializeToString())
    function = helper.make_function("ai.onnx.contrib", "Tokenizer", [], ["t"], [], [helper.make_opsetid("", 17)])
    made.functions.append(function)  # its code comes with the model
    check(made.SerializeToString())
    with pytest.raises(UnsupportedModelError, match=r"\.ort"):
        check(b"\x20\0\0\0ORTM" + bytes(64))


@pytest.mark.parametrize("engine", [name for name, row in ENGINES.items() if "fp32.onnx" in row.variants])
def test_no_engine_reads_a_file_of_the_working_folder(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed(engine):
        pytest.skip(f"needs {engine}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / LOCATION).write_bytes(VALUES.tobytes())
    data = model(outside()).SerializeToString()
    with pytest.raises(UnsupportedModelError, match="another file"):
        load_engine(engine, data, "onnx")
    if engine != "tensorrt":
        with pytest.raises(EngineError, match="another file"):
            placement(engine, data, {"x": VALUES[None]}, threads=1)
        loaded = load_engine(engine, model().SerializeToString(), "onnx")
        np.testing.assert_array_equal(loaded.run({"x": VALUES[None]})["y"], VALUES[None] * 2)
    else:
        from edge_sdk.runtime.engines.tensorrt import build

        with pytest.raises(UnsupportedModelError, match="another file"):
            build.check(data)


def test_a_bundle_with_external_data_is_neither_written_nor_opened(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = onnx.load_from_string(tiny_bundle.read_model("fp32.onnx"))
    weights = next(tensor for tensor in whole.graph.initializer if tensor.raw_data)
    (tmp_path / LOCATION).write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=LOCATION)
    data = whole.SerializeToString()

    def write() -> None:
        with BundleWriter(tmp_path / "bundle") as writer:
            manifest = tiny_bundle.manifest
            entries = {entry.path: entry for entry in manifest.files}
            for path, entry in entries.items():
                entries[path] = writer.add(path, data if path.endswith("fp32.onnx") else tiny_bundle.read(entry))
            writer.finish(_with(manifest, entries))

    with pytest.raises(IntegrityError, match=r"fp32\.onnx: the values of tensor .* lie in another file"):
        write()
    assert not (tmp_path / "bundle").exists()
    with monkeypatch.context() as patched:  # as a writer that does not look
        patched.setattr(model_files, "check", lambda *_: None)
        write()
    monkeypatch.chdir(tmp_path)
    for engine in ("onnxruntime", "auto"):
        with pytest.raises(UnsupportedModelError, match="another file"):
            Verifier(tmp_path / "bundle", engine=engine, precision="fp32")
    with pytest.raises(IntegrityError, match="another file"):
        pack(Bundle.open(tmp_path / "bundle"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert main(["inspect", str(tmp_path / "bundle")]) == 3
    assert "lie in another file" in capsys.readouterr().err


def _with(manifest, entries: dict[str, FileEntry]):
    """The manifest with these files."""
    import msgspec

    graphs = tuple(
        msgspec.structs.replace(graph, files={key: entries[entry.path] for key, entry in graph.files.items()})
        for graph in manifest.graphs
    )
    return msgspec.structs.replace(manifest, graphs=graphs)
