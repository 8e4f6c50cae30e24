"""A search among many enrolled people beside numpy's product of the same matrix and vector, on one thread.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/identify.py deepsign --people 100000

Templates are drawn at random, of as many values as the bundle's embeddings have. Product and search of a round are
timed one after the other; the least of all rounds counts, for what else runs on the machine only adds to it. The search
is what ``identify`` does behind the network, from the embedding to the candidate list; ``tied`` is that where all
templates are equal. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable

import msgspec
import numpy as np

from edge_sdk import Template, TemplateGallery, Verifier
from edge_sdk.runtime import device
from edge_sdk.runtime.template import EmbeddingTemplate


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def gallery_of(
    verifier: Verifier, example: EmbeddingTemplate, rows: np.ndarray
) -> tuple[TemplateGallery, float, float]:
    """A gallery of people with a row each, what it took to make in seconds, and what it keeps in MB."""
    templates: dict[str, Template] = {
        str(i): msgspec.structs.replace(example, count=1, values=row.tobytes()) for i, row in enumerate(rows)
    }
    start = time.perf_counter()
    verifier.gallery(templates)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    gallery = verifier.gallery(templates)
    kept = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    return gallery, seconds, kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", default="deepsign")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with Verifier(arguments.bundle, engine=arguments.engine, faces="aligned") as verifier:
        picture = verifier.bundle.read(verifier.bundle.manifest.golden.inputs[-1])
        example = verifier.enroll(picture)
        assert isinstance(example, EmbeddingTemplate), "a bundle of embeddings"
        rows = rng.standard_normal((arguments.people, example.dim)).astype("<f4")
        gallery, seconds, kept = gallery_of(verifier, example, rows)
        tied, _, _ = gallery_of(verifier, example, np.tile(rows[:1], (arguments.people, 1)))
        vector = rng.standard_normal(example.dim).astype(np.float32)
        product, search, whole = [], [], []
        for _ in range(arguments.rounds):
            product.append(milliseconds(lambda: rows @ vector))
            timings = verifier.identify(picture, gallery).timings
            search.append(timings.postprocess_ms)
            whole.append(timings.total_ms)
        ties = min(verifier.identify(picture, tied).timings.postprocess_ms for _ in range(5))
    numbers = {
        "people": arguments.people,
        "values": example.dim,
        "build_s": seconds,
        "kept_mb": kept,
        "product_ms": min(product),
        "search_ms": min(search),
        "identify_ms": min(whole),
        "tied_ms": ties,
        "ratio": min(search) / min(product),
    }
    print(f"{device.instruction_set()}; {verifier.bundle.id}, {verifier.variant.id} on {verifier.engine}")
    print(f"{arguments.people} people, {example.dim} values: made in {seconds:.2f} s, {kept:.0f} MB kept")
    print(f"numpy's product {min(product):.2f} ms, search {min(search):.2f} ms: {numbers['ratio']:.2f} times")
    print(f"identify as a whole {min(whole):.2f} ms; search where all tie {ties:.0f} ms")
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
