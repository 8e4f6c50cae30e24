"""Measure in which order ``engine="auto"`` should prefer engines and variants on this kind of processor.

    python benchmarks/engine_order.py [BUNDLE ...] [--seconds 10] [--check | --write] [--without-vnni]

Every usable engine runs every variant of each bundle (default: all that are shipped) on the golden inputs with one
thread, all in turns, in random order. A variant that does not give its golden score is left out. So are engines that
need a GPU, for ``auto`` puts them first, and ``int8-io`` variants, which are made for accelerators. The figure is the
processor time of one pass that a tenth of the passes stay below: other processes may use the machine.

Printed are the milliseconds of each bundle, and relative to ``fp32.onnx`` on ONNX Runtime the geometric mean over the
bundles that have both; the last lines are the entry for ``PREFERENCE`` in ``edge_sdk/runtime/selection.py``.

``--check`` prints instead what ``auto`` takes here before any ``tune``, the fastest, and the ratio of the two.
``--write`` writes the order of each bundle, a folder, into ``fastest`` of its manifest, for this kind of processor.

``--without-vnni`` measures on x86 as if the processor had no VNNI: edge-sdk then asks ONNX Runtime for exact int8
kernels, and OpenVINO is limited to AVX2. The float kernels of ONNX Runtime and LiteRT have no such limit and still use
what the processor has, so a real machine without VNNI is the better source.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import numpy as np

from edge_sdk import files, modalities
from edge_sdk.bundle import SHIPPED, Bundle, shipped
from edge_sdk.manifest import MANIFEST_PATH, encode
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import ENGINES, installed, version
from edge_sdk.runtime.model import Model
from edge_sdk.runtime.selection import candidates
from edge_sdk.runtime.selftest import selftest

Pair = tuple[str, str]  # engine, variant

REFERENCE: Pair = ("onnxruntime", "fp32.onnx")
WITHOUT_VNNI = {device.INSTRUCTIONS_VARIABLE: "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
PASSES = 5
"""Of one turn, after two that fill the caches again."""


def measured(bundle: Bundle, seconds: float) -> dict[Pair, float]:
    """Milliseconds of the processor in one pass of each candidate, in the order in which ``auto`` prefers them."""
    manifest = bundle.manifest
    modality = modalities.get(manifest.modality)
    picture = modality.decode(bundle.read(manifest.golden.inputs[0]))
    rows = modality.prepare(manifest.preprocessing, picture, manifest.source).rows[:1]
    right = {(one.engine, one.variant_id) for one in selftest(bundle, engine="all") if one.status == "pass"}
    models = {
        (choice.engine, choice.variant.id): Model(bundle, choice, threads=1)
        for choice in candidates(bundle)
        if (choice.engine, choice.variant.id) in right
        and not ENGINES[choice.engine].devices
        and choice.variant.precision != "int8-io"
    }
    took: dict[Pair, list[float]] = {pair: [] for pair in models}
    order, end = list(models), time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, took.values())) < 2 * PASSES:
        random.shuffle(order)
        for pair in order:
            for number in range(2 + PASSES):
                start = time.process_time()
                models[pair].run_every_graph(rows)
                if number >= 2:
                    took[pair].append(time.process_time() - start)
    for model in models.values():
        model.close()
    return {pair: 1e3 * float(np.quantile(values, 0.1)) for pair, values in took.items()}


def relative(found: Sequence[dict[Pair, float]]) -> dict[Pair, float]:
    """The geometric mean of each pair's latency over the reference's, the least first."""
    ratios: dict[Pair, list[float]] = defaultdict(list)
    for bundle in found:
        for pair, milliseconds in bundle.items():
            if REFERENCE in bundle:
                ratios[pair].append(milliseconds / bundle[REFERENCE])
    return _sorted({pair: statistics.geometric_mean(values) for pair, values in ratios.items()})


def check(bundles: Sequence[Bundle], found: Sequence[dict[Pair, float]]) -> None:
    """Print what ``auto`` takes against the fastest."""
    print("| bundle | auto takes | ms | fastest | ms | ratio |")
    print("|" + "---|" * 6)
    for bundle, took in zip(bundles, found, strict=True):
        taken, best = next(iter(took)), min(took, key=lambda pair: took[pair])
        cells = [bundle.manifest.name, " ".join(taken), f"{took[taken]:.3f}", " ".join(best), f"{took[best]:.3f}"]
        print("| " + " | ".join([*cells, f"{took[taken] / took[best]:.2f}"]) + " |")


def write(name: str, bundle: Bundle, took: dict[Pair, float]) -> None:
    """Write the order of a bundle into its manifest; ``make pins`` has to follow for the shipped ones."""
    folder = SHIPPED / name if name in shipped() else Path(name)
    fastest = {**bundle.manifest.fastest, device.processor_kind(): tuple(_sorted(took))}
    files.write_bytes(folder / MANIFEST_PATH, encode(msgspec.structs.replace(bundle.manifest, fastest=fastest)))


def table(bundles: Sequence[Bundle], found: Sequence[dict[Pair, float]]) -> None:
    """Print everything that was measured, and the entry for ``PREFERENCE``."""
    order = relative(found)
    print("| engine | variant | " + " | ".join(bundle.manifest.name for bundle in bundles) + " | relative |")
    print("|" + "---|" * (3 + len(bundles)))
    for (engine, variant), ratio in order.items():
        cells = [f"{took[engine, variant]:.3f}" if (engine, variant) in took else "" for took in found]
        print(f"| {engine} | {variant} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    print(f'\n    "{device.processor_kind()}": (\n        *_GPU,')
    for engine, variant in order:
        print(f'        ("{engine}", "{variant}"),')
    print("    ),")


def _sorted(took: dict[Pair, float]) -> dict[Pair, float]:
    return dict(sorted(took.items(), key=lambda item: item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", default=shipped())
    parser.add_argument("--seconds", type=float, default=10.0, help="for each bundle")
    parser.add_argument("--without-vnni", action="store_true")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    if arguments.without_vnni and device.processor_kind() == "x86-64-vnni":
        os.environ.update(WITHOUT_VNNI)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - oneDNN reads its variable once
    bundles = [Bundle.open(name) for name in arguments.bundles]
    found = []
    for bundle in bundles:
        print(bundle.id, file=sys.stderr)
        found.append(measured(bundle, arguments.seconds))
    versions = ", ".join(f"{engine} {version(engine)}" for engine in ENGINES if installed(engine))
    today = datetime.now(tz=timezone.utc).date()
    print(f"{device.instruction_set()}, {device.processor()}, one thread, {today}; {versions}")
    print("Milliseconds of the processor in one pass, which a tenth of the passes stay below.\n")
    if arguments.write:
        for name, bundle, took in zip(arguments.bundles, bundles, found, strict=True):
            write(name, bundle, took)
    if arguments.check:
        check(bundles, found)
    else:
        table(bundles, found)


if __name__ == "__main__":
    main()
