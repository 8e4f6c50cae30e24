"""GANomaly for a car's computer: table 3.4's layers, so narrow that a device's part is below 1 MB as int8.

Encoder and decoder, all that a device computes, have 907,729 parameters and take 55.8 million multiply-adds a frame.
The thesis left its student undone (section 1), so these widths are ours.

The table doubles the channels whenever it halves the picture: all layers take as long, and the deep ones hold nearly
all weights. A uniform share of the table with as many weights takes 35 million multiply-adds. Here the deep layers are
narrower than that and the shallow ones, which see texture, twice as wide; multiples of 16 suit integer kernels.

`best` takes 13 minutes of a core with a teacher and 11 alone. What it reaches on faces, which is little, is in
``docs/results/liveness.md``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from edge_sdk.export.recipes import ganomaly

CHANNELS = (16, 32, 64, 96, 128)
LATENT_SIZE = 48

network = partial(ganomaly.GANomaly, channels=CHANNELS, latent_size=LATENT_SIZE)


def tiny() -> ganomaly.GANomaly:
    """About 29,000 parameters."""
    return network(width=1 / 8)


RECIPE = replace(
    ganomaly.RECIPE,
    name="ganomaly_lite",
    network=network,
    tiny=tiny,
    # The settings of ganomaly's own best; two thirds of its steps. Not tuned yet.
    presets={"best": replace(ganomaly.RECIPE.preset("best"), network={}, steps=800)},
)
