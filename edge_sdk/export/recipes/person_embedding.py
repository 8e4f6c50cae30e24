"""Person verification on CFP (document 004), Arch 2: unit embeddings by the cosine embedding loss.

Its presets are the rows of the document's tables; see :mod:`edge_sdk.export.recipes.person_verification`.
"""

from __future__ import annotations

from edge_sdk.export.networks.siamese import EmbeddingNetwork
from edge_sdk.export.recipes import Recipe
from edge_sdk.export.recipes.person_verification import NARROW, presets
from edge_sdk.manifest import EmbeddingDistance


def tiny(**options: object) -> EmbeddingNetwork:
    """The same layers with a few channels each."""
    return EmbeddingNetwork(**options, width=NARROW)  # type: ignore[arg-type]


RECIPE = Recipe(
    name="person_embedding",
    task="verify",
    modality="face",
    network=EmbeddingNetwork,
    tiny=tiny,
    embedding_size=4096,  # of VGG16; 1,000 of the other bodies
    score=EmbeddingDistance(output="embedding", metric="cosine"),
    presets=presets("cosine"),
)
