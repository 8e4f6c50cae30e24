#!/usr/bin/env bash
# scikit-learn's Platt calibration depends on the scale of sample weights.
#
# One would guess: sample weights are relative. Weights that are all multiplied by the same number give the same
#   calibration, as they do for `LogisticRegression` without a penalty, and for `CalibratedClassifierCV` with the
#   methods "isotonic" and "temperature".
# What happens: with method "sigmoid" the targets are not 0 and 1 but Platt's smoothed ones, (N+ + 1) / (N+ + 2) and
#   1 / (N- + 2), and N+ and N- are the sums of the weights. Weights that sum to 1, as they do where each person is to
#   count alike, leave targets of 0.6 and 0.4: all probabilities come out between these, near enough, in silence.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Why it matters here: comparisons of a person are many and people differ in how many, so scores are calibrated with
#   weights that give each person the same share. A likelihood ratio so calibrated is squashed to nearly nothing.
# What the product does: `edge_sdk/calibration/person_model.py` (`_regression`) brings weights to a sum of 1 itself and
#   fits the labels as they are. Test: weights times a constant, `tests/calibration/test_person_model.py`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 scikit-learn==1.9.1
echo "guess: the same probabilities whatever the weights sum to"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV


class Scores(ClassifierMixin, BaseEstimator):
    """A classifier whose decision is the sample itself."""

    def fit(self, samples, labels, sample_weight=None):
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, samples):
        return samples[:, 0]

    def predict(self, samples):
        return (samples[:, 0] > 0).astype(int)


rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 2000)
scores = (rng.normal(size=2000) + 2 * labels - 1)[:, np.newaxis]
shown = np.array([[-4.0], [-2.0], [0.0], [2.0], [4.0]])
print(f"scikit-learn {sklearn.__version__}: 2000 scores, probabilities at -4, -2, 0, 2 and 4")
found = {}
for method in ("isotonic", "temperature", "sigmoid"):
    for total in (2000, 1):
        weights = np.full(2000, total / 2000)
        model = CalibratedClassifierCV(Scores(), method=method, ensemble=False)
        made = model.fit(scores, labels, sample_weight=weights).predict_proba(shown)[:, 1]
        found[method, total] = made
        print(f"  {method:11}  weights that sum to {total:4}: {' '.join(f'{p:.3f}' for p in made)}")
same = all(np.allclose(found[method, 2000], found[method, 1], atol=1e-6) for method in ("isotonic", "temperature"))
good = same and found["sigmoid", 2000][-1] > 0.99 and found["sigmoid", 1][-1] < 0.75
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
