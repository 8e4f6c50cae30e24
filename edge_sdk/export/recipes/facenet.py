"""FaceNet: NN2 (essay, table 2) or Inception-ResNet-V2 (section 11.1), unit embeddings by triplet loss."""

from __future__ import annotations

from edge_sdk import preprocess
from edge_sdk.export.data.faces.augmentation import Chance
from edge_sdk.export.data.faces.placement import FacePlacement
from edge_sdk.export.losses.triplet import Triplets
from edge_sdk.export.networks.inception import EMBEDDING, MOMENTUM, NN2
from edge_sdk.export.networks.inception_resnet import InceptionResNetV2
from edge_sdk.export.recipes import Preset, Recipe
from edge_sdk.manifest import EmbeddingDistance


def pipeline(side: int) -> tuple[preprocess.Operation, ...]:
    """A crop of a face in RGB, ``side`` x ``side``; a gray one has three equal channels."""
    return (
        preprocess.CropSquare(),
        preprocess.ToColor(order="rgb"),
        preprocess.Fit(height=side, width=side, stretch=1.0),
    )


def network(*, resnet: bool = False, width: float = 1.0, momentum: float = MOMENTUM) -> NN2 | InceptionResNetV2:
    """NN2, or Inception-ResNet-V2 instead.

    Args:
        resnet: Which.
        width: Share of the channels.
        momentum: Of the batch norms' statistics, as PyTorch counts.
    """
    build = InceptionResNetV2 if resnet else NN2
    return build(width=width, momentum=momentum)


def tiny(*, resnet: bool = False, momentum: float = 0.1) -> NN2 | InceptionResNetV2:
    """About 25,000 parameters; of the residual blocks one, two and one. Its statistics follow within a few steps."""
    if resnet:
        return InceptionResNetV2(width=0.03, depth=0.1, momentum=momentum)
    return NN2(width=0.05, momentum=momentum)


PLACEMENT = FacePlacement(
    flip=0.5, rotation=Chance(0.5, 8.0), translation=Chance(0.5, 0.05), zoom=Chance(0.5, 0.1), gray=0.2
)

RECIPE = Recipe(
    name="facenet",
    task="verify",
    modality="face",
    network=network,
    tiny=tiny,
    embedding_size=EMBEDDING,
    # Squared distances are what is trained on; their threshold is the square of one on distances.
    score=EmbeddingDistance(output="embedding", metric="euclidean", references="mean_score"),
    presets={
        # Section 4, and FaceNet's margin and batches of 1,800, of which about 40 are of one person. A rate of 1e-5 is
        # for a loss that is summed. The essay gives no number of steps; FaceNet trained for 1,000 to 2,000 hours.
        "paper": Preset(
            preprocessing=pipeline(224),
            objective=Triplets(people=45, images=40, margin=0.2),
            steps=100_000,
            learning_rate=1e-5,
            decay=1e-6,
            optimizer="nesterov",
            validate_every=1000,
        ),
        # What two cores can train in a few hours: a fifth of the paper's pixels, at which the crops of LFW and CFP lose
        # little; a batch of 160, and a rate to match it.
        "best": Preset(
            preprocessing=pipeline(96),
            objective=Triplets(people=20, images=6, strangers=40, margin=0.2, reduction="mean"),
            steps=2000,
            learning_rate=1e-3,
            network={"momentum": 0.1},
            augmentation=PLACEMENT,
            weight_decay=0.02,
            schedule="one_cycle",
            average=0.99,
            keep="last",
            validate_every=100,
        ),
        # Section 11.1's body with the same settings; at 139 pixels it takes 2.26 G multiply-adds.
        "resnet": Preset(
            preprocessing=pipeline(139),
            objective=Triplets(people=45, images=40, margin=0.2),
            steps=100_000,
            learning_rate=1e-5,
            decay=1e-6,
            network={"resnet": True},
            optimizer="nesterov",
            validate_every=1000,
        ),
    },
)
