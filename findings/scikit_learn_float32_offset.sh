#!/usr/bin/env bash
# scikit-learn's mixtures of Gaussians and principal components of float32 features are wrong where these lie far from 0.
#
# One would guess: variances are taken round the mean, or float32 is computed in float64, so that it does not matter where
#   features lie.
# What happens: since 1.5 `PCA` by default (svd_solver="auto", where there are at least ten rows a feature) takes X'X - n
#   mean mean', and `GaussianMixture` (diag; tied and spherical likewise) the mean of squares minus the square of the mean,
#   both in the features' own float32, whose seven digits the squares of the mean use up. Variances are off by a tenth
#   where the mean is 300 deviations; from some 1,000 on the mixture raises "ill-defined empirical covariance", which
#   advises fewer components, and PCA finds directions of noise in silence. float64 or svd_solver="full" is right.
# Versions: scikit-learn 1.9.1, numpy 2.4.6.
# Why it matters here: densities are fitted on what networks give, which is float32 and seldom centred. The anomaly score
#   of a one-class model rests on these variances.
# What the product does: `edge_sdk/export/networks/gaussian_mixture.py` fits in float64, and every principal component is
#   taken with svd_solver="full" (`networks/projection.py`, `evaluation/spoof/projection.py`). Tests: mixture and
#   components of float32 features far from 0 against numpy's own in float64.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cd "$folder"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir numpy==2.4.6 scikit-learn==1.9.1
echo "guess: variances and components of float32 features are those of the same numbers in float64"
OMP_NUM_THREADS=1 venv/bin/python - <<'PYTHON'
import sys

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

rng = np.random.default_rng(0)
shape = rng.normal(size=(2000, 8)) * np.linspace(0.5, 1.5, 8)
print(f"scikit-learn {sklearn.__version__}: 8 features of deviation 0.5 to 1.5, 2,000 rows of float32")
print("  mean   largest error of a mixture's variance   |cosine| of the first component with float64's")
found = {}
for mean in (0, 30, 300, 1000):
    features = (shape + mean).astype(np.float32)
    exact = features.astype(np.float64)
    try:
        fitted = GaussianMixture(1, covariance_type="diag", random_state=0).fit(features).covariances_[0]
        error = float(np.abs(fitted / exact.var(axis=0) - 1).max())
    except ValueError as problem:
        error = np.inf
        advice = str(problem)[:120]
    first, right = (PCA(1).fit(rows).components_[0] for rows in (features, exact))
    full = PCA(1, svd_solver="full").fit(features).components_[0]
    cosine, with_full = abs(float(first @ right)), abs(float(full @ right))
    found[mean] = error, cosine, with_full
    print(f"  {mean:4d}   {error:37.3g}   {cosine:.4f} (svd_solver='full': {with_full:.4f})")
print(f"  the error: {advice}")
good = (
    found[0][0] < 1e-4
    and found[0][1] > 0.9999
    and 0.03 < found[300][0]
    and np.isinf(found[1000][0])
    and found[1000][1] < 0.9
    and all(full > 0.9999 for _, _, full in found.values())
)
print("as described" if good else "the behaviour has changed")
sys.exit(not good)
PYTHON
