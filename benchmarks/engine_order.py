"""Measure in which order ``engine="auto"`` should prefer engines and variants on this kind of processor.

    python benchmarks/engine_order.py [BUNDLE ...] [--seconds 10] [--repeats 5] [--threads 1] [--without-vnni]

Every usable engine runs every variant of each bundle (default: all that are shipped) as ``edge-sdk tune`` measures
them: one pass on the golden inputs, all candidates in turns. A variant that does not give its golden score is left
out. Its figure is the least median of the repeats over that of ``fp32.onnx`` on ONNX Runtime, as the geometric mean
over the bundles that have both. The last lines are the entry for ``PREFERENCE`` in ``edge_sdk/runtime/selection.py``.
Engines that need a GPU are left out, for the table puts them first, and so are ``int8-io`` variants, which are made for
accelerators: they come last.

``--without-vnni`` measures on x86 as if the processor had no VNNI: edge-sdk then asks ONNX Runtime for exact int8
kernels, and OpenVINO is limited to AVX2. The float kernels of ONNX Runtime and LiteRT have no such limit and still use
what the processor has, so a real machine without VNNI is the better source.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.runtime import device
from edge_sdk.runtime.engines import ENGINES, installed, version
from edge_sdk.runtime.tune import tune

Pair = tuple[str, str]  # engine, variant

REFERENCE: Pair = ("onnxruntime", "fp32.onnx")
WITHOUT_VNNI = {device.INSTRUCTIONS_VARIABLE: "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def medians(bundle: Bundle, threads: int, seconds: float, repeats: int) -> dict[Pair, float]:
    """The least of the repeats' median milliseconds of one pass, of those that give the golden score."""
    found: dict[Pair, float] = {}
    for number in range(repeats):
        print(f"{bundle.id}: {number + 1} of {repeats}", file=sys.stderr)
        for run in tune(bundle, threads=[threads], seconds=seconds):
            if run.median_ms is not None:
                pair = run.engine, run.variant
                found[pair] = min(run.median_ms, found.get(pair, run.median_ms))
    return found


def relative(measured: Sequence[dict[Pair, float]]) -> dict[Pair, float]:
    """The geometric mean of each pair's latency over the reference's, the least first."""
    ratios: dict[Pair, list[float]] = defaultdict(list)
    for bundle in measured:
        for pair, milliseconds in bundle.items():
            if REFERENCE in bundle and not ENGINES[pair[0]].devices:
                ratios[pair].append(milliseconds / bundle[REFERENCE])
    means = {pair: statistics.geometric_mean(values) for pair, values in ratios.items()}
    return dict(sorted(means.items(), key=lambda item: item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", default=shipped())
    parser.add_argument("--seconds", type=float, default=10.0, help="for each bundle and repeat")
    parser.add_argument(
        "--repeats", type=int, default=5, help="of which the fastest counts: others may use the machine"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without-vnni", action="store_true")
    arguments = parser.parse_args()
    if arguments.without_vnni and device.processor_kind() == "x86-64-vnni":
        os.environ.update(WITHOUT_VNNI)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - oneDNN reads its variable once
    bundles = [Bundle.open(name) for name in arguments.bundles]
    measured = [medians(bundle, arguments.threads, arguments.seconds, arguments.repeats) for bundle in bundles]
    order = relative(measured)
    versions = ", ".join(f"{engine} {version(engine)}" for engine in ENGINES if installed(engine))
    today = datetime.now(tz=timezone.utc).date()
    print(f"{device.instruction_set()}, {device.processor()}, {arguments.threads} thread(s), {today}; {versions}")
    print("Least median ms of one pass; relative: to fp32.onnx on ONNX Runtime, geometric mean.\n")
    print("| engine | variant | " + " | ".join(bundle.manifest.name for bundle in bundles) + " | relative |")
    print("|" + "---|" * (3 + len(bundles)))
    for (engine, variant), ratio in order.items():
        cells = [f"{found[engine, variant]:.2f}" if (engine, variant) in found else "" for found in measured]
        print(f"| {engine} | {variant} | " + " | ".join(cells) + f" | {ratio:.2f} |")
    print(f'\n    "{device.processor_kind()}": (\n        *_GPU,')
    for engine, variant in (pair for pair in order if not pair[1].startswith("int8-io")):
        print(f'        ("{engine}", "{variant}"),')
    print("    ),")


if __name__ == "__main__":
    main()
