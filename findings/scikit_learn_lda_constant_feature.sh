#!/usr/bin/env bash
# scikit-learn's linear discriminant analysis with shrinkage makes a discriminant of a constant feature.
#
# One would guess: a feature that is the same for everybody tells nobody apart; no discriminant is made of it, and with
#   shrinkage the features that are made have about the identity as their covariance within classes.
# What happens: solver "eigen" shrinks the covariance within classes and the total one, each towards a multiple of the
#   identity of its own mean variance, and takes the difference for that between classes. The total variance is the
#   larger one. So in the direction of a constant feature the difference is `shrinkage * (mean total variance - mean
#   variance within)`, divided by `shrinkage * mean variance within`: the ratio of an average direction, however small
#   the shrinkage is. The discriminant outranks real ones, is the same for every sample, and
#   `explained_variance_ratio_` gives it its share.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Why it matters here: features of a classifier are nearly constant in many dimensions. Such discriminants take the
#   places of real ones, and nearly constant features are multiplied by large numbers: noise.
# What the product does: `edge_sdk/export/networks/projection.py` leaves nearly constant directions out first, shrinks
#   the covariance within people alone, and takes that of the people's means as it is. Test: features of which one is
#   constant and one nearly a copy of another, `tests/export/networks/test_projection.py`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 scikit-learn==1.9.1
echo "guess: no discriminant is made of the constant feature"
venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

rng = np.random.default_rng(0)
classes = np.repeat(np.arange(6), 50)
centres = 3 * rng.normal(size=(6, 4))
informative = centres[classes] + rng.normal(size=(300, 4))
features = np.hstack([informative, np.full((300, 1), 7.0)])
print(f"scikit-learn {sklearn.__version__}: four features that tell 6 classes apart, and one that is 7 everywhere")
lost = {}
for shrinkage in (1e-6, 1e-3, 1e-1):
    estimator = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage).fit(features, classes)
    made = estimator.transform(features)
    constant = [number for number, spread in enumerate(made.std(axis=0)) if spread < 1e-6]
    lost[shrinkage] = constant
    shares = ", ".join(f"{share:.2f}" for share in estimator.explained_variance_ratio_)
    print(f"  shrinkage {shrinkage:g}: shares of discriminants {shares}; the same for every sample: {constant}")
good = all(places and places[0] < 4 for places in lost.values())  # it stands before a real one
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
