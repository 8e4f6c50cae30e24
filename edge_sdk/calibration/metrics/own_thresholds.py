"""Error rates with a threshold of each person's own, beside those with one threshold for all (numpy only).

A person's EER is that of all comparisons with the person's references, whatever enrolment they are of: one threshold a
person. What is reported is the mean over people, each counting alike; its interval is a percentile bootstrap over
people. Such a threshold is set on the very scores that it is measured on, forgeries among them, which no device has:
the mean says how well scores are ordered within a person, and is no rate that can be had.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.calibration.metrics import resampling
from edge_sdk.calibration.metrics.resampling import Interval
from edge_sdk.calibration.metrics.verification import Floats, ScoreSet
from edge_sdk.errors import ScoreError


def subject_eers(scores: ScoreSet) -> Floats:
    """(S,) the EER of each subject, in sorted order; NaN of one without mated or without impostor comparisons."""
    people, person = np.unique(scores.subjects, return_inverse=True)
    found = np.full(people.size, np.nan)
    for number in range(people.size):
        own = person == number
        mated = scores.mated[own]
        if mated.any() and not mated.all():
            found[number] = ScoreSet(scores.scores[own], mated, scores.subjects[own]).curves().eer()
    return found


def mean_subject_eer(scores: ScoreSet, replicates: int = 1000, seed: int = 0) -> Interval:
    """The mean of `subject_eers` with its 95 % interval over people.

    People without both kinds of comparison are left out. Raises ScoreError if fewer than 2 are left.
    """
    return _mean(subject_eers(scores), replicates, seed)


def mean_subject_eer_difference(
    scores: ScoreSet, baseline: ScoreSet, replicates: int = 1000, seed: int = 0
) -> Interval:
    """`mean_subject_eer` of `scores` minus that of `baseline`, two scores of the same comparisons in the same order.

    Raises ScoreError if the comparisons differ, or fewer than 2 people have both kinds of them.
    """
    resampling.require_same(scores, baseline)
    return _mean(subject_eers(scores) - subject_eers(baseline), replicates, seed)


def _mean(by_person: Floats, replicates: int, seed: int) -> Interval:
    kept = by_person[np.isfinite(by_person)]
    if kept.size < 2:
        raise ScoreError(f"a mean over people needs at least 2 with both kinds of comparison, got {kept.size}")
    drawn = resampling.draw_subjects(kept.size, replicates, seed)
    return resampling.interval(float(kept.mean()), drawn @ kept / kept.size)
