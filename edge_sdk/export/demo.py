"""The whole path on synthetic signatures: train, quantise, bundle, verify, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from edge_sdk.bundle import Bundle, shipped
from edge_sdk.export import recipes
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset, Sample
from edge_sdk.export.data.splits import Split
from edge_sdk.export.evaluation.verification import report
from edge_sdk.export.evaluation.verification.evaluate import evaluate
from edge_sdk.export.packaging.build import export
from edge_sdk.export.training.loop import train
from edge_sdk.export.training.run import TrainingRun
from edge_sdk.runtime.verifier import Verifier

WRITERS = 48


@dataclass(frozen=True)
class DemoResult:
    """The demo's bundle, and the files of its evaluation, the HTML report last."""

    bundle: Bundle
    report: tuple[Path, ...]


def demo(folder: Path, say: Callable[[str], None]) -> DemoResult:
    """Run it in ``folder``, telling ``say`` line by line.

    The folder holds the training run, the bundle and the report afterwards. The training resumes if it was
    interrupted.
    """
    specification = f"synthetic:{WRITERS}"
    say(f"1. Data: {WRITERS} synthetic writers are drawn, with genuine signatures and skilled forgeries of each.")
    data = load(specification)
    split = Split.draw(data, seed=0)
    run = folder / "run"
    steps = recipes.get("deepsign").preset("quick").steps
    say(f"2. Training: DeepSign for {steps} steps, about a minute. `edge-sdk train` does the same on real data.")
    result = train(
        TrainingRun(
            recipes.get("deepsign"),
            "quick",
            run,
            data.select(split.train),
            data.select(split.validation),
            (specification,),
        )
    )
    split.write(run / "split.json")
    say(f"   {result.steps} steps in {result.seconds:.0f} s")
    say("3. Export: a float and an int8 variant, each with its thresholds, and what int8 costs in accuracy.")
    # A minute of training on few people cannot pass a guardrail of half a point; the bundle says so.
    bundle = export(run, folder / "demo.edge", name="demo", enforce=False, say=lambda text: say(indent(text, "   ")))
    say(f"   {bundle.id} in {bundle.path}")
    test = data.select(split.test)
    say("4. Verification: signatures of people that the model has not seen, with this model and with the shipped one.")
    say("   After so short a training many decisions are wrong. The shipped model was trained for longer.")
    for name in (str(bundle.path), *(name for name in shipped() if name == "deepsign")):
        _decisions(name, test, say)
    say("5. Evaluation: error rates of this model on these people.")
    pages = folder / "report"
    shutil.rmtree(pages, ignore_errors=True)
    paths = report.write(evaluate(bundle, test), pages)
    say("   written: " + ", ".join(str(path) for path in paths))
    return DemoResult(bundle, tuple(paths))


def _decisions(bundle: str, test: Dataset, say: Callable[[str], None]) -> None:
    """Say how a bundle decides, for each person, on a genuine pair, a forgery and a stranger's signature."""
    with Verifier(bundle, operating_point="eer") as verifier:
        say(f"\n   {verifier.bundle.id}, threshold {verifier.threshold:.3f} at its equal error rate")
        say(f"   {'reference':<14} {'query':<10} {'score':>6}  decision")
        genuine = {subject: _of(test.samples, subject, genuine=True) for subject in test.subjects}
        for subject, other in zip(test.subjects, (*test.subjects[1:], test.subjects[0]), strict=True):
            reference = genuine[subject][0]
            queries = {
                "genuine": genuine[subject][1],
                "forgery": _of(test.samples, subject, genuine=False)[0],
                "stranger": genuine[other][0],
            }
            for kind, query in queries.items():
                result = verifier.verify(reference.path, query.path)
                decision = "accepted" if result.decision else "rejected"
                wrong = "" if result.decision == (kind == "genuine") else "  (wrong)"
                say(f"   {subject:<14} {kind:<10} {result.score:6.3f}  {decision}{wrong}")
    say("")


def _of(samples: Sequence[Sample], subject: str, *, genuine: bool) -> list[Sample]:
    return [sample for sample in samples if sample.subject == subject and sample.genuine == genuine]
