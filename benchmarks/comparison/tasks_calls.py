"""Tasks on signatures: pre-processing, verification, a pass of an engine, a search among templates, an evaluation."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from comparison.tasks import OPENED, model_of, operations_of, task, variant_of
from edge_sdk import Bundle, Verifier, images, preprocess
from edge_sdk.runtime.engines import load_engine, version
from edge_sdk.runtime.selection import ALL, candidates, choose
from edge_sdk.runtime.tune import tune

_KEPT: dict[str, Any] = {}
"""Sessions, so that they stay open."""

cv2.setNumThreads(1)


@task
def about() -> dict[str, str]:
    """Versions of what the build runs with."""
    names = {"numpy": np.__version__, "OpenCV": cv2.__version__}
    for engine in ("onnxruntime", "openvino", "litert"):
        try:
            names[engine] = version(engine)
        except Exception:  # noqa: BLE001 - what is not installed has none
            names[engine] = "not installed"
    return names


@task
def open_ink(name: str, scan: str) -> None:
    """The pipeline INK on a decoded scan."""
    picture = np.asarray(images.load(scan))
    OPENED[name] = lambda: preprocess.apply(preprocess.INK, picture)


@task
def ink_digests(scans: Sequence[str]) -> list[str]:
    """What INK makes of each scan: the SHA-256 of shape, type and values, or the error."""
    found = []
    for scan in scans:
        try:
            made = preprocess.apply(preprocess.INK, np.asarray(images.load(scan)))
        except ValueError as error:
            found.append(type(error).__name__)
        else:
            found.append(hashlib.sha256(f"{made.shape}{made.dtype}".encode() + made.tobytes()).hexdigest())
    return found


@task
def open_verify(name: str, bundle: str, scan: str, engine: str, precision: str | None) -> dict[str, Any]:
    """``NAME``: a template against a decoded scan; ``NAME pass``: the network alone, on what it is given then."""
    verifier = Verifier(bundle, engine=engine, precision=precision)
    query = np.asarray(images.load(scan))
    template = verifier.enroll([query])
    result = verifier.verify(template, query)
    _KEPT[name] = verifier
    OPENED[name] = lambda: verifier.verify(template, query)
    open_pass(f"{name} pass", bundle, scan, verifier.engine, variant_of(verifier).id)
    return {"engine": verifier.engine, "variant": variant_of(verifier).id, "quality": list(result.quality)}


@task
def open_pass(name: str, bundle: str, scan: str, engine: str, variant: str) -> None:
    """One pass of an engine on a scan that is pre-processed already."""
    opened = Bundle.open(bundle)
    running = load_engine(engine, model_of(opened, variant), variant.rpartition(".")[2], threads=1)
    sample = preprocess.apply(operations_of(opened), np.asarray(images.load(scan)))[np.newaxis]
    inputs = {running.inputs[0].name: np.ascontiguousarray(sample, np.float32)}
    _KEPT[name] = running
    OPENED[name] = lambda: running.run(inputs)


@task
def choices(bundle: str, precision: str) -> list[tuple[str, str]]:
    """Engines and variants of a precision that are usable here, the preferred first."""
    found = candidates(Bundle.open(bundle), ALL, precision)
    return [(one.engine, variant_of(one).id) for one in found]


@task
def tuned(bundle: str, seconds: float) -> dict[str, Any]:
    """The median of every engine and variant, in turns, and what ``auto`` takes."""
    opened = Bundle.open(bundle)
    runs = [run for run in tune(opened, threads=(1,), seconds=seconds) if run.median_ms is not None]
    taken = choose(opened)
    return {
        "runs": [(run.engine, variant_of_run(run), run.median_ms) for run in runs],
        "auto": (taken.engine, variant_of(taken).id),
    }


def variant_of_run(run: Any) -> str:
    """The id of the variant that a row of ``tune`` is of."""
    return str(run.variant if hasattr(run, "variant") else run.artifact)


@task
def open_limit(name: str, side: int) -> None:
    """A square product of 8-bit integers by ONNX Runtime: what the processor's dot products can do at best."""
    import onnx
    import onnxruntime

    weights = np.random.default_rng(0).integers(-60, 60, (side, side), np.int8)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["a", "b"], ["c"])],
        "limit",
        [onnx.helper.make_tensor_value_info("a", onnx.TensorProto.UINT8, [side, side])],
        [onnx.helper.make_tensor_value_info("c", onnx.TensorProto.INT32, [side, side])],
        [onnx.numpy_helper.from_array(weights, "b")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    inputs = {"a": np.random.default_rng(1).integers(0, 120, (side, side), np.uint8)}
    OPENED[name] = lambda: session.run(None, inputs)


@task
def multiply_adds(bundle: str) -> int:
    """Of one pass of the float model: convolutions and fully connected layers."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(model_of(Bundle.open(bundle), "fp32.onnx")))
    shapes = {
        value.name: [one.dim_value or 1 for one in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.output, *model.graph.input)
    }
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]]) * np.prod(weights[node.input[1]][1:]))
        elif node.op_type in {"Gemm", "MatMul"} and node.input[1] in weights:
            total += int(np.prod(weights[node.input[1]]))
    return total


@task
def open_identify(name: str, bundle: str, scan: str, people: int) -> dict[str, Any]:
    """``NAME``: a search among templates of random embeddings; ``NAME matmul``: numpy's product of the same numbers.

    Raises:
        ImportError: This build does not search.
    """
    from edge_sdk.runtime.template import EmbeddingTemplate

    verifier = Verifier(bundle)
    query = np.asarray(images.load(scan))
    own = verifier.enroll([query])
    size = int(np.asarray(own.content).shape[-1])
    drawn = np.random.default_rng(0).standard_normal((people, size)).astype(np.float32)
    binding = {
        field: getattr(own, field)
        for field in ("embedding_space_id", "variant_id", "variant_sha256", "bundle_name", "count")
    }
    templates = {f"{k}": EmbeddingTemplate.of(drawn[k : k + 1], **binding) for k in range(people)}
    gallery = verifier.gallery(templates)
    probe = drawn[people // 2] + np.float32(0.1)
    _KEPT[name] = (verifier, gallery)
    OPENED[name] = lambda: gallery.best(probe[np.newaxis], 5, verifier._compare)  # noqa: SLF001 - without its pass
    OPENED[f"{name} whole"] = lambda: verifier.identify(query, gallery)
    matrix = np.ascontiguousarray(drawn)
    OPENED[f"{name} matmul"] = lambda: matrix @ probe
    return {"values": size, "engine": verifier.engine, "variant": variant_of(verifier).id}


@task
def evaluate_pictures(bundle: str, data: str, engine: str, precision: str) -> dict[str, Any]:
    """Processor seconds of ``evaluate`` on all pictures and pairs of a data set, without its report."""
    try:
        from edge_sdk.export.data.load import load
        from edge_sdk.export.evaluation.verification.evaluate import evaluate
    except ImportError:  # where they were once
        from edge_sdk.export.datasets import load  # type: ignore[import-not-found,no-redef]

        from edge_sdk.export.evaluation import evaluate  # type: ignore[attr-defined,no-redef]
    pictures = load(data)
    start, wall = time.process_time(), time.perf_counter()
    evaluate(bundle, pictures, engine=engine, precision=precision)
    taken = {"seconds": time.process_time() - start, "wall": time.perf_counter() - wall}
    return taken | {"pictures": len(pictures.samples)}
