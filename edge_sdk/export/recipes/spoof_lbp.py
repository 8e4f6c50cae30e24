"""A weighted sum of the frequencies of local binary patterns: live faces against prints.

A pattern says which of eight pixels round another are darker than it; so it stays as it is whatever the light and the
tone curve do. That histograms of them tell faces from photographs of faces was found by Määttä, Hadid and Pietikäinen
(2011, "Face Spoofing Detection From Single Images Using Micro-Texture Analysis"); uniform patterns are from Ojala,
Pietikäinen and Mäenpää (2002, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with Local
Binary Patterns"). Here patterns are counted over the whole face, for where a print has lost its detail is chance;
neighbours are whole pixels and not points on a circle, so that comparisons are exact on any engine; and the decision is
linear, and not a support vector machine's: 117 numbers are learned, too few to learn a day's light.

`best` learns all attacks that it is given; `recorded` only those that were before a camera: rendered ones teach
little of these, and ``spoof_lite``'s preset `rendered` is an expert of them. Fused by ``--fusion lowest``, a picture
is as live as the lower of the two scores. What they reach is in ``docs/results/liveness.md``.

`varied` is `recorded` with a weaker penalty, for live faces that were rendered before cameras of many kinds, too. Told
from those, a print is told less by its camera.

On a device all is three convolutions, exact in float32, and in int8 but for the weights of the sum: 17.2 million
multiply-adds a frame. Either preset takes a minute of a core.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from edge_sdk.export.data.sampling import Origin
from edge_sdk.export.losses.classification import AttackClassification
from edge_sdk.export.networks.classifier import LOGIT, BinaryClassifier
from edge_sdk.export.networks.patterns import Patterns, uniform_patterns
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import DecisionHead
from edge_sdk.preprocess import FACE

RADII = (2, 3)
"""How far the neighbours are, in pixels of a picture of half the size; those next to a pixel say more of the camera."""


class SpoofLbp(BinaryClassifier):
    """Faces ``(N, 1, 128, 128)`` in [0, 1] to the logit of "live" ``(N, 1)``, a sum of standardised shares."""

    def __init__(self) -> None:
        count = len(RADII) * len(uniform_patterns())
        # By the mean of all batches: shares are so small that what a moving one begins with would long be seen.
        standard = nn.BatchNorm1d(count, affine=False, momentum=None, eps=1e-9)
        patterns = Patterns(RADII, halved=True)
        super().__init__(nn.Sequential(patterns, nn.AdaptiveAvgPool2d(1), nn.Flatten(), standard), count, dropout=0.0)

    @torch.no_grad()
    def inference_model(self, outputs: Sequence[str]) -> nn.Module:
        """A copy that adds up the patterns' weights pixel by pixel, so that nothing as small as a share is rounded."""
        del outputs  # the logit, and the look where there is one
        twin = copy.deepcopy(self)
        patterns, *_, standard = twin.features.children()
        linear = twin.classifier[1]
        assert isinstance(standard, nn.BatchNorm1d)
        assert isinstance(linear, nn.Linear)
        twin.features = patterns
        twin.classifier = _by_pixel(standard, linear)
        if isinstance(twin.look, nn.Linear):
            twin.look = _by_pixel(standard, twin.look)
        return twin.train(self.training)


def _by_pixel(standard: nn.BatchNorm1d, linear: nn.Linear) -> nn.Sequential:
    """Of maps ``(N, C, H, W)`` what ``linear`` makes of their standardised means, added up before the mean is taken."""
    assert standard.running_mean is not None
    assert standard.running_var is not None
    weights = linear.weight / (standard.running_var + standard.eps).sqrt()
    largest = weights.abs().amax(1).clamp(min=torch.finfo(weights.dtype).tiny)
    count = len(weights)
    weigh, total = nn.Conv2d(weights.shape[1], count, 1, bias=False), nn.Linear(count, count)
    weigh.weight.copy_((weights / largest[:, None])[:, :, None, None])
    total.weight.copy_(largest.diag())
    total.bias.copy_(linear.bias - weights @ standard.running_mean)
    return nn.Sequential(weigh, nn.AdaptiveAvgPool2d(1), nn.Flatten(), total)


def _preset(attacks: Origin | None = None, penalty: float = 0.05) -> Preset:
    # Pictures as they are: noise and blur would change which patterns they have, and light changes none.
    return Preset(
        preprocessing=FACE,
        objective=AttackClassification(images=64, attacks=attacks),
        steps=1000,
        learning_rate=5e-3,
        optimizer="adam",
        penalty={"classifier.1.weight": penalty},
        schedule="one_cycle",
        average=0.99,
        keep="last",
        validate_every=250,
        precision="32-true",
    )


RECIPE = Recipe(
    name="spoof_lbp",
    task="spoof",
    modality="face",
    network=SpoofLbp,
    tiny=SpoofLbp,
    score=DecisionHead(output=LOGIT, activation="sigmoid"),
    presets={"best": _preset(), "recorded": _preset("recorded"), "varied": _preset("recorded", 0.002)},
)
