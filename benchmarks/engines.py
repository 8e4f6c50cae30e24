"""Every engine that is installed here, with every variant of a bundle: size, latency, and what it costs in accuracy.

    python benchmarks/engines.py deepsign --data cedar:PATH [--split split.json] [--threads 1,2] [--seconds 60]

Latency is that of ``edge-sdk tune``: one pass of the engine on the golden inputs, all candidates in turns. Accuracy is
measured once an engine and variant, on the data given, against the float ONNX variant on ONNX Runtime: the difference
of the equal error rates with its upper 90 % bound, and the share of equal decisions, each variant at its own
threshold for the equal error rate; below the table, that share for one variant on two engines. ``--split`` takes a
run's ``split.json`` and keeps its test people only.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.calibration import guardrail
from edge_sdk.calibration.metrics.verification import ScoreSet
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, impostor_kinds
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.verification.comparers import comparer_of
from edge_sdk.export.evaluation.verification.samples import embed
from edge_sdk.runtime import device
from edge_sdk.runtime.tune import TimedRun, tune

REFERENCE = ("onnxruntime", "fp32.onnx")


def scored(bundle: Bundle, engine: str, variant: str, data: Dataset) -> tuple[ScoreSet, float]:
    """Scores on the data, and the variant's threshold."""
    with Verifier(bundle, engine=engine, precision=variant, operating_point="eer") as verifier:
        found = embed(verifier, data.samples)
        comparer = comparer_of(bundle, verifier.compare_pairs)
        (compared, *_) = comparer.protocols(impostor_kinds(data.samples), [1])
        return comparer.scored(found, compared).scores, verifier.threshold


def line(run: TimedRun, difference: str) -> str:
    fields = (run.engine, run.variant, str(run.threads), f"{run.size / 1e6:.3f}")
    times = (f"{run.median_ms:.3f}", f"{run.p99_ms:.3f}") if run.passes else ("", run.excluded)
    return "| " + " | ".join((*fields, *times, difference)) + " |"


def same(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], str]]:
    """Every two engines that ran the same variant, and that variant."""
    for (first, variant), (second, other) in itertools.combinations(pairs, 2):
        if variant == other:
            yield (first, second), variant


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC")
    parser.add_argument("--split", type=Path, metavar="FILE")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    bundle, data = Bundle.open(arguments.bundle), load(*arguments.data)
    if arguments.split:
        data = data.select(set(Split.read(arguments.split).test) & set(data.subjects))
    runs = tune(bundle, threads=[int(n) for n in arguments.threads.split(",")], seconds=arguments.seconds, say=print)
    pairs = dict.fromkeys((run.engine, run.variant) for run in runs if run.passes)
    found = {pair: scored(bundle, *pair, data) for pair in (REFERENCE, *pairs)}
    expected, threshold = found[REFERENCE]
    differences = {}
    for pair, (scores, own) in found.items():
        difference = guardrail.compare(
            expected, scores, data=data.name, threshold_float=threshold, threshold_quantised=own
        )
        differences[pair] = (
            f"{100 * difference.delta:+.2f} | {100 * difference.upper90:+.2f} | {100 * (difference.agreement or 0):.2f}"
        )
    print(f"{device.instruction_set()}, {device.processor()}\n")
    print("| engine | variant | threads | MB | median ms | p99 ms | delta EER, pp | upper 90 % | equal decisions, % |")
    print("|---|---|---|---|---|---|---|---|---|")
    for run in runs:
        print(line(run, differences.get((run.engine, run.variant), " | | ")))
    for (first, second), variant in same(list(pairs)):
        (expected, threshold), (scores, _) = found[first, variant], found[second, variant]
        alike = guardrail.agreement(expected, scores, threshold, threshold)
        share = f"{100 * alike.share:.3f} % of {alike.comparisons}"
        print(f"{variant} on {first} and {second}: {share} decisions are equal")
        alike.require(guardrail.SAME_ARTIFACT)


if __name__ == "__main__":
    main()
