"""The bill of materials of a bundle: CycloneDX 1.6 in JSON (ECMA-424), with the model's card.

The component is of the type ``machine-learning-model``. Within it stand the files of the bundle with their hashes,
beside it the data sets with their licences, and what trained it as the formulation. Every number comes from the
manifest. Nothing is dated or drawn at random: the same bundle and edge-sdk give the same bytes.

It is written as JSON here, for cyclonedx-python-lib drops model cards without a word (11.12,
``findings/cyclonedx_python_lib_model_cards.sh``); the tests validate it by that library.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_sdk import files
from edge_sdk._version import __version__
from edge_sdk.bundle import Bundle
from edge_sdk.export.data import catalogue
from edge_sdk.export.data.licenses import find_licence
from edge_sdk.export.data.load import original
from edge_sdk.manifest import MANIFEST_PATH, FileEntry, Manifest, OperatingPoint, Rate, SpoofPoint, UnsupportedPoint

SPEC_VERSION = "1.6"
_VERSION = 1
_MAX_BYTES = 64 * 2**20

_TASKS = {"verify": "biometric verification", "spoof": "presentation attack detection", "locate": "face detection"}
_USES = {
    "verify": "Decide whether two samples ({modality}) are of the same person.",
    "spoof": "Decide whether a picture ({modality}) is of a live person or of a presentation attack.",
    "locate": "Find faces and their five points in pictures.",
}

_Json = dict[str, Any]


def bill_of_materials(bundle: Bundle) -> bytes:
    """The document of a bundle, as UTF-8.

    Raises:
        IntegrityError: A file is not what the manifest says.
    """
    for entry in bundle.manifest.files:
        bundle.read(entry)
    data_sets, versions = _data_sets(bundle.manifest), bundle.manifest.training.versions
    document = _document(_serial(bundle.sha256), _model(bundle, data_sets), data_sets)
    return _encoded(document | {"formulation": [{"components": [_library(*one) for one in sorted(versions.items())]}]})


def is_bill_of_materials(path: Path) -> bool:
    """Return whether the file claims to be a CycloneDX document in JSON, sound or not; False if it cannot be read."""
    try:
        document = json.loads(files.read_bytes(path, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("bomFormat") == "CycloneDX"


def bundles_in_wheel(bundles: Sequence[Bundle]) -> bytes:
    """The document that a wheel carries about its bundles (``.dist-info/sboms``, PEP 770), as UTF-8."""
    models = [summary(bundle) for bundle in bundles]
    wheel = {"type": "library", "name": "edge-sdk", "version": __version__}
    return _encoded(_document(_serial(*(bundle.sha256 for bundle in bundles)), wheel, models))


def summary(bundle: Bundle) -> _Json:
    """The model as a part of something else: with its manifest's hash, and a link to the bundle's own document."""
    manifest = bundle.manifest
    return {
        "type": "machine-learning-model",
        "name": manifest.name,
        "version": manifest.version,
        "description": _USES[manifest.task].format(modality=manifest.modality),
        "licenses": _licenses(manifest),
        "components": [_manifest_file(bundle)],
        "externalReferences": [{"type": "bom", "url": f"urn:cdx:{_serial(bundle.sha256)}/{_VERSION}"}],
    }


def _document(serial: uuid.UUID, component: _Json, components: list[_Json]) -> _Json:
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": serial.urn,
        "version": _VERSION,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "edge-sdk", "version": __version__}]},
            "component": component,
        },
        "components": components,
    }


def _serial(*of: str) -> uuid.UUID:
    """The same for the same content, as this edge-sdk writes it."""
    return uuid.uuid5(uuid.NAMESPACE_OID, " ".join(("edge-sdk", __version__, *of)))


def _encoded(document: _Json) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _model(bundle: Bundle, data_sets: list[_Json]) -> _Json:
    manifest = bundle.manifest
    training, use = manifest.training, manifest.data_license
    described = {
        "bundle-id": bundle.id,
        "preset": training.preset,
        "seed": str(training.seed),
        "steps": str(training.steps),
        "commit": training.commit,
        "commercial-use": "allowed" if use.commercial_use else "not allowed",
    }
    component: _Json = {
        "type": "machine-learning-model",
        "name": manifest.name,
        "version": manifest.version,
        "description": _USES[manifest.task].format(modality=manifest.modality),
        "licenses": _licenses(manifest),
        "components": [_manifest_file(bundle), *map(_file, manifest.files)],
        "modelCard": _card(manifest, data_sets),
        "properties": [{"name": f"edge-sdk:{name}", "value": value} for name, value in described.items()],
    }
    ancestors = [*training.teachers, *([manifest.thresholds.previous_bundle] if manifest.thresholds else [])]
    if ancestors:
        component["pedigree"] = {"ancestors": [_ancestor(text) for text in ancestors]}
    return component


def _licenses(manifest: Manifest) -> list[_Json]:
    return [{"license": {"name": "terms of the training data", "text": {"content": manifest.data_license.statement}}}]


def _ancestor(text: str) -> _Json:
    """A teacher, or the bundle whose thresholds were fitted again."""
    name, _, more = text.partition(", ")
    described = {"description": more} if more else {}
    return {"type": "machine-learning-model", "name": name, **described}


def _manifest_file(bundle: Bundle) -> _Json:
    return {"type": "file", "name": MANIFEST_PATH, "hashes": [{"alg": "SHA-256", "content": bundle.sha256}]}


def _file(entry: FileEntry) -> _Json:
    return {"type": "file", "name": entry.path, "hashes": [{"alg": "SHA-256", "content": entry.sha256}]}


def _library(name: str, version: str) -> _Json:
    return {"type": "library", "name": name, "version": version}


def _data_sets(manifest: Manifest) -> list[_Json]:
    """One component for each data set; ``edge-sdk:used-as`` names what was rendered of it."""
    uses: dict[str, list[str]] = {}
    for name in manifest.training.data:
        uses.setdefault(original(name), []).append(name)
    return [
        {
            "type": "data",
            "bom-ref": f"data/{name}",
            "name": name,
            "licenses": [{"license": {"name": _licence(name, manifest)}}],
            "data": [{"type": "dataset", "name": name}],
            "properties": [{"name": "edge-sdk:used-as", "value": one} for one in used],
        }
        for name, used in sorted(uses.items())
    ]


def _licence(name: str, manifest: Manifest) -> str:
    """The data set's own statement if the manifest has it; else all of the manifest's, which holds for it too."""
    known, stated = find_licence(name), manifest.data_license.statement
    statement = known.statement.format(name=name) if known else ""
    return statement if known and statement in stated else stated


def _card(manifest: Manifest, data_sets: list[_Json]) -> _Json:
    kind = "semi-supervised" if manifest.score.one_class else "supervised"
    inputs = [tensor for graph in manifest.graphs for tensor in graph.inputs]
    outputs = [tensor for graph in manifest.graphs for tensor in graph.outputs]
    return {
        "modelParameters": {
            "approach": {"type": kind},
            "task": _TASKS[manifest.task],
            "modelArchitecture": manifest.training.recipe,
            "datasets": [{"ref": one["bom-ref"]} for one in data_sets],
            "inputs": [{"format": _tensor(one.name, one.shape, one.dtype)} for one in inputs],
            "outputs": [{"format": _tensor(one.name, one.shape, one.dtype)} for one in outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                metric
                for variant in manifest.variants
                for point in variant.operating_points
                for metric in _metrics(variant.id, point)
            ]
        },
        "considerations": {
            "useCases": [_USES[manifest.task].format(modality=manifest.modality)],
            "technicalLimitations": _limits(manifest),
        },
    }


def _tensor(name: str, shape: tuple[object, ...], dtype: str) -> str:
    return f"{name}: {dtype}, {' x '.join(map(str, shape))}"


def _metrics(variant: str, point: OperatingPoint) -> list[_Json]:
    """The rates at an operating point, those of each attack species too; of one that is not supported none."""
    if isinstance(point, UnsupportedPoint):
        return []
    where = f"{variant}, operating point {point.name}"
    if point.task == "verify":
        where += f", {point.references} references"
    species = point.species if isinstance(point, SpoofPoint) else {}
    return [
        *(_metric(name, rate, f"{where}, {point.data}") for name, rate in point.rates.items()),
        *(_metric("APCER", rate, f"{where}, species {name}, {point.data}") for name, rate in species.items()),
    ]


def _metric(name: str, rate: Rate, where: str) -> _Json:
    interval = {"lowerBound": f"{rate.low:.6g}", "upperBound": f"{rate.high:.6g}"}
    return {"type": name, "value": f"{rate.value:.6g}", "slice": where, "confidenceInterval": interval}


def _limits(manifest: Manifest) -> list[str]:
    """Those of the model card; of a modality that this edge-sdk has no data sets of, none."""
    if manifest.modality not in catalogue.DATA:
        return []
    text = catalogue.of(manifest.modality).limits[manifest.task]
    return [" ".join(one.split()) for one in text.removeprefix("- ").split("\n- ")]
