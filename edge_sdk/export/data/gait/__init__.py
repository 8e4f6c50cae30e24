"""Data sets of gait: recordings of an accelerometer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_sdk.export.data.gait import synthetic
from edge_sdk.export.data.gait.golden import golden_pair
from edge_sdk.export.data.gait.layouts import SOURCES
from edge_sdk.export.data.modality_data import GeneratedSource, Licence, ModalityData
from edge_sdk.opencv import cv2
from edge_sdk.preprocess import Image
from edge_sdk.sensors import Recording

LIMITS = """\
- Recordings of an accelerometer that is carried as in the data above, of people who walk on even ground.
- Impostors were strangers who walked as themselves; nobody tried to imitate another's gait.
- Recordings of one day say little of another: shoes, clothes and mood change how people walk. Measure on your own data
  (`edge-sdk evaluate`) before use.
"""
HEIGHT, WIDTH = 120, 480


def chart(sample: Recording | NDArray[np.float32]) -> Image:
    """The channels over time as a picture, ``uint8 (120, 480, 3)`` BGR; rows ``(T, C)`` without times are even."""
    recording = sample if isinstance(sample, Recording) else Recording(sample, np.arange(len(sample), dtype=np.float64))
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    seconds = recording.times_ms - recording.times_ms.min()
    columns = seconds / max(float(seconds.max()), 1.0) * (WIDTH - 1)
    low, high = float(recording.values.min()), float(recording.values.max())
    colors = ((180, 90, 20), (40, 120, 40), (40, 40, 200))
    for channel, values in enumerate(recording.values.T):
        rows = (high - values) / max(high - low, 1e-6) * (HEIGHT - 1)
        points = np.rint(np.stack([columns, rows], axis=1)).astype(np.int32)[:, None]
        cv2.polylines(picture, [points], isClosed=False, color=colors[channel % len(colors)], thickness=1)
    return picture


DATA = ModalityData(
    modality="gait",
    sources={
        **SOURCES,
        "walks": GeneratedSource(
            make=synthetic.render,
            argument="N[@SEED]",
            description="N synthetic walkers, written once into the user's cache folder",
            licence=Licence(commercial_use=True, statement="made by edge-sdk, free to use"),
        ),
    },
    impostors=("random",),
    golden={"verify": golden_pair},
    limits={"verify": LIMITS},
    view=chart,
)
