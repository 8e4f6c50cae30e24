"""A bundle cut down to what one application needs: fewer variants, everything else as it was."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

import msgspec

from edge_sdk.bundle import Bundle, BundleWriter, SigningKey, pack
from edge_sdk.errors import BundleError, UsageError
from edge_sdk.manifest import Golden, Manifest


def slice_bundle(
    bundle: str | os.PathLike[str] | Bundle,
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the manifest's word
    precision: str | None = None,
    overwrite: bool = True,
    sign_with: Sequence[SigningKey] = (),
) -> Bundle:
    """Write a bundle with only the variants of one format, one precision, or both.

    The files that stay are the same bytes, so enrolments made with one of these variants stay valid: a template is
    bound to the embedding space and the variant, not to the bundle's id, which changes.

    Args:
        bundle: Name of a shipped bundle, path, or an opened bundle.
        destination: A folder, or one file if it ends in ``.edge``; replaced as a whole.
        format: ``"onnx"`` or ``"tflite"``; None keeps all.
        precision: Exactly ``"int8"``, ``"int8-io"``, ``"int8-sym"`` or ``"fp32"``; None keeps all.
        overwrite: Whether a bundle at ``destination`` may be replaced; never the one that is read.
        sign_with: Keys that sign the slice. Without any it has no signature, for those of the bundle do not fit another
            manifest; where no variant is left out the manifest stays, and they with it.

    Raises:
        UsageError: Neither format nor precision is given, or the destination is the bundle itself.
        BundleError: The bundle cannot be read, or has no such variant; ``SignatureError`` if its signature is to stay
            and is damaged.
    """
    if format is None and precision is None:
        raise UsageError("a slice keeps one format, one precision, or both: say which")
    opened = Bundle.open(bundle)
    if os.path.realpath(destination) == os.path.realpath(opened.path):
        raise UsageError(f"{destination} is the bundle to be sliced: write the slice somewhere else")
    manifest = opened.manifest
    kept = tuple(v for v in manifest.variants if format in (None, v.format) and precision in (None, v.precision))
    if not kept:
        there = ", ".join(variant.id for variant in manifest.variants)
        wanted = ".".join(word for word in (precision, format) if word)
        raise BundleError(f"{opened.id} has no {wanted} variant; it has {there}")
    if kept == manifest.variants:
        return pack(opened, destination, overwrite, sign_with)
    sliced = keep_variants(manifest, [variant.id for variant in kept])
    with BundleWriter(destination, overwrite, sign_with) as writer:
        for entry in sliced.files:
            writer.add(entry.path, opened.read(entry))
        return writer.finish(sliced)


def keep_variants(manifest: Manifest, ids: Collection[str]) -> Manifest:
    """The manifest with these variants alone, with their files and golden scores."""
    scores = {key: score for key, score in manifest.golden.scores.items() if key in ids}
    golden = Golden(
        inputs=manifest.golden.inputs if scores else (),
        scores=scores,
        tolerance={key: manifest.golden.tolerance[key] for key in scores},
    )
    graphs = tuple(
        msgspec.structs.replace(graph, files={key: entry for key, entry in graph.files.items() if key in ids})
        for graph in manifest.graphs
    )
    variants = tuple(variant for variant in manifest.variants if variant.id in ids)
    return msgspec.structs.replace(manifest, graphs=graphs, variants=variants, golden=golden)
