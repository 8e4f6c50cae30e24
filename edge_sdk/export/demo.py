"""The whole path on synthetic signatures: train, quantise, bundle, verify, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import indent

from edge_sdk.bundle import shipped
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


def demo(folder: Path, say: Callable[[str], None]) -> None:
    """TrainingRun it in ``folder``, telling ``say`` line by line.

    The folder holds the training run, the bundle and the report afterwards. The training resumes if it was
    interrupted.
    """
    specification = f"synthetic:{WRITERS}"
    say(f"1. drawing {WRITERS} made-up writers, with genuine signatures and skilled forgeries of each")
    data = load(specification)
    split = Split.draw(data, seed=0)
    run = folder / "run"
    say("2. training a small DeepSign")
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
    say("3. exporting: float, int8, thresholds for each, what int8 costs")
    # A minute of training on few people cannot pass a guardrail of half a point; the bundle says so.
    bundle = export(run, folder / "demo.edge", name="demo", enforce=False, say=lambda text: say(indent(text, "   ")))
    say(f"   {bundle.id} in {bundle.path}")
    test = data.select(split.test)
    say("4. verifying signatures of people that nobody was trained on")
    for name in (str(bundle.path), *(name for name in shipped() if name == "deepsign")):
        _decisions(name, test, say)
    say("5. measuring the demo's bundle on them")
    pages = folder / "report"
    shutil.rmtree(pages, ignore_errors=True)
    paths = report.write(evaluate(bundle, test), pages)
    say("   report: " + ", ".join(str(path) for path in paths))


def _decisions(bundle: str, test: Dataset, say: Callable[[str], None]) -> None:
    """Tell how a bundle decides, for each person, on a genuine pair, a forgery and a stranger's signature."""
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
