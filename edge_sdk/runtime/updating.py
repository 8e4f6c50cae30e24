"""When a further sample of a person may join their template: the rule against drift.

A template that takes whatever it accepts learns the forger who is accepted once (self-update, and what it is worth:
Roli, Didaci and Marcialis 2008, Adaptive biometric systems that can improve with use). So

- the template as it is must accept the sample at a stricter threshold than a decision asks for,
- the enrolment alone must accept it, too, at the threshold of a decision,
- the rows of the enrolment are never replaced (:meth:`edge_sdk.runtime.template.Template.updated`).

``benchmarks/template_updates.py`` measures what is gained and how far a forger gets, with the rule and without it
(docs/results/signatures.md). What no rule prevents: a forgery that is accepted surely enough counts as genuine.
"""

from __future__ import annotations

from edge_sdk.errors import OperatingPointError
from edge_sdk.manifest import Variant, VerifyPoint
from edge_sdk.runtime.operating_point import ActiveThreshold, point_for

FMR = 0.05
"""The false match rate at whose threshold a sample may join, or the next lower one that was measured.

Chosen by cross-validation over the signature bundles' training writers, of 0.1, 0.05 and 0.01: the highest with which
somebody who presents nothing but skilled forgeries, again and again, raises the EER by about one point; with the
networks that ship by up to 1.7 (docs/results/signatures.md).
"""


def joining_threshold(variant: Variant, deciding: ActiveThreshold, references: int) -> ActiveThreshold:
    """The threshold for a sample to join a template of so many references: never below the one that decides.

    Raises:
        OperatingPointError: The variant has no threshold for a false match rate of :data:`FMR` or less.
    """
    measured = [
        point
        for point in variant.operating_points
        if isinstance(point, VerifyPoint) and point.target is not None and point.target <= FMR
    ]
    if not measured:
        raise OperatingPointError(
            f"{variant.id} has no threshold for a false match rate of {FMR:g} or less, which updating a template "
            "needs: enroll again instead"
        )
    name = max(measured, key=lambda one: one.target or 0).name
    alike = sorted((one for one in measured if one.name == name), key=lambda one: one.references)
    point = point_for(alike, references)
    return max(deciding, ActiveThreshold(point.name, point.threshold, point.references), key=lambda one: one.value)
