"""A bundle that compares distances, given models of persons: by the exporter's function, and on the device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk import Verifier
from edge_sdk.bundle import Bundle, BundleWriter
from edge_sdk.errors import BundleError, RejectedSampleError, ScoreError, TemplateError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.data.samples import Dataset
from edge_sdk.export.packaging.person_model import FILE, with_person_model
from edge_sdk.manifest import EmbeddingDistance, PersonModel, Rate, VerifyPoint
from edge_sdk.runtime.selftest import passed, selftest
from edge_sdk.scoring.background import MAX_BYTES, Background
from edge_sdk.slicing import keep_variants

PEOPLE = load("synthetic:8")
VARIANTS = ("fp32.onnx", "int8.onnx")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Shipped weights, compared by distance."""
    shipped = Bundle.open("deepsign_nano")
    manifest = keep_variants(shipped.manifest, VARIANTS)
    with BundleWriter(tmp_path_factory.mktemp("plain") / "nano") as writer:
        entries = {entry.path: writer.add(entry.path, shipped.read(entry)) for entry in manifest.files}
        changed = msgspec.structs.replace(
            manifest,
            score=EmbeddingDistance(output="model.embedding", metric="euclidean"),
            auxiliary=tuple(entries[entry.path] for entry in manifest.auxiliary),
            default_point=None,
            variants=tuple(msgspec.structs.replace(one, operating_points=()) for one in manifest.variants),
            golden=msgspec.structs.replace(manifest.golden, scores=dict.fromkeys(VARIANTS, 0.5)),
        )
        return writer.finish(changed)


@pytest.fixture(scope="module")
def made(plain: Bundle) -> Bundle:
    return with_person_model(plain, PEOPLE, plain.path.parent / "made")


def pictures(person: int, *, genuine: bool = True) -> list[Path]:
    name = sorted(PEOPLE.subjects)[person]
    return [sample.path for sample in PEOPLE.samples if sample.subject == name and sample.genuine == genuine]


def test_the_bundle_has_a_small_background_and_replays(made: Bundle) -> None:
    assert made.manifest.score == PersonModel(output="model.embedding", background=FILE)
    (entry,) = (entry for entry in made.manifest.auxiliary if entry.path == FILE)
    assert entry.size <= MAX_BYTES
    assert Background.decode(made.read(entry)).people == 8
    assert passed(selftest(made))


def test_without_points_there_is_no_threshold_and_no_table_of_the_score_that_was(made: Bundle) -> None:
    assert not any(variant.operating_points or variant.accuracy for variant in made.manifest.variants)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_templates_of_any_count_tell_people_apart(made: Bundle, count: int) -> None:
    with Verifier(made, precision="fp32.onnx", threshold=0.5) as verifier:
        template = verifier.enroll(pictures(0)[:count])
        assert template.kind == "embeddings"
        assert len(template.to_bytes(plain=True)) < 16_000
        own = verifier.verify(template, pictures(0)[-1])
        other = verifier.verify(template, pictures(1)[0])
        assert own.score > other.score
        assert other.decision is False
        found = verifier.identify(pictures(0)[-1], {"a": verifier.enroll(pictures(1)[:2]), "b": template})
        assert found.candidates[0].name == "b"
        assert found.score == own.score


def test_a_template_is_updated_and_fitted_anew(plain: Bundle) -> None:
    rate = Rate(value=0.01, low=0.0, high=0.02, errors=1, trials=100)
    points = tuple(
        VerifyPoint(
            name=name, threshold=threshold, target=target, fmr=rate, fnmr=rate, data="made up", subjects=9,
            references=references,
        )
        for name, target, threshold in (("eer", None, 0.2), ("fmr_5e-2", 0.05, 0.3))
        for references in (1, 5)
    )  # fmt: skip
    bundle = with_person_model(plain, PEOPLE, plain.path.parent / "measured", points=dict.fromkeys(VARIANTS, points))
    with Verifier(bundle, precision="fp32.onnx", operating_point="eer") as verifier:
        template = verifier.enroll(pictures(0)[:3])
        after = verifier.update(template, pictures(0)[3:5])
        assert (after.count, after.added) == (5, 2)
        query = pictures(0)[-1]
        assert verifier.verify(after, query).score == verifier.verify(pictures(0)[:5], query).score
        assert [verifier.verify(one, query).references for one in (template, after)] == [1, 5]
        with pytest.raises(RejectedSampleError):
            verifier.update(template, pictures(1)[0])


def test_templates_of_the_distance_stay_valid_with_the_same_embeddings(plain: Bundle, made: Bundle) -> None:
    with Verifier(plain, precision="int8.onnx", threshold=0.5) as before:
        template = before.enroll(pictures(2)[:3])
    with Verifier(made, precision="int8.onnx", threshold=0.5) as verifier:
        again = verifier.enroll(pictures(2)[:3])
        assert again == msgspec.structs.replace(template, template_id=again.template_id)
        assert verifier.verify(template, pictures(2)[4]).score == verifier.verify(again, pictures(2)[4]).score


def test_a_template_of_embeddings_of_another_length_is_refused(made: Bundle) -> None:
    with Verifier(made, precision="fp32.onnx", threshold=0.5) as verifier:
        template = verifier.enroll(pictures(0)[:2])
        shorter = msgspec.structs.replace(template, dim=64, count=4)  # type: ignore[call-arg]
        with pytest.raises(TemplateError, match="64 values"):
            verifier.verify(shorter, pictures(0)[3])


def test_a_damaged_background_opens_no_bundle(made: Bundle, tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "damaged") as writer:
        entries = {entry.path: made.read(entry) for entry in made.manifest.files}
        entries[FILE] = entries[FILE][:-40]
        added = {path: writer.add(path, content) for path, content in entries.items()}
        auxiliary = tuple(added[entry.path] for entry in made.manifest.auxiliary)
        damaged = writer.finish(msgspec.structs.replace(made.manifest, auxiliary=auxiliary))
    with pytest.raises(BundleError, match="damaged background"):
        Verifier(damaged, precision="fp32.onnx", threshold=0.5)


def test_what_cannot_be_given_models_is_refused_and_nothing_is_written(
    plain: Bundle, made: Bundle, tmp_path: Path
) -> None:
    few = Dataset("few", tuple(sample for sample in PEOPLE.samples if sample.subject in sorted(PEOPLE.subjects)[:3]))
    with pytest.raises(UsageError, match="person_model"):
        with_person_model(made, PEOPLE, tmp_path / "out")
    with pytest.raises(UsageError, match="itself"):
        with_person_model(plain, PEOPLE, plain.path)
    with pytest.raises(UsageError, match="not by a distance"):
        with_person_model("gait", PEOPLE, tmp_path / "out")
    with pytest.raises(ScoreError, match="needs 5"):
        with_person_model(plain, few, tmp_path / "out")
    with pytest.raises(ScoreError, match="none of"):
        with_person_model(
            plain,
            Dataset("gone", tuple(replace(sample, path=tmp_path / "no.png") for sample in few.samples)),
            tmp_path / "out",
        )
    assert not (tmp_path / "out").exists()
    assert np.isfinite(list(made.manifest.golden.scores.values())).all()
