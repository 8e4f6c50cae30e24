"""A bundle against a float model of others, by path, in the same engine and the same run.

    python benchmarks/against.py face_lite fr_feature.onnx [--precision int8] [--threads 1] [--seconds 20]

Only networks are timed, on noise, in turns of a twentieth of a second so that both meet the same load. Times are those
of the processor, so that waiting for another process does not count; with several threads they add up. The other model
is ONNX, and is converted for TFLite engines. In the end stand medians, the smallest times, and the factor of the
medians.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.bundle import Bundle
from edge_sdk.errors import EdgeSdkError
from edge_sdk.export.distillation.onnx_module import OnnxModule, read
from edge_sdk.export.formats.float_tflite import to_tflite
from edge_sdk.runtime.engines import ENGINES, load_engine, variants
from edge_sdk.runtime.engines.protocol import Engine

TURN_S = 0.05
FORMATS = ("onnx", "tflite")


def other(path: Path, form: str) -> bytes:
    """The model of others in a format."""
    content = path.read_bytes()
    if form == "onnx":
        return content
    network = OnnxModule(read(content))
    return to_tflite(network.eval(), network.input_shape)


def turn(engine: Engine, inputs: dict[str, NDArray[np.float32]], until: float) -> Iterator[float]:
    """Milliseconds of each pass; the first, which only fills the caches again, is not among them."""
    engine.run(inputs)
    while time.perf_counter() < until:
        start = time.process_time()
        engine.run(inputs)
        yield 1e3 * (time.process_time() - start)


def noise(engine: Engine) -> dict[str, NDArray[np.float32]]:
    """An input for each of the engine's, with a batch of 1."""
    rng = np.random.default_rng(0)
    shapes = {one.name: [size if isinstance(size, int) else 1 for size in one.shape] for one in engine.inputs}
    return {name: rng.random(shape, np.float32) for name, shape in shapes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("model", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    bundle = Bundle.open(arguments.bundle)
    print("| engine | bundle, ms (least) | other model, ms (least) | factor |\n|---|---|---|---|")
    for form in FORMATS:
        variant = f"{arguments.precision}.{form}"
        for name in ENGINES:
            if variant not in variants(name):
                continue
            try:
                with ExitStack() as stack:
                    (model,) = bundle.read_graphs(variant).values()
                    ours = load_engine(name, model, form, threads=arguments.threads)
                    stack.callback(ours.close)
                    theirs = load_engine(name, other(arguments.model, form), form, threads=arguments.threads)
                    stack.callback(theirs.close)
                    times: tuple[list[float], list[float]] = ([], [])
                    pairs = [(engine, noise(engine), kept) for engine, kept in zip((ours, theirs), times, strict=True)]
                    end = time.perf_counter() + arguments.seconds
                    while time.perf_counter() < end:
                        for engine, inputs, kept in pairs:
                            kept.extend(turn(engine, inputs, time.perf_counter() + TURN_S))
            except EdgeSdkError as error:
                print(f"| {name} | {str(error).partition(';')[0]} | | |")
                continue
            first, second = (statistics.median(kept) for kept in times)
            cells = (f"{first:.2f} ({min(times[0]):.2f})", f"{second:.2f} ({min(times[1]):.2f})")
            print(f"| {name} {variant} | {cells[0]} | {cells[1]} | {second / first:.1f} |")


if __name__ == "__main__":
    main()
