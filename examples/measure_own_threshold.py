"""Measure the threshold on signatures of your own, as your scanner and your people make them.

    python examples/measure_own_threshold.py [DATA]

DATA is a data set such as folder:PATH (PATH/WRITER/{genuine,forged}/*); the default draws twelve synthetic writers.
"""

from __future__ import annotations

import sys

import numpy as np

from edge_sdk import Verifier
from edge_sdk.calibration.metrics.pairs import verification_scores
from edge_sdk.calibration.thresholds import operating_points
from edge_sdk.export.data.load import load
from edge_sdk.manifest import VerifyPoint


def main() -> None:
    data = load(sys.argv[1] if len(sys.argv) > 1 else "synthetic:12")
    with Verifier("deepsign") as verifier:
        embeddings = np.concatenate([verifier.embed(sample.path) for sample in data.samples])

    subjects = [sample.subject for sample in data.samples]
    genuine = [sample.genuine for sample in data.samples]
    scores = verification_scores(embeddings, subjects, genuine)

    print(f"{data.name}: {len(data.subjects)} people, {len(scores)} comparisons")
    for point in operating_points(scores, data=data.name):
        if isinstance(point, VerifyPoint):
            print(
                f"{point.name:14} accept if score >= {point.threshold:.4f}:"
                f" FMR {point.fmr.value:.2%}, FNMR {point.fnmr.value:.2%}"
            )
        else:
            print(f"{point.name:14} not supported: {point.reason}")


if __name__ == "__main__":
    main()
