"""The row on accuracy: both builds on the same trials of real people, with the guardrail's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from comparison.builds import Bench, RowError
from comparison.table import Result, Row

RUNS = (
    ("onnxruntime", "fp32.onnx"),
    ("onnxruntime", "int8.onnx"),
    ("openvino", "int8.onnx"),
    ("litert", "int8.tflite"),
)


class Trials(NamedTuple):
    """What a bundle is asked.

    Attributes:
        data: How the data set is called, and its folder.
        references: Samples that a person enrols; 0 of a bundle for liveness.
        options: Those of the verifier.
    """

    data: str
    folder: str
    references: int
    options: Mapping[str, Any] = {}


TRIALS = {
    "deepsign": Trials("cedar", "cedar", 5),
    "deepsign_nano": Trials("cedar", "cedar", 5),
    "mobilenetv2": Trials("cedar", "cedar", 5),
    "liveness": Trials("nuaa-test", "nuaa", 0),
    "ganomaly_lite": Trials("nuaa-test", "nuaa", 0),
    "face_lite": Trials("align+lfw", "lfw", 1, {"faces": "aligned"}),
    "gait_lite": Trials("nexus", "gait_nexus", 2),
    "gait": Trials("nexus", "gait_nexus", 2),
}


def accuracy(bench: Bench) -> list[Result]:
    """Every shipped bundle on the engines that run it."""
    return [result for bundle in TRIALS for result in of_bundle(bench, bundle)]


def of_bundle(bench: Bench, bundle: str) -> list[Result]:
    """One line for each engine and variant that both builds run."""
    trials = TRIALS[bundle]
    try:
        spec = f"{trials.data}:{bench.folder(trials.folder)}"
        bench.now.ask("choices", bundle=bundle, precision="fp32")
        bench.before.ask("choices", bundle=bundle, precision="int8")
    except RowError as error:
        return [Result(f"`{bundle}`", "", (absent(error), ""))]
    if trials.references:
        asked = bench.now.ask(
            "verification_trials",
            data=spec,
            people=bench.less(16, 4),
            references=trials.references,
            strangers=bench.less(20, 5),
        )
        mated = [own for trial in asked for _, own in trial["queries"]]
        people = [trial["person"] for trial in asked for _ in trial["queries"]]
        task, given, metric = "verification_scores", {"trials": asked}, "eer"
    else:
        asked = bench.now.ask("presentations", data=spec, every=bench.less(3, 30))
        mated, people = [one["live"] for one in asked], [one["person"] for one in asked]
        task, given, metric = "presentation_scores", {"pictures": asked}, "bpcer_at_apcer_0.05"
    lines = []
    for engine, precision in RUNS:
        request = {"bundle": bundle, "engine": engine, "precision": precision, **given, "options": trials.options}
        try:
            before, now = (build.ask(task, **request) for build in bench.builds)
            found = bench.now.ask("differences", before=before, now=now, mated=mated, people=people, metric=metric)
        except RowError as error:
            lines.append(Result(f"`{bundle}` {precision}, {engine}", "", (absent(error), "")))
            continue
        lines.append(line(bundle, engine, precision, metric, found))
    return lines


def absent(error: RowError) -> str:
    """What an error comes to in the table."""
    return "not in this build" if "NotFound" in str(error) or "has no" in str(error) else str(error)[:100]


def line(bundle: str, engine: str, precision: str, metric: str, found: Mapping[str, Any]) -> Result:
    """What the guardrail says of two builds."""
    first, second = found["eer"]
    rate = "EER" if metric == "eer" else "BPCER at APCER 5 %"
    change = f"{100 * found['delta']:+.2f} points of {rate} (upper 90 % bound {100 * found['upper90']:+.2f})"
    return Result(
        f"`{bundle}` {precision}, {engine}: EER; decisions changed of {found['comparisons']}, "
        "largest difference of scores",
        "unchanged or better",
        (f"{first:.2%}", f"{second:.2%}; {found['changed']} changed, {found['most']:.2g}; {change}"),
        found["delta"] <= 0 and not found["scored_by_one_only"],
    )


ROWS = {"accuracy": Row(accuracy, obeys=False)}
