"""Samples that are unlike those that a bundle was made with have a flag that forbids nothing."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import msgspec
import numpy as np
import pytest

from edge_sdk import modalities
from edge_sdk.bundle import Bundle
from edge_sdk.calibration.familiarity import fit
from edge_sdk.errors import BundleError
from edge_sdk.manifest import Familiarity, Image
from edge_sdk.preprocess import INK
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.runtime import Verifier

Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def familiarity(signer: Signer) -> Familiarity:
    """Of made-up signatures, some with a dot."""
    modality = modalities.get("signature")
    values = []
    for seed in range(60):
        picture = cv2.circle(signer(seed), (300, 40), 3, 40, -1) if seed % 3 else signer(seed)
        values.append(modality.measure(modality.prepare(INK, picture, Image(region=InkRegion()))))
    return fit(modality.measures, np.array(values), [str(seed) for seed in range(60)], data="made up")


def test_a_thick_pen_is_flagged_and_decided_as_before(
    make_bundle: Maker, tiny_bundle: Bundle, familiarity: Familiarity, signer: Signer
) -> None:
    thick = cv2.erode(signer(1), np.ones((25, 25), np.uint8))
    with Verifier(make_bundle(familiarity=familiarity)) as verifier, Verifier(tiny_bundle) as before:
        known = verifier.verify(signer(1), signer(1))
        strange = verifier.verify(signer(1), thick)
        assert (known.quality, strange.quality) == ((), ("unfamiliar",))
        assert strange.score == before.verify(signer(1), thick).score
        assert verifier.verify(thick, thick).decision
        assert verifier.enroll(thick).count == 1
        assert verifier.identify(thick, {"anna": verifier.enroll(signer(1))}).quality == ("unfamiliar",)
        assert before.verify(signer(1), thick).quality == ()


def test_what_blocks_is_not_called_unfamiliar(make_bundle: Maker, familiarity: Familiarity, signer: Signer) -> None:
    with Verifier(make_bundle(familiarity=familiarity)) as verifier:
        assert "unfamiliar" not in verifier.verify(signer(1), np.full((380, 600), 255, np.uint8)).quality


def test_measures_that_are_not_taken_are_refused_when_a_bundle_is_opened(
    make_bundle: Maker, familiarity: Familiarity
) -> None:
    names = ("stroke_length", *familiarity.measures[1:])
    other = make_bundle(familiarity=msgspec.structs.replace(familiarity, measures=names))
    with pytest.raises(BundleError, match=r"tells unfamiliar samples by stroke_length, .*: export the bundle again"):
        Verifier(other)
