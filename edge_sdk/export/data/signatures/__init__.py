"""Data sets of signatures: scans, photographs that are rendered of them, and synthetic writers."""

from __future__ import annotations

from edge_sdk.export.data.modality_data import GeneratedSource, Licence, ModalityData, Rendering
from edge_sdk.export.data.signatures import photographs, synthetic
from edge_sdk.export.data.signatures.layouts import SOURCES
from edge_sdk.opencv import cv2
from edge_sdk.preprocess.step import as_image

GOLDEN_WRITER = 2004

LIMITS = """\
- Offline signatures only: pictures of finished signatures in dark ink on lighter, unruled paper, one per picture.
- The numbers hold for people, pens and scanners like those of the data above. Expect more errors on other scripts,
  on photographs, and from forgers with more practice; measure on your own data (`edge-sdk evaluate`) before use.
- Thresholds were fitted on few people; their intervals say how few. A decision about a person's rights or money
  needs a human examiner.
"""


def golden_pair() -> dict[str, bytes]:
    """Two genuine signatures of a synthetic writer as PNG files, by name: ``reference`` and ``query``."""
    writer = synthetic.SyntheticWriter(GOLDEN_WRITER)
    return {
        f"{name}.png": cv2.imencode(".png", writer.genuine(repetition))[1].tobytes()
        for repetition, name in enumerate(("reference", "query"))
    }


DATA = ModalityData(
    modality="signature",
    sources={
        **SOURCES,
        "synthetic": GeneratedSource(
            make=synthetic.render,
            argument="N[@SEED]",
            description="N synthetic writers, drawn once into the user's cache folder",
            licence=Licence(commercial_use=True, statement="rendered by edge-sdk, free to use"),
        ),
    },
    impostors=("skilled", "random"),
    golden={"verify": golden_pair},
    limits={"verify": LIMITS},
    view=as_image,
    renderings={
        "photo": Rendering(photographs.photographed_entries, "photographs of these signatures on paper"),
    },
)
