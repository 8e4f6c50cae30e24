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
- Recordings of one day say little of another: shoes, clothes and mood change how people walk. Other days, pockets and
  phones than those of the data are not measured. Measure on your own data (`edge-sdk evaluate`) before use.
- Thresholds hold for enrolments and tests of at least as many cycles as the operating points were measured with.
"""
HEIGHT, WIDTH = 120, 480
COLORS = ((180, 90, 20), (40, 120, 40), (40, 40, 200), (0, 0, 0))


def chart(sample: Recording | NDArray[np.float32]) -> Image:
    """The channels over time as a picture, ``uint8 (120, 480, 3)`` BGR: blue, green, red, and black for a fourth one.

    Args:
        sample: A recording; even rows ``(T, C)``; or gait cycles ``(N, C, T)``, which lie over one another.
    """
    if isinstance(sample, Recording):
        channels, times = sample.values.T[np.newaxis], sample.times_ms - sample.times_ms.min()
    else:
        channels = sample if sample.ndim == 3 else sample.T[np.newaxis]
        times = np.arange(channels.shape[2], dtype=np.float64)
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    columns = times / max(float(times.max()), 1.0) * (WIDTH - 1)
    low, high = float(channels.min(initial=np.inf)), float(channels.max(initial=-np.inf))
    for curves in channels:
        for channel, values in enumerate(curves):
            rows = (high - values) / max(high - low, 1e-6) * (HEIGHT - 1)
            points = np.rint(np.stack([columns, rows], axis=1)).astype(np.int32)[:, None]
            cv2.polylines(picture, [points], isClosed=False, color=COLORS[channel % len(COLORS)], thickness=1)
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
