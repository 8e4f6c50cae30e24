"""Data sets of faces: live ones, presentation attacks, and attacks that are rendered of live faces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edge_sdk.export.data.cache import Count
from edge_sdk.export.data.faces import aligned, crops, films, frames, golden, recapture
from edge_sdk.export.data.faces.layouts import SOURCES
from edge_sdk.export.data.faces.pair_lists import PAIRS
from edge_sdk.export.data.layouts import Entry
from edge_sdk.export.data.modality_data import Crop, ModalityData, Rendering
from edge_sdk.preprocess.step import as_image

SPOOF_LIMITS = """\
- Gray crops of one face each, cut out as the manifest says. It does not say who somebody is.
- Attacks of the kinds above only. Others (masks, other screens and papers, a picture fed in behind the camera) may
  pass, and so may better ones of the same kind. Attacks that were rendered stand for nobody's real ones.
- The numbers hold for people, cameras and light like those of the data above; measure on your own (`edge-sdk
  evaluate`) before use. Thresholds were fitted on few people; their intervals say how few.
- One part of a system's defence, which must not be its only one.
"""
VERIFY_LIMITS = """\
- Crops of one face each, cut out as the manifest says. It does not say whether a face is live: a picture of somebody
  passes as well as the person.
- Impostors were strangers, drawn at random; relatives and look-alikes are accepted more often.
- The numbers hold for people, cameras and light like those of the data above; measure on your own (`edge-sdk
  evaluate`) before use. Thresholds were fitted on few people; their intervals say how few.
"""
LOCATE_LIMITS = """\
- Finds faces of people looking roughly towards the camera or to a side, upright, one at least a fifth as large as the
  frame's shorter side. It does not say whose they are, nor whether they are live: it finds faces on prints, screens and
  statues, too.
- The numbers hold for pictures like those of the data above; measure on your own before use. Points of a face that is
  turned away lie where they would be seen through the head.
"""


def _recaptured(name: str, entries: Sequence[Entry], progress: Count) -> list[Entry]:
    return recapture.recaptured(entries, name, progress)


DATA = ModalityData(
    modality="face",
    sources=SOURCES,
    impostors=("random",),
    golden={"spoof": golden.pngs, "verify": golden.pair, "locate": golden.frames},
    limits={"spoof": SPOOF_LIMITS, "verify": VERIFY_LIMITS, "locate": LOCATE_LIMITS},
    view=as_image,
    renderings={
        name: Rendering(partial(_recaptured, name), description)
        for name, description in (
            ("print", "attacks: the live faces printed, before a camera"),
            ("screen", "attacks: the live faces on a screen, before a camera"),
            ("camera", "the live faces themselves before the same camera"),
            ("varied-print", "attacks: pictures of the live faces printed, before cameras of six kinds"),
            ("varied-screen", "attacks: pictures of the live faces on a screen, before cameras of six kinds"),
            ("varied-camera", "pictures of the live faces, themselves live, before cameras of six kinds"),
        )
    }
    | {
        frames.NAME: Rendering(frames.framed, "frames of a camera, most with one of these faces somewhere in them"),
        films.NAME: Rendering(
            films.filmed, "recordings of each person: live, and of a print and a screen; whole frames"
        ),
    },
    pairs=PAIRS,
    crops={
        "crop": Crop(crops.cropped, "the faces cut out as a device does it"),
        "align": Crop(aligned.aligned, "the faces located and aligned as a device does it"),
    },
)
