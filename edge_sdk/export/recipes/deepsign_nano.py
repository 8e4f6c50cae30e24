"""DeepSign at 0.44 of its channels, for the smallest devices: embeddings of the same size from 58,148 parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from edge_sdk.export.recipes import deepsign

RECIPE = replace(
    deepsign.RECIPE,
    name="deepsign_nano",
    network=partial(deepsign.DeepSign, width=0.44),
    # Fewer weights need fewer steps: ten minutes of one core with AMX.
    presets={"best": replace(deepsign.RECIPE.preset("best"), steps=600)},
)
