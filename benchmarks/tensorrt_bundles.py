"""Every float and symmetric variant of the bundles on an NVIDIA GPU: is it taken, does it decide alike, how fast is it?

    python benchmarks/tensorrt_bundles.py [BUNDLE ...] [--trials 1024] [--seconds 5] [--trtexec FILE]
    python benchmarks/tensorrt_bundles.py BUNDLE --data cedar:PATH
    python benchmarks/tensorrt_bundles.py --build-only

By TensorRT 10 or 11 (``pip install tensorrt``, or JetPack's) or TensorRT for RTX (the extra ``tensorrt``), with
the extra ``onnx`` beside it. Bundles are all that are shipped, unless named. Engines are built anew, in a folder that
is deleted in the end.

- *decisions*: the share of trials that the same variant on ONNX Runtime decides alike; 99.9 % must be. A trial is the
  golden one with its pictures turned, dimmed and made noisy, decided at the median of ONNX Runtime's scores, where
  decisions turn most easily. A bundle of what is no picture has its golden trial alone. With ``--data`` (and
  the extra ``export``) the trials are those of people, decided at the variant's threshold for the equal error rate.
- *latency*: one pass of all graphs on noise, copies to and from the GPU in it; beside it trtexec's for the same files,
  where trtexec is found. It comes with JetPack and with TensorRT's archive; for RTX it is called ``tensorrt_rtx``.

``--build-only`` asks parser and builder and runs nothing: TensorRT for RTX does that without a GPU.
Exit code 1: a variant is refused, or decides otherwise; 3: there is no GPU, or no TensorRT.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk import SpoofDetector, Verifier, images
from edge_sdk.bundle import Bundle, shipped
from edge_sdk.errors import EdgeSdkError, InputError, UsageError
from edge_sdk.runtime.engines import ENGINES, load_engine
from edge_sdk.runtime.engines.protocol import Engine
from edge_sdk.runtime.selftest import selftest
from edge_sdk.runtime.tasks import open_session
from edge_sdk.tables import Table

if TYPE_CHECKING:
    from edge_sdk.export.data.samples import Dataset
    from edge_sdk.manifest import Task

ENGINE, OTHER = "tensorrt", "onnxruntime"
ALIKE = 0.999
"""The least share of equal decisions, as of every two engines with one variant."""
TARGET = 1.2
"""What a pass may take of trtexec's time."""
NO_GPU = 3

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Decisions:
    """How two engines decide the same trials: the share decided alike, and the largest difference of two scores."""

    trials: int
    share: float
    largest: float

    @classmethod
    def of(cls, expected: Scores, found: Scores, threshold: float) -> Decisions:
        """Of the scores of both engines, ``(N,)`` each."""
        alike = (expected >= threshold) == (found >= threshold)
        return cls(len(expected), float(alike.mean()), float(np.abs(expected - found).max()))


@dataclass(frozen=True)
class Latency:
    """Of one pass, in milliseconds."""

    median: float
    p99: float
    trtexec: float | None

    def cells(self) -> tuple[str, str, str]:
        """Median and 99th percentile, trtexec's median, and how many times as long ours is."""
        if self.trtexec is None:
            return f"{self.median:.3f}, {self.p99:.3f}", "", ""
        return f"{self.median:.3f}, {self.p99:.3f}", f"{self.trtexec:.3f}", f"{self.median / self.trtexec:.2f}"


