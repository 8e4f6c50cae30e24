"""The manifest: what a bundle holds, and how an application turns its outputs into a decision.

``manifest.json`` is strict JSON of the structs below. Unknown keys, unknown kinds and combinations that make no sense
are refused with :class:`~edge_sdk.errors.ManifestError`; a newer ``schema_version`` with
:class:`~edge_sdk.errors.SchemaVersionError`; older ones migrate step by step through pure functions.
Scores are always oriented *higher = more genuine*, and a sample is accepted iff ``score >= threshold``.

Constructors check values and cross-references; :func:`encode` and :func:`decode` also check every type, because
msgspec does so only when it decodes.
"""

from __future__ import annotations

from edge_sdk.manifest.cameras import CameraSeparation
from edge_sdk.manifest.familiarity import UNFAMILIAR, Familiarity
from edge_sdk.manifest.files import DIGEST_PATH, MANIFEST_PATH, MAX_FILE_BYTES, SIGNATURE_PATH, FileEntry, check_path
from edge_sdk.manifest.graphs import Graph, GraphInterface, Output
from edge_sdk.manifest.inputs import SAMPLE, Image, Input, SensorStream, Source
from edge_sdk.manifest.migrations import MIGRATIONS, SCHEMA_VERSION
from edge_sdk.manifest.model import Manifest, decode, embedding_space_id, encode
from edge_sdk.manifest.operating_points import (
    BonaFidePoint,
    LocatePoint,
    OperatingPoint,
    Rate,
    SpoofPoint,
    UnsupportedPoint,
    VerifyPoint,
)
from edge_sdk.manifest.over_time import DecisionOverTime, KOfNRule, RuleProvenance, SequentialRule
from edge_sdk.manifest.provenance import DataLicense, Golden, ThresholdProvenance, TrainingProvenance
from edge_sdk.manifest.scores import AnyScore
from edge_sdk.manifest.variants import AccuracyDifference, CalibrationProvenance, Format, Precision, Variant
from edge_sdk.schema import Dimension
from edge_sdk.scoring.base import Role, Score, Task
from edge_sdk.scoring.decision_head import DecisionHead
from edge_sdk.scoring.embedding import EmbeddingDistance
from edge_sdk.scoring.face_boxes import FaceBoxes, FaceLevel
from edge_sdk.scoring.fusion import Domain, Fusion, Lowest
from edge_sdk.scoring.latent import LatentDistance, LatentLikelihood
from edge_sdk.scoring.likelihood import LogLikelihoodRatio
from edge_sdk.scoring.person_model import PersonModel
from edge_sdk.scoring.reconstruction import Reconstruction
from edge_sdk.scoring.variational import EvidenceLowerBound, KlDivergence

__all__ = [
    "DIGEST_PATH", "MANIFEST_PATH", "MAX_FILE_BYTES", "MIGRATIONS", "SAMPLE", "SCHEMA_VERSION", "SIGNATURE_PATH",
    "UNFAMILIAR", "AccuracyDifference", "AnyScore", "BonaFidePoint", "CalibrationProvenance", "CameraSeparation",
    "DataLicense", "DecisionHead", "DecisionOverTime", "Dimension", "Domain", "EmbeddingDistance", "EvidenceLowerBound",
    "FaceBoxes", "FaceLevel", "Familiarity", "FileEntry", "Format", "Fusion", "Golden", "Graph", "GraphInterface",
    "Image", "Input", "KOfNRule", "KlDivergence", "LatentDistance", "LatentLikelihood", "LocatePoint",
    "LogLikelihoodRatio", "Lowest", "Manifest", "OperatingPoint", "Output", "PersonModel", "Precision", "Rate",
    "Reconstruction", "Role", "RuleProvenance", "Score", "SensorStream", "SequentialRule", "Source", "SpoofPoint",
    "Task", "ThresholdProvenance", "TrainingProvenance", "UnsupportedPoint", "Variant", "VerifyPoint", "check_path",
    "decode", "embedding_space_id", "encode",
]  # fmt: skip
