"""1:N: the matrix finds whom one comparison at a time finds, with the scores of ``verify``, and fails closed."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_sdk import Shots, Template, TemplateGallery, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import EngineError, TemplateError, UnusableSampleError, UsageError
from edge_sdk.manifest import EmbeddingDistance
from edge_sdk.runtime.gallery import expected_fpir
from edge_sdk.runtime.template import EmbeddingTemplate
from edge_sdk.scoring.base import Comparison

from ..fake_engine import FakeModel

Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]


NO_MODEL: Any = None


def made(embeddings: np.ndarray) -> EmbeddingTemplate:
    values = np.atleast_2d(embeddings)
    binding = {"embedding_space_id": "space", "variant_id": "fp32.onnx", "variant_sha256": "1", "bundle_name": "b"}
    return EmbeddingTemplate.of(values, count=len(values), **binding)


def comparing(score: EmbeddingDistance) -> Callable[[Any, np.ndarray], Comparison]:
    """One comparison at a time, each made once."""
    known: dict[tuple[bytes, bytes], Comparison] = {}

    def compare(content: Any, values: np.ndarray) -> Comparison:
        key = content.tobytes(), values.tobytes()
        if key not in known:
            known[key] = score.compare_rows(content, values, NO_MODEL)
        return known[key]

    return compare


@pytest.mark.parametrize("rule", ["mean_score", "max_score", "mean_embedding"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("references", [1, 3], ids=["one reference", "up to three"])
@pytest.mark.parametrize("rows", [1, 4])
def test_the_matrix_ranks_as_one_comparison_at_a_time(metric: Any, rule: Any, references: int, rows: int) -> None:
    score = EmbeddingDistance(output="model.embedding", metric=metric, references=rule)
    rng = np.random.default_rng(0)
    templates = {
        f"p{i}": made(rng.standard_normal((1 + i % references, 16)).astype(np.float32) * 10.0 ** (i % 7))
        for i in range(700)
    }
    query = rng.standard_normal((rows, 16)).astype(np.float32)
    compare = comparing(score)
    every = sorted(((n, compare(t.content, query)) for n, t in templates.items()), key=lambda pair: -pair[1].score)
    gallery = TemplateGallery(templates, score, NO_MODEL)
    assert len(gallery) == 700
    for count in (1, 2, 7, 300, 699, 700, 2000):
        assert gallery.best(query, count, compare) == every[:count]


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30, 1e38])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_embeddings_of_any_size_are_searched(metric: Any, scale: float) -> None:
    score = EmbeddingDistance(output="model.embedding", metric=metric)
    rng = np.random.default_rng(2)
    vectors = rng.uniform(-1, 1, (200, 128))
    vectors[::2] *= scale
    templates = {str(i): made(vector.astype(np.float32)) for i, vector in enumerate(vectors)}
    query, compare = rng.uniform(-1, 1, (1, 128)).astype(np.float32), comparing(score)
    every = sorted(((n, compare(t.content, query)) for n, t in templates.items()), key=lambda pair: -pair[1].score)
    assert TemplateGallery(templates, score, NO_MODEL).best(query, 9, compare) == every[:9]


@pytest.mark.parametrize("apart", [0.0, 1e-7, 1e-6, 1e-5, 1e-4])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_scores_that_nearly_tie_are_ranked_as_one_at_a_time(metric: Any, apart: float) -> None:
    score = EmbeddingDistance(output="model.embedding", metric=metric)
    rng = np.random.default_rng(3)
    people = rng.standard_normal(128) + apart * rng.standard_normal((700, 128))
    templates = {str(i): made(vector.astype(np.float32)) for i, vector in enumerate(people)}
    compare, gallery = comparing(score), TemplateGallery(templates, score, NO_MODEL)
    for query in (people[:1].astype(np.float32), rng.standard_normal((1, 128)).astype(np.float32)):
        every = sorted(((n, compare(t.content, query)) for n, t in templates.items()), key=lambda pair: -pair[1].score)
        assert gallery.best(query, 5, compare) == every[:5]


def test_only_who_may_be_on_the_list_is_compared_one_at_a_time() -> None:
    score = EmbeddingDistance(output="model.embedding", metric="cosine")
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((5000, 128)).astype(np.float32)
    gallery = TemplateGallery({str(i): made(vector) for i, vector in enumerate(vectors)}, score, NO_MODEL)
    calls = []

    def compare(content: Any, values: np.ndarray) -> Comparison:
        calls.append(content)
        return score.compare(content, values, None)  # type: ignore[arg-type]

    ((name, best),) = gallery.best(vectors[[4321]] + 0.01, 1, compare)
    assert name == "4321"
    assert best.score > 0.99
    assert len(calls) < 50


def test_equal_scores_keep_their_order() -> None:
    score = EmbeddingDistance(output="model.embedding", metric="euclidean")
    one = np.array([[1.0, 0.0]], np.float32)
    gallery = TemplateGallery({name: made(one) for name in "cab"}, score, NO_MODEL)
    assert [name for name, _ in gallery.best(one, 2, comparing(score))] == ["c", "a"]


@pytest.mark.parametrize("references", [1, 2])
def test_of_equal_templates_no_more_are_compared_than_the_list_is_long(references: int) -> None:
    score = EmbeddingDistance(output="model.embedding", metric="euclidean")
    rng = np.random.default_rng(4)
    two = rng.standard_normal((2, references, 8)).astype(np.float32)
    templates = {str(i): made(two[i % 2]) for i in range(10_000)}
    calls, exact = [], comparing(score)

    def compare(content: Any, values: np.ndarray) -> Comparison:
        calls.append(content)
        return exact(content, values)

    found = TemplateGallery(templates, score, NO_MODEL).best(two[1, :1] + two[0, :1], 5, compare)
    assert len(calls) <= 10
    parity = int(found[0][0]) % 2
    assert [name for name, _ in found] == [str(i) for i in range(parity, 10, 2)]


def test_a_gallery_keeps_one_copy_of_the_embeddings(tiny_bundle: Bundle) -> None:
    vectors = np.random.default_rng(5).standard_normal((2000, 128)).astype(np.float32)
    score = EmbeddingDistance(output="model.embedding", metric="cosine")
    templates: dict[str, Template] = {str(i): made(vector) for i, vector in enumerate(vectors)}
    TemplateGallery(templates, score, NO_MODEL)  # what is made once is made now
    tracemalloc.start()
    try:
        gallery = TemplateGallery(templates, score, NO_MODEL)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(gallery) == 2000
    assert vectors.nbytes < kept < 1.2 * vectors.nbytes
    contents: list[Any] = []
    gallery.best(vectors[:1], 3, lambda content, _: contents.append(content) or Comparison(0.0, 0.0))  # type: ignore[func-returns-value]
    assert all(content.base is contents[0].base and not content.flags.writeable for content in contents)


def test_embeddings_of_other_lengths_and_bindings_do_not_mix() -> None:
    score = EmbeddingDistance(output="model.embedding", metric="euclidean")
    with pytest.raises(TemplateError, match="different lengths"):
        TemplateGallery({"a": made(np.ones(3, np.float32)), "b": made(np.ones(4, np.float32))}, score, NO_MODEL)
    other = msgspec.structs.replace(made(np.ones(3, np.float32)), variant_sha256="2")
    with pytest.raises(TemplateError, match="one variant"):
        TemplateGallery({"a": made(np.ones(3, np.float32)), "b": other}, score, NO_MODEL)
    with pytest.raises(UsageError, match="at least one"):
        TemplateGallery({}, score, NO_MODEL)


@pytest.mark.parametrize(
    ("fmr", "enrolled", "expected"),
    [
        (0.01, 1, 0.01),
        (0.01, 2, 0.0199),
        (0.001, 1000, 0.632304575),
        (1e-6, 100_000, 0.0951626305),
        (0, 9, 0),
        (1, 1, 1),
    ],
)
def test_what_a_false_match_rate_means_for_many(fmr: float, enrolled: int, expected: float) -> None:
    assert expected_fpir(fmr, enrolled) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(("fmr", "enrolled"), [(-0.1, 1), (1.1, 1), (float("nan"), 1), (0.1, 0)])
def test_no_rate_and_nobody_are_refused(fmr: float, enrolled: int) -> None:
    with pytest.raises(UsageError):
        expected_fpir(fmr, enrolled)


# --- through the verifier ---


def test_identify_gives_the_scores_of_verify(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        templates = {str(seed): verifier.enroll([signer(seed), signer(seed + 20)]) for seed in range(1, 7)}
        result = verifier.identify(signer(3), templates, count=4)
        scores = {name: verifier.verify(template, signer(3)) for name, template in templates.items()}
        expected = sorted(scores.items(), key=lambda pair: -pair[1].score)[:4]
        assert [(c.name, c.score, c.raw_score) for c in result.candidates] == [
            (name, one.score, one.raw_score) for name, one in expected
        ]
        assert (result.score, result.raw_score) == (expected[0][1].score, expected[0][1].raw_score)
        assert (result.enrolled, result.threshold, result.operating_point) == (6, 0.9, "fmr_1e-2")
        gallery = verifier.gallery(templates)
        assert verifier.identify(signer(3), gallery, count=4).candidates == result.candidates
    timings = result.timings
    parts = timings.decode_ms + timings.preprocess_ms + timings.inference_ms + timings.postprocess_ms
    assert 0 < parts == pytest.approx(timings.total_ms)


def test_somebody_is_identified_from_the_threshold_on(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        templates = {"one": verifier.enroll(signer(1)), "two": verifier.enroll(signer(2))}
        same = verifier.identify(signer(2), templates)
        assert (bool(same), same.identity, same.score) == (True, "two", 1.0)
        del templates["two"]
        best = verifier.identify(signer(2), templates)
        assert (bool(best), best.identity, len(best.candidates)) == (False, None, 1)
    for threshold, identity in ((best.score, "one"), (float(np.nextafter(best.score, 2)), None)):
        with Verifier(tiny_bundle, threshold=threshold) as verifier:
            result = verifier.identify(signer(2), templates)
            assert (result.identity, result.decision) == (identity, identity is not None)
            assert result.as_dict()["identity"] == identity


def test_a_blocked_probe_is_nobody(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle, threshold=1e-9) as verifier:  # accepts every score there is
        templates = {"one": verifier.enroll(signer(1))}
        white = np.full((380, 600), 255, np.uint8)
        for probe in (white, [white, white], Shots([white])):
            result = verifier.identify(probe, templates)
            assert (result.decision, result.identity, result.candidates) == (False, None, ())
            assert (result.score, result.raw_score) == (0.0, 2.0)
            assert "empty" in result.quality
        with pytest.raises(UnusableSampleError, match="no picture"):
            verifier.identify([], templates)


def test_templates_of_another_variant_are_refused(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle, precision="fp32") as other:
        foreign: dict[str, Template] = {"float": other.enroll(signer(1))}
        gallery = other.gallery(foreign)
    with Verifier(tiny_bundle) as verifier:
        own = verifier.enroll(signer(1))
        for templates in (foreign, {"own": own} | foreign, gallery):
            with pytest.raises(TemplateError, match="int8"):
                verifier.identify(signer(1), templates)
        with pytest.raises(TemplateError, match=r"^float: "):
            verifier.gallery({"own": own} | foreign)
        with pytest.raises(UsageError, match="at least one template"):
            verifier.identify(signer(1), {})
        for count in (0, 2.5, "5", float("nan")):
            with pytest.raises(UsageError, match=r"count is .* whole number"):
                verifier.identify(signer(1), {"own": own}, count=count)  # type: ignore[arg-type]


def test_what_is_no_templates_by_name_is_refused(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        own = verifier.enroll(signer(1))
        for templates in ([own], own, None, "one.template"):
            with pytest.raises(UsageError, match="searched by name"):
                verifier.identify(signer(1), templates)  # type: ignore[arg-type]
        for name in (1, None, b"own"):
            with pytest.raises(UsageError, match="is named by text, not by"):
                verifier.identify(signer(1), {"own": own, name: own})  # type: ignore[dict-item]
        with pytest.raises(TemplateError, match=r"^one: a str is no template"):
            verifier.identify(signer(1), {"own": own, "one": "one.template"})  # type: ignore[dict-item]


def test_templates_of_another_length_are_an_error(tiny_bundle: Bundle, signer: Signer) -> None:
    with Verifier(tiny_bundle) as verifier:
        own = verifier.enroll(signer(1))
        other = msgspec.structs.replace(own, count=1, dim=3, values=np.ones(3, "<f4").tobytes())  # type: ignore[call-arg]
        for number in (1, 9):
            with pytest.raises(TemplateError, match="embeddings of 3 values, its network gives"):
                verifier.identify(signer(1), dict.fromkeys("abcdefghi"[:number], other), count=2)


@pytest.mark.usefixtures("fake_engine")
def test_a_failing_engine_identifies_nobody(make_bundle: Maker, signer: Signer) -> None:
    def models(**settings: Any) -> dict[str, bytes]:
        return {"fp32": msgspec.json.encode(FakeModel(shape=(1, 150, 180), dim=8, **settings))}

    with Verifier(make_bundle(models=models()), engine="fake") as verifier:
        template = verifier.enroll(signer(1))
    for failure in ("error", "nan", "zero"):
        bundle = make_bundle(models=models(failure=failure))
        with Verifier(bundle, engine="fake") as verifier:
            binding = {"variant_sha256": bundle.manifest.variant_sha256("fp32.onnx")}
            binding["embedding_space_id"] = str(bundle.manifest.embedding_space_id)
            bound = msgspec.structs.replace(template, **binding)
            with pytest.raises(EngineError):
                verifier.identify(signer(1), {"one": bound})