def altered(picture: bytes, rng: np.random.Generator) -> bytes:
    """A picture turned by up to 2 degrees, dimmed and with noise, as PNG; what is no picture stays as it is."""
    try:
        pixels = images.load(picture)
    except InputError:
        return picture
    height, width = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-2, 2)), 1.0)
    turned = cv2.warpAffine(pixels, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    dimmed = turned * rng.uniform(0.85, 1.0) + rng.normal(0, rng.uniform(0, 4), turned.shape)
    done, encoded = cv2.imencode(".png", dimmed.clip(0, 255).astype(np.uint8))
    assert done
    return encoded.tobytes()


def made_trials(bundle: Bundle, count: int) -> list[list[bytes]]:
    """The golden trial, and others made from it; the golden one alone where it is not of pictures."""
    golden = [bundle.read(entry) for entry in bundle.manifest.golden.inputs]
    rng = np.random.default_rng(0)
    trials = [golden]
    while len(trials) < count and (trial := [altered(picture, rng) for picture in golden]) != golden:
        trials.append(trial)
    return trials


def replayed(bundle: Bundle, engine: str, variant: str, trials: Sequence[list[bytes]]) -> Scores:
    with open_session(bundle, engine=engine, variant=variant, threads=1) as session:
        return np.array([session.golden_trial(trial)[0] for trial in trials])


def compared_pairs(bundle: Bundle, engine: str, variant: str, data: Dataset) -> tuple[Scores, float]:
    from edge_sdk.export.data.samples import impostor_kinds
    from edge_sdk.export.evaluation.verification.comparers import comparer_of
    from edge_sdk.export.evaluation.verification.samples import embed, faces_in

    faces = faces_in(bundle.manifest.source, data.samples)
    with Verifier(bundle, engine=engine, precision=variant, operating_point="eer", faces=faces) as verifier:
        comparer = comparer_of(bundle, verifier.compare_pairs)
        (compared, *_) = comparer.protocols(impostor_kinds(data.samples), [1])
        return comparer.scored(embed(verifier, data.samples), compared).scores.scores, verifier.threshold


def detected(bundle: Bundle, engine: str, variant: str, data: Dataset) -> tuple[Scores, float]:
    from edge_sdk.export.evaluation.spoof.samples import score_samples

    with SpoofDetector(bundle, engine=engine, precision=variant, operating_point="eer", faces="cropped") as detector:
        samples, _ = score_samples(detector, data.samples, None)
        return np.array([one.score for one in samples if one.scored]), detector.threshold


OF_PEOPLE: Mapping[Task, Callable[[Bundle, str, str, Dataset], tuple[Scores, float]]] = {
    "verify": compared_pairs,
    "spoof": detected,
}


def decisions(bundle: Bundle, variant: str, data: Dataset | None, count: int) -> Decisions:
    """Of TensorRT beside ONNX Runtime."""
    if data is not None:
        scored = OF_PEOPLE[bundle.manifest.task]
        expected, threshold = scored(bundle, OTHER, variant, data)
        return Decisions.of(expected, scored(bundle, ENGINE, variant, data)[0], threshold)
    trials = made_trials(bundle, count)
    expected = replayed(bundle, OTHER, variant, trials)
    return Decisions.of(expected, replayed(bundle, ENGINE, variant, trials), float(np.median(expected)))


def noise(engine: Engine) -> dict[str, NDArray[np.float32]]:
    """An input for each of the engine's, with a batch of 1."""
    rng = np.random.default_rng(0)
    shapes = {one.name: [size if isinstance(size, int) else 1 for size in one.shape] for one in engine.inputs}
    return {name: rng.random(shape, np.float32) for name, shape in shapes.items()}


def timed(models: Sequence[bytes], seconds: float, trtexec: str | None) -> Latency:
    """One pass of all graphs, one after the other, for so long."""
    engines = [load_engine(ENGINE, model, "onnx") for model in models]
    fed = [(engine, noise(engine)) for engine in engines]
    passes: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(passes) < 100:
        start = time.perf_counter()
        for engine, inputs in fed:
            engine.run(inputs)
        passes.append(1e3 * (time.perf_counter() - start))
    shapes = [
        ",".join(f"{name}:{'x'.join(map(str, value.shape))}" for name, value in inputs.items()) for _, inputs in fed
    ]
    for engine in engines:
        engine.close()
    ordered = sorted(passes[10:])  # the first ones wake the GPU
    theirs = None
    if trtexec is not None:
        theirs = sum(by_trtexec(trtexec, *one, seconds) for one in zip(models, shapes, strict=True))
    return Latency(statistics.median(ordered), ordered[math.ceil(0.99 * len(ordered)) - 1], theirs)


def by_trtexec(trtexec: str, model: bytes, shapes: str, seconds: float) -> float:
    """The median latency of NVIDIA's own tool, as ``examples/jetson_trtexec.sh`` asks for it, in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        source, times = Path(folder, "model.onnx"), Path(folder, "times.json")
        source.write_bytes(model)
        command = [trtexec, f"--onnx={source}", f"--shapes={shapes}", "--stronglyTyped", "--noTF32", "--useSpinWait"]
        command += [
            f"--duration={max(1, round(seconds))}",
            "--iterations=1024",
            "--warmUp=1000",
            f"--exportTimes={times}",
        ]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            said = (ran.stdout + ran.stderr).strip().splitlines() or ["nothing"]
            raise UsageError(f"{trtexec} failed with exit code {ran.returncode} and said: {said[-1]}")
        return float(statistics.median(one["latencyMs"] for one in json.loads(times.read_text())))


def built(models: Sequence[bytes]) -> float:
    """Seconds that parser and builder take for all graphs of a variant."""
    from edge_sdk.runtime.engines.tensorrt.build import check

    start = time.perf_counter()
    for model in models:
        check(model)
    return time.perf_counter() - start


def measured(bundle: Bundle, variant: str, data: Dataset | None, arguments: argparse.Namespace) -> tuple[str, ...]:
    """The cells of one variant; EdgeSdkError if it is refused or decides otherwise."""
    models = list(bundle.read_graphs(variant).values())
    cells: tuple[str, ...] = (f"{sum(map(len, models)) / 1e6:.2f}", f"{built(models):.1f}")
    if arguments.build_only:
        return cells
    (replay,) = (one for one in selftest(bundle, engine=ENGINE) if one.variant_id == variant)
    if replay.status != "pass":
        raise EdgeSdkError(f"the golden trial scores {replay.score}, not {replay.expected:.6f}: {replay.detail}")
    found = decisions(bundle, variant, data, arguments.trials)
    latency = timed(models, arguments.seconds, arguments.trtexec)
    if found.share < ALIKE:
        raise EdgeSdkError(
            f"only {found.share:.3%} of {found.trials} decisions are those of {OTHER}, {ALIKE:.1%} must be; the "
            f"scores differ by up to {found.largest:.4g}"
        )
    return (*cells, f"{100 * found.share:.2f} % of {found.trials}", f"{found.largest:.2g}", *latency.cells())


def device(*, build_only: bool) -> str:
    """TensorRT and the GPU; ImportError or EdgeSdkError where one of the two is not there."""
    from edge_sdk.runtime.engines.tensorrt.build import VERSION
    from edge_sdk.runtime.engines.tensorrt.cuda import Cuda

    if build_only:
        return f"{VERSION}, nothing was run"
    gpu = Cuda().gpu()
    return f"{VERSION}, {gpu.name}, compute capability {gpu.compute_capability}, driver {gpu.driver}"


def let_run(engine: str, variants: Sequence[str]) -> None:
    """Let an engine run these too, as a reference: processors are not offered symmetric int8, which is slow there."""
    ENGINES[engine] = msgspec.structs.replace(
        ENGINES[engine], variants=tuple(dict.fromkeys((*ENGINES[engine].variants, *variants)))
    )


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE")
    parser.add_argument("--data", nargs="+", metavar="SPEC")
    parser.add_argument("--trials", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--trtexec", default=shutil.which("trtexec") or shutil.which("tensorrt_rtx"))
    parser.add_argument("--build-only", action="store_true")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parsed(argv)
    bundles = [Bundle.open(name) for name in arguments.bundles or shipped()]
    data = None
    if arguments.data:
        if len(bundles) != 1 or bundles[0].manifest.task not in OF_PEOPLE:
            raise UsageError(f"--data goes with one bundle, of task {' or '.join(OF_PEOPLE)}")
        from edge_sdk.export.data.load import load

        data = load(*arguments.data)
    try:
        where = device(build_only=arguments.build_only)
    except (ImportError, EdgeSdkError) as error:
        print(f"{error}; --build-only asks TensorRT for RTX without a GPU", file=sys.stderr)
        return NO_GPU
    let_run(OTHER, ENGINES[ENGINE].variants)
    head = ["bundle", "variant", "MB", "build s"]
    if not arguments.build_only:
        head += ["equal decisions", "scores differ by", "median, p99 ms", "trtexec ms", f"factor (aim {TARGET})"]
    rows, failures = [], []
    with tempfile.TemporaryDirectory(prefix="edge-sdk-") as folder:
        os.environ["EDGE_SDK_CACHE"] = folder
        for bundle in bundles:
            there = {one.id for one in bundle.manifest.variants}
            for variant in (one for one in ENGINES[ENGINE].variants if one in there):
                try:
                    rows.append((bundle.manifest.name, variant, *measured(bundle, variant, data, arguments)))
                except EdgeSdkError as error:
                    failures.append(f"{bundle.manifest.name} {variant}: {error}")
    print(f"{where}\n\n{Table(tuple(head), rows, text=('bundle', 'variant')).markdown().rstrip()}")
    if failures:
        print("\n".join(failures), file=sys.stderr)
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
