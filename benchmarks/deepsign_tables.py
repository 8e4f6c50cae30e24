"""DeepSign's accuracy on people it has never seen: across data sets, and by cross-validation over all writers.

    python benchmarks/deepsign_tables.py cross-data FOLDER [--preset best] [--steps 300]
    python benchmarks/deepsign_tables.py cross-validation FOLDER [--folds 2] [--steps 400]

``FOLDER`` holds ``cedar``, ``sigcomp2011_dutch`` and ``svc2004``. ``cross-data`` trains on CEDAR writers only and tests
on other CEDAR writers, SigComp2011 and SVC2004. ``cross-validation`` trains once a fold on all other writers and pools
what each fold's model says about its own, so that every writer is tested once. ``--steps`` replaces the preset's number
of optimiser steps, since a table needs several trainings. The last weights of a run are taken, whatever its curve
looked like. Trainings resume; results are kept as JSON beside the runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.calibration import guardrail, metrics
from edge_sdk.calibration.metrics import Curves, ScoreSet
from edge_sdk.calibration.pairs import verification_scores
from edge_sdk.calibration.quantize import quantize
from edge_sdk.export import checkpoint, recipe
from edge_sdk.export.datasets import Dataset, folds, load, split_subjects
from edge_sdk.export.datasets.cache import prepared
from edge_sdk.export.float_onnx import to_onnx
from edge_sdk.export.recipe import Preset, Recipe
from edge_sdk.export.scoring import embed
from edge_sdk.export.trained import calibration_images
from edge_sdk.export.training import Run, train

Row = dict[str, str | float]


def artifacts(run: Run) -> dict[str, bytes]:
    """Train (or resume) and export the last weights, as float and as int8 calibrated on training people."""
    train(run)
    network = run.network()
    checkpoint.load_network(run.folder / "last.safetensors", network)
    model = to_onnx(network, run.preset.input_shape)
    samples = calibration_images(run.train, run.preset, run.seed)
    return {"fp32": model, "int8": quantize(model, samples)}


def scores(models: dict[str, bytes], test: Dataset, preset: Preset) -> dict[tuple[str, str], ScoreSet]:
    """By precision and kind of forgery."""
    images = prepared(test.samples, preset.preprocessing)
    subjects, genuine = [s.subject for s in test.samples], [s.genuine for s in test.samples]
    found = {}
    for precision, model in models.items():
        embeddings: NDArray[np.float32] = embed(model, images)
        found[precision, "skilled"] = verification_scores(embeddings, subjects, genuine)
        found[precision, "random"] = verification_scores(embeddings, subjects, genuine, forgeries="random")
        five = verification_scores(embeddings, subjects, genuine, references=5)
        found[precision, "skilled, 5 references"] = five
    return found


def rows(name: str, found: dict[tuple[str, str], ScoreSet], threshold: dict[str, float] | None = None) -> Iterable[Row]:
    """AUROC and EER with 95 % intervals over people; accuracy at a threshold from other people, where there is one."""
    for (precision, forgeries), score in found.items():
        auroc, eer = (metrics.bootstrap(score, statistic) for statistic in (Curves.auroc, Curves.eer))
        row: Row = {
            "data": name,
            "artifact": precision,
            "forgeries": forgeries,
            "people": score.subject_count,
            "AUROC": f"{auroc.value:.3f} [{auroc.low:.3f}, {auroc.high:.3f}]",
            "EER %": f"{100 * eer.value:.1f} [{100 * eer.low:.1f}, {100 * eer.high:.1f}]",
        }
        if threshold and forgeries == "skilled":
            decided = metrics.accuracy_precision_recall(score, threshold[precision])
            row |= {"accuracy": f"{decided.accuracy:.3f}", "precision": f"{decided.precision:.3f}"}
            row |= {"recall": f"{decided.recall:.3f}"}
        yield row


def cross_data(arguments: argparse.Namespace, chosen: Recipe, parts: dict[str, Dataset]) -> list[Row]:
    """Train on 60 % of CEDAR's writers; thresholds from 20 %, as in the paper; test on 20 % and on the other sets."""
    cedar = parts["cedar"]
    learning, validation, test = (cedar.select(people) for people in split_subjects(cedar, (0.6, 0.2, 0.2), 0))
    preset = chosen.preset(arguments.preset)
    run = Run(chosen, arguments.preset, arguments.out / f"cedar-{arguments.preset}", learning, validation)
    models = artifacts(run)
    held_out = scores(models, validation, preset)
    threshold = {p: metrics.best_accuracy_threshold(held_out[p, "skilled"]) for p in models}
    tested = {"cedar, new writers": test, **{name: part for name, part in parts.items() if name != "cedar"}}
    return [row for name, part in tested.items() for row in rows(name, scores(models, part, preset), threshold)]


def cross_validation(arguments: argparse.Namespace, chosen: Recipe, parts: dict[str, Dataset]) -> list[Row]:
    """Every writer is tested once, by a model that was trained on none of its fold."""
    data = load(*specifications(arguments.data))
    preset = chosen.preset(arguments.preset)
    pooled: dict[str, list[dict[tuple[str, str], ScoreSet]]] = {name: [] for name in parts}
    for number, people in enumerate(folds(data, arguments.folds, seed=0)):
        test = data.select(people)
        rest = data.select([subject for subject in data.subjects if subject not in people])
        models = artifacts(Run(chosen, arguments.preset, arguments.out / f"fold-{number}", rest, test))
        for name in parts:
            own = test.select([subject for subject in people if subject.startswith(f"{name}/")])
            pooled[name].append(scores(models, own, preset))
    joined = {name: joint(found) for name, found in pooled.items()}
    everything = joint(list(joined.values()))
    table = [row for name, found in (*joined.items(), ("all", everything)) for row in rows(name, found)]
    drift = guardrail.compare(everything["fp32", "skilled"], everything["int8", "skilled"], data="all writers")
    print(guardrail.table([drift]))
    return table


def joint(found: Sequence[dict[tuple[str, str], ScoreSet]]) -> dict[tuple[str, str], ScoreSet]:
    """Pool the scores of several tests."""
    return {key: metrics.concatenate([one[key] for one in found]) for key in found[0]}


def specifications(root: Path) -> tuple[str, ...]:
    return (f"cedar:{root / 'cedar'}", f"sigcomp2011:{root / 'sigcomp2011_dutch'}", f"svc2004:{root / 'svc2004'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", choices=["cross-data", "cross-validation"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="best")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    arguments = parser.parse_args()
    chosen = recipe.get("deepsign")
    preset = replace(chosen.preset(arguments.preset), steps=arguments.steps, patience=None)
    chosen = replace(chosen, presets={arguments.preset: replace(preset, validate_every=min(100, preset.steps))})
    parts = {spec.partition(":")[0]: load(spec) for spec in specifications(arguments.data)}
    run = {"cross-data": cross_data, "cross-validation": cross_validation}[arguments.experiment]
    table = run(arguments, chosen, parts)
    result = arguments.out / f"{arguments.experiment}-{arguments.preset}.json"
    result.write_text(json.dumps(table, indent=1) + "\n")
    for row in table:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(f"written: {result}")


if __name__ == "__main__":
    main()
