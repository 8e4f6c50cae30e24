"""The YAML at the top of a model card, as Hugging Face's Hub reads it when the card is a repository's ``README.md``.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md is its specification. There is no ``datasets`` key: the
Hub takes its names for data sets that it hosts itself. Licences other than those on its list are ``other`` with a name;
the statement that the name stands for is in the card's section on data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from edge_sdk.manifest import Manifest, UnsupportedPoint

_FENCE = "---\n"
_SUBJECTS = {"verify": "{modality}-verification", "spoof": "presentation-attack-detection", "locate": "face-detection"}
_PIPELINES = {"verify": "image-feature-extraction", "spoof": "image-classification", "locate": "object-detection"}
"""The Hub's name of a task, of pictures; it has none for walks."""
_NO_PIPELINE = "other"
_MEASURED = "int8.onnx"
"""The variant whose error rates are given; of a bundle without it the first."""


def with_front_matter(card: str, manifest: Manifest) -> str:
    """The model card with the front matter of this manifest, in place of one that it has."""
    if card.startswith(_FENCE):
        _, closed, below = card[len(_FENCE) :].partition(f"\n{_FENCE}")
        card = below.lstrip("\n") if closed else card  # a rule of Markdown
    lines = [line for key, value in _metadata(manifest).items() for line in _yaml(key, value)]
    return _FENCE + "".join(f"{line}\n" for line in lines) + f"{_FENCE}\n{card}"


def _metadata(manifest: Manifest) -> dict[str, Any]:
    allowed = manifest.data_license.commercial_use
    pipeline = _PIPELINES[manifest.task] if manifest.source.__struct_config__.tag == "image" else _NO_PIPELINE
    kinds = {part for variant in manifest.variants for part in (variant.format, variant.precision)}
    subject = _SUBJECTS[manifest.task].format(modality=manifest.modality)
    metadata: dict[str, Any] = {
        "license": "other",
        "license_name": "terms-of-the-training-data" if allowed else "no-commercial-use",
        "library_name": "edge-sdk",
        "tags": ["biometrics", manifest.modality, subject, *sorted(kinds)],
    }
    if pipeline != _NO_PIPELINE:
        metadata["pipeline_tag"] = pipeline
    results = [
        {
            "task": {"type": pipeline, "name": subject},
            "dataset": {"type": "other", "name": data},
            "metrics": metrics,
        }
        for data, metrics in _metrics(manifest).items()
    ]
    return {**metadata, "model-index": [{"name": manifest.name, "results": results}]} if results else metadata


def _metrics(manifest: Manifest) -> dict[str, list[dict[str, Any]]]:
    """The error rates of one variant at the operating point that decides by default, by what they were measured on."""
    variant = next((one for one in manifest.variants if one.id == _MEASURED), manifest.variants[0])
    found: dict[str, list[dict[str, Any]]] = {}
    for point in variant.operating_points:
        if isinstance(point, UnsupportedPoint) or manifest.default_point not in (None, point.name):
            continue
        counted = f", {point.references} references" if point.task == "verify" else ""
        where = f"{variant.id} at {point.name}{counted}"
        found.setdefault(point.data, []).extend(
            {
                "type": name.lower().replace(" ", "_"),
                "value": round(rate.value, 6),
                "name": f"{name} of {where}, 95 % interval {rate.low:.3g} to {rate.high:.3g}",
            }
            for name, rate in point.rates.items()
        )
    return found


def _yaml(key: str, value: Any) -> Iterator[str]:
    """Lines of block style; texts and numbers as JSON writes them, which is YAML too."""
    if isinstance(value, dict):
        yield f"{key}:"
        for name, one in value.items():
            yield from (f"  {line}" for line in _yaml(name, one))
    elif isinstance(value, list):
        yield f"{key}:"
        for one in value:
            lines = [line for name, part in one.items() for line in _yaml(name, part)] if isinstance(one, dict) else []
            yield from (f"{'  ' if number else '- '}{line}" for number, line in enumerate(lines or [json.dumps(one)]))
    else:
        yield f"{key}: {json.dumps(value, ensure_ascii=False)}"
