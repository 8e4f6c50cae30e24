"""Numbers that decide stand in Python and in the device library: each is the same in both."""

from __future__ import annotations

import re

import pytest

from edge_sdk import quality
from edge_sdk.bundle import archive, reader, signing, trust
from edge_sdk.images import budget, jpeg_data
from edge_sdk.preprocess import align
from edge_sdk.preprocess.region import InkRegion
from edge_sdk.runtime import binding, detector, face_quality, frames, locator, one_face, template, template_layouts
from edge_sdk.scoring import background, face_boxes, person_model

from ..paths import ROOT

SOURCES = ROOT / "native" / "src"

SAME = {
    "archive.cpp": {"MOST_MEMBERS": archive.MAX_MEMBERS, "MOST_DIRECTORY_BYTES": archive.MAX_DIRECTORY_BYTES},
    "bundle.cpp": {"MOST_MANIFEST_BYTES": reader.MAX_MANIFEST_BYTES},
    "comparison.hpp": {"MOST_ENROLLED": template.MOST_ENROLLED},
    "edge_sdk.cpp": {"MOST_KEYS": trust.MAX_KEYS},
    "faces.cpp": {
        "MOST_CELLS": face_boxes.MOST,
        "NESTED": locator.NESTED,
        "FARTHEST": align._FARTHEST,
        "LEAST_FIT": align.LEAST_FIT,
        "FINEST": align._FINEST,
        **{
            name: getattr(frames, name)
            for name in ("MIN_SIDE", "MIN_BRIGHT", "MIN_RANGE", "SATURATED", "MAX_SATURATED", "TAIL")
        },
        **{
            name: getattr(face_quality, name)
            for name in ("MAX_YAW", "MIN_PITCH", "MIDDLE_PITCH", "MAX_PITCH", "MAX_ROLL")
        },
        "EYES": (face_quality.EYES.block, face_quality.EYES.enroll),
        "SHARPNESS": (face_quality.SHARPNESS.block, face_quality.SHARPNESS.enroll),
    },
    "image_files.hpp": {"MOST_PIXELS": budget.MAX_PIXELS, "MOST_SIDE": budget.MAX_SIDE},
    "images.cpp": {"MOST_FILE_BYTES": budget.MAX_FILE_BYTES},
    "jpeg.cpp": {"SPARE": jpeg_data.SPARE},
    "person_model.cpp": {
        **{name: getattr(person_model, name) for name in ("SHAPE", "STRANGER", "REPEATED", "LIMIT")},
        "LEAST": person_model._LEAST,
        "LONGEST": background.LONGEST,
        "MOST_BYTES": background.MAX_BYTES,
    },
    "region.cpp": {
        **{
            name: getattr(InkRegion, name)
            for name in (
                *("DUST", "NEAR", "RUN", "TILT", "LINE", "THIN", "THICK", "BROAD", "HOLE", "FRAME", "DARK"),
                *("PIECES", "FLAT", "APART", "FREE", "TALL", "SPARSE"),
            )
        },
        "INK_FLOOR": InkRegion.INK.floor,
    },
    "region.hpp": {"SMALL_PICTURE": InkRegion.SMALL},
    "session.cpp": {
        "CLEARLY": one_face.CLEARLY,
        "AS_CASCADE": detector.AS_CASCADE,
        "UNIT": binding._UNIT,
        "SMALLEST": locator.SMALLEST,
    },
    "signature.cpp": {
        "SIDE": quality.SIDE,
        "LEAST_INK": quality.MIN_INK,
        "LEAST_SIDE": quality.MIN_SIDE,
        "LEAST_INK_SIDE": quality.MIN_INK_SIDE,
        "BORDER": quality.BORDER,
        "MOST_COVERAGE": quality.MAX_COVERAGE,
        "LEAST_THICK": quality.MIN_THICK,
    },
    "signing.cpp": {"MOST_SIGNATURES": signing.MAX_SIGNATURES},
    "signing.hpp": {"MOST_SIGNATURE_BYTES": signing.MAX_SIGNATURE_BYTES},
    "template.cpp": {"FULL": template.FULL},
    "template_layouts.cpp": {
        "CHECKSUM": template_layouts._CHECKSUM,
        "LENGTH": template_layouts._LENGTH,
        "NONCE": template_layouts._NONCE,
        "TAG": template_layouts._TAG,
    },
    "template_layouts.hpp": {"MOST_TEMPLATE_BYTES": template.MAX_BYTES},
}

_ONE = re.compile(r"\b([A-Z_]{3,})\s*=\s*(\{[^}]*\}|[^,;{]*(?:\{\d+\}[^,;]*)?)")


def constants(file: str) -> dict[str, object]:
    """The numbers of a source's ``constexpr`` lines, by name."""
    found = {}
    for line in (SOURCES / file).read_text().splitlines():
        if line.startswith("constexpr "):
            for name, text in _ONE.findall(line.split("//")[0]):
                python = (
                    re.sub(r"std::size_t\{(\d+)\}", r"\1", text.replace("'", "")).replace("{", "(").replace("}", ")")
                )
                if re.fullmatch(r"[\d\s.,e()<*/+-]+", python):
                    found[name] = eval(python)  # digits and operators alone
    return found


@pytest.mark.parametrize("file", SAME)
def test_a_constant_is_the_same_in_both(file: str) -> None:
    found = constants(file)
    assert {name: found.get(name) for name in SAME[file]} == SAME[file]
