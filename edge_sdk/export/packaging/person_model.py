"""A bundle of embeddings that compares them by a model of each person, made of a bundle that compares distances."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from edge_sdk.bundle import Bundle, BundleWriter, check_destination
from edge_sdk.calibration.person_model import fit_background
from edge_sdk.errors import BundleError, UsageError
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.evaluation.verification.comparers import DensityModel
from edge_sdk.export.evaluation.verification.samples import Count, embed
from edge_sdk.export.formats.artifacts import VariantKind
from edge_sdk.export.formats.float_onnx import GRAPH
from edge_sdk.export.formats.inference import output
from edge_sdk.manifest import EmbeddingDistance, OperatingPoint, PersonModel
from edge_sdk.runtime import Verifier
from edge_sdk.scoring.background import Background

FILE = "background.bin"


def with_person_model(
    bundle: str | os.PathLike[str] | Bundle,
    training: Dataset,
    destination: Path,
    *,
    points: Mapping[str, tuple[OperatingPoint, ...]] | None = None,
    progress: Count | None = None,
) -> Bundle:
    """Write a copy whose score is a :class:`~edge_sdk.scoring.person_model.PersonModel`.

    The background is fitted to embeddings of the float variant. Thresholds and tables of accuracy are of the score that
    was, and go; the golden scores are computed anew. Templates stay valid: they hold embeddings.

    Args:
        training: The people that the network was trained on.
        destination: Folder, or a file ending in ``.edge``, other than the bundle.
        points: The operating points of each variant, by its id; without any none has one, until they are fitted
            (:func:`edge_sdk.export.packaging.recalibrate.recalibrate`).

    Raises:
        UsageError: The bundle's score is no distance of embeddings, or the destination is the bundle.
        BundleError: It has no float variant.
        EngineError: A variant cannot be run here.
        ScoreError: The people are too few.
    """
    opened = Bundle.open(bundle)
    manifest = opened.manifest
    if not isinstance(manifest.score, EmbeddingDistance):
        raise UsageError(f"{opened.id} is scored by {manifest.score.kind}, not by a distance of embeddings")
    if os.path.realpath(destination) == os.path.realpath(opened.path):
        raise UsageError(f"{destination} is the bundle itself: write a copy elsewhere")
    check_destination(destination)
    exact = [variant.id for variant in manifest.variants if variant.precision == "fp32"]
    if not exact:
        raise BundleError(f"{opened.id} has no float variant, whose embeddings the background is of")
    with Verifier(opened, precision=exact[0], faces="aligned") as verifier:
        embedded = embed(verifier, training.samples, progress=progress)
        trial = [verifier.prepare(opened.read(entry)).rows for entry in manifest.golden.inputs]
    genuine = [sample.genuine for sample in embedded.samples]
    data = fit_background(embedded.embeddings, embedded.people, genuine, seed=manifest.training.seed).encode()
    score = PersonModel(output=manifest.score.output, background=FILE)
    model = DensityModel(backgrounds={FILE: Background.decode(data)})
    golden = {}
    for variant in map(manifest.variant, manifest.golden.scores):
        made = output(
            opened.read_graphs(variant.id)[GRAPH],
            np.concatenate(trial),
            engine=VariantKind(variant.precision, variant.format).engine,
            format=variant.format,
        )
        golden[variant.id] = float(score.enrolled_scores(made[:-1], made[-1:], model)[0])
    with BundleWriter(destination) as writer:
        entries = {entry.path: writer.add(entry.path, opened.read(entry)) for entry in manifest.files}
        auxiliary = tuple(entries[entry.path] for entry in manifest.auxiliary)
        return writer.finish(
            msgspec.structs.replace(
                manifest,
                score=score,
                auxiliary=(*auxiliary, writer.add(FILE, data)),
                golden=msgspec.structs.replace(manifest.golden, scores=golden),
                variants=tuple(
                    msgspec.structs.replace(one, operating_points=(points or {}).get(one.id, ()), accuracy=())
                    for one in manifest.variants
                ),
                thresholds=None,
                default_point=manifest.default_point if points else None,
            )
        )
