"""The scores that a manifest may name. To add one: its file in :mod:`edge_sdk.scoring`, and a line here."""

from __future__ import annotations

from edge_sdk.scoring.embedding import EmbeddingDistance
from edge_sdk.scoring.face_boxes import FaceBoxes
from edge_sdk.scoring.fusion import Fusion, Lowest, Single
from edge_sdk.scoring.likelihood import LogLikelihoodRatio
from edge_sdk.scoring.person_model import PersonModel

AnyScore = EmbeddingDistance | PersonModel | LogLikelihoodRatio | Single | Fusion | Lowest | FaceBoxes
