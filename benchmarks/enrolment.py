"""What a model of each person costs on the device: size of a template, time to enrol and to verify, on one core.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/enrolment.py BUNDLE

Beside the bundle, which has the score ``person_model``, a copy of it compares by the mean score of the distance of
embeddings: the same network, pictures and templates. Both verify one after the other in each round, in turns. Times are
medians of processor time, and the ratio is the median of all rounds' ratios. Enrolling and verifying take pictures as
files: the bundle's own, moved by a few pixels. A comparison is of embeddings, without the network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import msgspec
import numpy as np

from edge_sdk import Bundle, Verifier, images
from edge_sdk.bundle import BundleWriter
from edge_sdk.manifest import EmbeddingDistance, PersonModel
from edge_sdk.runtime import device
from edge_sdk.tables import Table

COUNTS = (1, 3, 5, 10)


def mean_score_copy(bundle: Bundle, score: PersonModel, destination: Path) -> Bundle:
    """The bundle with the mean score of the distance of embeddings in place of the model of a person."""
    with BundleWriter(destination) as writer:
        for entry in bundle.manifest.files:
            if entry.path != score.background:
                writer.add(entry.path, bundle.read(entry))
        kept = tuple(entry for entry in bundle.manifest.auxiliary if entry.path != score.background)
        plain = EmbeddingDistance(output=score.output, metric="euclidean", references="mean_score")
        return writer.finish(msgspec.structs.replace(bundle.manifest, score=plain, auxiliary=kept))


def moved(bundle: Bundle, count: int) -> list[bytes]:
    """Files of ``count`` pictures: the bundle's first one, moved."""
    assert bundle.manifest.golden is not None, "a bundle of signatures has some"
    picture = images.load(bundle.read(bundle.manifest.golden.inputs[0]))
    shifted = [np.roll(picture, (k % 4 - 1, k // 4 - 1), axis=(0, 1)) for k in range(count)]
    return [cv2.imencode(".png", one)[1].tobytes() for one in shifted]


def milliseconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return (time.process_time() - start) * 1e3


def paired(calls: Sequence[Callable[[], object]], rounds: int) -> np.ndarray:
    """Times of each call ``(calls, rounds)``, in turns."""
    times = np.empty((len(calls), rounds))
    for number in range(rounds):
        for k in range(len(calls)) if number % 2 else reversed(range(len(calls))):
            times[k, number] = milliseconds(calls[k])
    return times


def measured(new: Verifier, old: Verifier, count: int, rounds: int) -> dict[str, float]:
    """What an enrolment of ``count`` references costs by both scores; times in ms."""
    *references, query = moved(new.bundle, count + 1)
    template = new.enroll(references)
    same = msgspec.structs.replace(old.enroll(references), bundle_name=template.bundle_name)
    assert same == template, "both hold the embeddings of the references"
    embedding = new.embed(query)
    verifying = paired([partial(one.verify, template, query) for one in (new, old)], rounds)
    comparing = paired([partial(one.compare, template, embedding) for one in (new, old)], rounds)
    return {
        "references": count,
        "template_bytes": len(template.to_bytes(plain=True)),
        "enrol_ms": float(np.median(paired([partial(new.enroll, references)], max(3, rounds // 10)))),
        "verify_ms": float(np.median(verifying[0])),
        "mean_score_verify_ms": float(np.median(verifying[1])),
        "ratio": float(np.median(verifying[0] / verifying[1])),
        "compare_ms": float(np.median(comparing[0])),
        "mean_score_compare_ms": float(np.median(comparing[1])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="one with the score person_model")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--engine", default="onnxruntime")
    parser.add_argument("--precision", default="int8.onnx")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    bundle = Bundle.open(arguments.bundle)
    score = bundle.manifest.score
    if not isinstance(score, PersonModel):
        raise SystemExit(f"{bundle.id} compares by {score.kind}, not by a model of each person")
    with tempfile.TemporaryDirectory() as folder:
        plain = mean_score_copy(bundle, score, Path(folder, "plain.edge"))
        options = {"engine": arguments.engine, "precision": arguments.precision, "threads": 1}
        with Verifier(bundle.path, **options) as new, Verifier(plain.path, **options) as old:
            found = [measured(new, old, count, arguments.rounds) for count in COUNTS]
            variant = new.variant.id
    rows = [
        (
            f"{one['references']}",
            f"{one['template_bytes']:,}",
            f"{one['enrol_ms']:.1f}",
            f"{one['verify_ms']:.2f}, {one['mean_score_verify_ms']:.2f}",
            f"{one['ratio']:.3f}",
            f"{one['compare_ms']:.3f}, {one['mean_score_compare_ms']:.3f}",
        )
        for one in found
    ]
    head = ("references", "template, bytes", "enrol, ms", "verify, ms: new, old", "ratio", "compare, ms: new, old")
    size = next(entry.size for entry in bundle.manifest.auxiliary if entry.path == score.background)
    where = f"{variant} on {arguments.engine}, one thread, {device.instruction_set()}"
    print(Table(head, rows, note=f"{bundle.id}, {where}; background {size:,} bytes").markdown())
    print(json.dumps({"background_bytes": size, "by_references": found}))


if __name__ == "__main__":
    main()
