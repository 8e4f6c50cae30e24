"""What a verification spends its time on: pre-processing against the network, on one core, in one run.

    python benchmarks/preprocessing.py [--rounds 50] [--bundle deepsign]

Times both named pipelines on a 600 x 380 scan (gray paper, uneven light, sensor noise), one forward pass of each
artifact, and a pair in one batch against two single passes. The contestants take turns; medians are printed. Last, how
much of a signature each pipeline keeps on gray paper and in uneven light.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from edge_sdk import Bundle
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter
from edge_sdk.preprocess import INK, PAPER, Image, Operation, apply
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import Engine, load_engine, variants


def scan(height: int = 380, width: int = 600) -> Image:
    """A synthetic signature as a scanner gives it, (380, 600) uint8 gray."""
    ink = cv2.resize(SyntheticWriter(1).genuine(0), (width, height), interpolation=cv2.INTER_AREA)
    light = np.linspace(0.85, 0.95, width)
    noise = np.random.default_rng(0).normal(0, 2, (height, width))
    return np.clip(ink * light + noise, 0, 255).astype(np.uint8)


def survival(pipeline: tuple[Operation, ...], light: np.ndarray | float, writers: int = 20) -> float:
    """Median share of ink, within a pixel, that a clean picture and the same picture in other light agree on."""
    near, shares = np.ones((3, 3), np.uint8), []
    for writer in range(writers):
        clean = SyntheticWriter(writer).genuine(0)
        darker = np.rint(clean * light).astype(np.uint8)
        first, second = ((apply(pipeline, picture)[0] > 0.5).astype(np.uint8) for picture in (clean, darker))
        pairs = ((first, second), (second, first))
        shares.append(min(float(a[cv2.dilate(b, near) > 0].sum() / max(1, int(a.sum()))) for a, b in pairs))
    return statistics.median(shares)


def passes(engine: Engine, image: np.ndarray) -> dict[str, Callable[[], object]]:
    """The forward passes to compare; ``image``: float32 (1, H, W)."""
    name = engine.inputs[0].name
    one, pair = {name: image[np.newaxis]}, {name: np.stack([image, image])}
    return {
        "one image": lambda: engine.run(one),
        "pair, one batch": lambda: engine.run(pair),
        "pair, two passes": lambda: (engine.run(one), engine.run(one)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--bundle", default="deepsign")
    arguments = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    image = scan()
    bundle = Bundle.open(arguments.bundle)
    prepared = apply(bundle.manifest.preprocessing, image)

    contestants: dict[str, Callable[[], object]] = {
        "pre-processing: PAPER": lambda: apply(PAPER, image),
        "pre-processing: INK": lambda: apply(INK, image),
    }
    for variant in bundle.manifest.variants:
        if variant.id in variants("onnxruntime"):
            engine = load_engine("onnxruntime", bundle.read_model(variant.id), variant.format, threads=1)
            contestants |= {f"{variant.id}: {what}": call for what, call in passes(engine, prepared).items()}

    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(arguments.rounds + 3):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            if turn >= 3:  # warm by now
                times[name].append((time.perf_counter() - start) * 1e3)

    medians = {name: statistics.median(taken) for name, taken in times.items()}
    reference = medians.get("fp32.onnx: one image", float("nan"))
    print(device.instruction_set())
    print(f"{'':28} median ms   min ms   share of an fp32 pass")
    for name, median in medians.items():
        print(f"{name:28} {median:9.2f} {min(times[name]):8.2f} {median / reference:12.2f}")

    print("\nink that survives other light (1.00: all of it)")
    lights: dict[str, np.ndarray | float] = {
        "paper at 85 %": 0.85,
        "paper at 60 %": 0.6,
        "light from 45 to 95 %": np.linspace(0.45, 0.95, 600)[None, :],
    }
    for name, light in lights.items():
        print(f"{name:28} PAPER {survival(PAPER, light):.2f}   INK {survival(INK, light):.2f}")


if __name__ == "__main__":
    main()
