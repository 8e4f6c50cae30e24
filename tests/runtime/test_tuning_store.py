"""What ``tune`` measures, what it refuses to choose, and the file that keeps the order."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.errors import BundleError, EngineError, MissingEngineError, UsageError
from edge_sdk.runtime import Verifier, device, tuning_store
from edge_sdk.runtime.engines import ENGINES, version
from edge_sdk.runtime.tune import rows, tune
from edge_sdk.runtime.tuning_store import Tuned

from .. import fake_engine

Maker = Callable[..., Bundle]
ROW = Tuned(
    bundle_id="tiny",
    threads=1,
    engine="onnxruntime",
    engine_version="1",
    variant="fp32.onnx",
    model="ab" * 32,
    conditions="made up",
    median_ms=2.0,
)


@pytest.fixture(scope="module")
def golden(tiny_bundle: Bundle, signer: Callable[..., np.ndarray]) -> dict[str, float]:
    scores = {}
    for variant in tiny_bundle.manifest.variants:
        with Verifier(tiny_bundle, precision=variant.id) as verifier:
            scores[variant.id] = verifier.verify(signer(1), signer(2)).score
    return scores


# --- the measurement ---


@pytest.mark.usefixtures("only_onnxruntime")
def test_every_candidate_is_measured_and_the_fastest_comes_first(make_bundle: Maker, golden: dict[str, float]) -> None:
    bundle = make_bundle(golden=golden)
    said: list[str] = []
    laps = tune(bundle, threads=(2, 1, 1), seconds=0.05, say=said.append)
    assert {(lap.variant, lap.threads) for lap in laps} == {
        (variant, threads) for variant in ("int8.onnx", "fp32.onnx") for threads in (1, 2)
    }
    medians = [lap.median_ms for lap in laps]
    assert all(median and median > 0 for median in medians)
    assert medians == sorted(medians)  # type: ignore[type-var]
    assert all(lap.passes >= 9 and not lap.excluded for lap in laps)
    assert {lap.size for lap in laps} == {
        bundle.manifest.variant_size(variant.id) for variant in bundle.manifest.variants
    }
    stored = rows(bundle, laps)
    assert [(row.variant, row.median_ms) for row in stored] == [(lap.variant, lap.median_ms) for lap in laps]
    assert {(row.bundle_id, row.engine_version) for row in stored} == {(bundle.id, version("onnxruntime"))}
    assert [row.model for row in stored] == [bundle.manifest.variant_sha256(row.variant) for row in stored]
    assert {row.conditions for row in stored} == {device.conditions()}


@pytest.mark.usefixtures("only_onnxruntime")
def test_accuracy_is_not_for_sale(make_bundle: Maker, golden: dict[str, float]) -> None:
    """No operating points, no golden score, or a wrong one: measured by nobody, and auto does not take it."""
    without_points = make_bundle(golden=golden, operating_points={"int8": ()})
    without_score = make_bundle(golden={"fp32.onnx": golden["fp32.onnx"]})
    wrong_score = make_bundle(golden=golden | {"int8.onnx": golden["int8.onnx"] + 0.1})
    for bundle, reason in (
        (without_points, "no operating points"),
        (without_score, "no golden score"),
        (wrong_score, "expected"),
    ):
        good, bad = tune(bundle, seconds=0.01)
        assert (good.variant, good.excluded) == ("fp32.onnx", "")
        assert (bad.variant, bad.median_ms) == ("int8.onnx", None)
        assert reason in bad.excluded
        tuning_store.store(rows(bundle, (good, bad)))
        assert Verifier(bundle).variant.id == "fp32.onnx"
    with pytest.raises(EngineError, match=r"int8\.onnx: golden score"):
        tune(make_bundle(golden={key: score + 0.1 for key, score in golden.items()}), seconds=0.01)


def test_an_engine_that_cannot_run_it_is_excluded_with_its_words(
    make_bundle: Maker, golden: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = msgspec.structs.replace(fake_engine.ROW, packages=("numpy",), variants=("fp32.onnx",))
    monkeypatch.setitem(ENGINES, "broken", broken)
    excluded = [lap for lap in tune(make_bundle(golden=golden), seconds=0.01) if lap.engine == "broken"]
    assert [lap.excluded.split(":")[0] for lap in excluded] == ["EngineError"]


def test_what_cannot_be_measured_is_an_error(
    tiny_bundle: Bundle, make_bundle: Maker, golden: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleError, match="golden"):
        tune(tiny_bundle)
    bundle = make_bundle(golden=golden)
    for settings in ({"threads": ()}, {"threads": (0,)}, {"seconds": 0.0}, {"seconds": float("nan")}):
        with pytest.raises(UsageError):
            tune(bundle, **settings)  # type: ignore[arg-type]
    for name, row in ENGINES.items():
        if row.packages:
            monkeypatch.setitem(ENGINES, name, msgspec.structs.replace(row, packages=("no_such_package",)))
    with pytest.raises(MissingEngineError):
        tune(bundle)


# --- the file ---

LOCK = ".tuning.json.lock"


def names(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir())


def test_store_and_recall(tuning_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "conditions", lambda: "made up")
    assert tuning_store.recall("tiny", 1) == ()
    slow, fast = ROW, msgspec.structs.replace(ROW, variant="int8.onnx", median_ms=1.0)
    two = msgspec.structs.replace(ROW, threads=2)
    assert tuning_store.store([slow, fast, two]) == ""
    assert tuning_store.recall("tiny", 1) == (fast, slow)
    assert tuning_store.recall("tiny", 2) == (two,)
    assert tuning_store.recall("other", 1) == tuning_store.recall("tiny", 3) == ()
    tuning_store.store([slow])  # replaces what one bundle had for one number of threads
    assert tuning_store.recall("tiny", 1) == (slow,)
    assert tuning_store.recall("tiny", 2) == (two,)
    monkeypatch.setattr(device, "conditions", lambda: "another board, the same home folder")
    assert tuning_store.recall("tiny", 1) == ()
    assert names(tuning_file) == [LOCK, tuning_file.name]


ROW_OF_TODAY = msgspec.json.encode(ROW)
NEWER = [
    b'{"version": 3, "tuned": []}',
    b'{"version": 3, "by_bundle": {"tiny": 1}}',
]
UNREADABLE = [
    b"",
    b"{",
    b"\xff",
    b"[]",
    b"notes of somebody else",
    b'{"version": 2}',
    b'{"version": 2, "tuned": [{}]}',
    b'{"version": 2, "tuned": [], "more": 1}',
    b'{"version": 2, "tuned": [%s]}' % ROW_OF_TODAY.replace(b'"threads"', b'"power": 1, "threads"'),
    b'{"version": 2, "tuned": [%s]}' % ROW_OF_TODAY.replace(b"2.0", b"-2.0"),
    b'{"version": 2, "tuned": [%s]}' % ROW_OF_TODAY.replace(b"tiny", b"t\xffny"),
    b'{"version": 2, "more": %s' % (b"[" * 100_000),
    b" " * (tuning_store.MAX_BYTES + 1),
]


@pytest.mark.parametrize("damage", [*NEWER, *UNREADABLE])
def test_a_file_that_cannot_be_read_is_ignored_and_never_overwritten(
    damage: bytes, tuning_file: Path, caplog: pytest.LogCaptureFixture, tiny_bundle: Bundle
) -> None:
    tuning_file.parent.mkdir()
    tuning_file.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert tuning_store.recall("tiny", 1) == ()
    assert "ignoring" in caplog.text
    assert str(tuning_file) in caplog.text
    assert Verifier(tiny_bundle).variant.id == "int8.onnx"
    problem = tuning_store.store([ROW])
    assert str(tuning_file) in problem
    assert "EDGE_SDK_TUNING" in problem
    assert ("it has version 3, not 2" in problem) is (damage in NEWER)
    assert tuning_file.read_bytes() == damage
    assert names(tuning_file) == [tuning_file.name]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices with a path")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device"), (tmp_path, "a folder")):
        monkeypatch.setenv("EDGE_SDK_TUNING", str(place))
        caplog.clear()
        assert tuning_store.recall("tiny", 1) == ()
        assert f"is {kind}, not a file" in caplog.text
        assert re.search(f"is {kind}, not a file.*set EDGE_SDK_TUNING to a file", tuning_store.store([ROW]))
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_without_a_home_or_with_a_wrong_folder_nothing_is_recalled(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.delenv("EDGE_SDK_TUNING", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(tmp_path / "file"))
    assert tuning_store.recall("tiny", 1) == ()
    assert "set EDGE_SDK_CONFIG" in caplog.text
    assert "set EDGE_SDK_CONFIG" in tuning_store.store([ROW])


def test_what_an_older_version_stored_counts_as_nothing_and_is_replaced(tuning_file: Path) -> None:
    tuning_file.parent.mkdir()
    tuning_file.write_text('{"version": 1, "tuned": [{"bundle_id": "tiny"}]}')
    assert tuning_store.recall("tiny", 1) == ()
    assert tuning_store.store([ROW]) == ""
    assert json.loads(tuning_file.read_bytes())["version"] == 2


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows tells by access lists")


@posix
def test_it_is_written_for_its_owner_alone(tuning_file: Path) -> None:
    assert tuning_store.store([ROW]) == ""
    assert [path.stat().st_mode & 0o777 for path in (tuning_file, tuning_file.parent)] == [0o600, 0o700]


@posix
@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_others_can_write_is_ignored_and_never_overwritten(
    which: str, tuning_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(device, "conditions", lambda: "made up")
    tuning_store.store([ROW])
    assert tuning_store.recall("tiny", 1) == (ROW,)
    before = tuning_file.read_bytes()
    opened = tuning_file if which == "file" else tuning_file.parent
    opened.chmod(0o777)
    assert tuning_store.recall("tiny", 1) == ()
    assert f"ignoring what was tuned: {opened} can be written by others (chmod go-w" in caplog.text
    assert f"{opened} can be written by others" in tuning_store.store([msgspec.structs.replace(ROW, median_ms=1.0)])
    assert tuning_file.read_bytes() == before


def store_one(path: str, bundle_id: str) -> None:
    os.environ["EDGE_SDK_TUNING"] = path
    tuning_store.store([msgspec.structs.replace(ROW, bundle_id=bundle_id)])


def test_eight_processes_that_store_at_once_keep_eight_results(tuning_file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    wanted = [f"bundle-{number}" for number in range(8)]
    processes = [context.Process(target=store_one, args=(str(tuning_file), name)) for name in wanted]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sorted(row["bundle_id"] for row in json.loads(tuning_file.read_bytes())["tuned"]) == wanted
    assert names(tuning_file) == [LOCK, tuning_file.name]


def test_a_failed_write_leaves_the_old_file(tuning_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning_store.store([ROW])
    before = tuning_file.read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))
    assert "read-only" in tuning_store.store([msgspec.structs.replace(ROW, median_ms=1.0)])
    assert tuning_file.read_bytes() == before
    assert names(tuning_file) == [LOCK, tuning_file.name]


def test_where_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuning_store.path() == tmp_path / "config" / "tuning.json"
    monkeypatch.delenv("EDGE_SDK_TUNING")
    monkeypatch.setenv("EDGE_SDK_CONFIG", str(tmp_path / "own"))
    assert tuning_store.path() == tmp_path / "own" / "tuning.json"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE_SDK_TUNING", "here.json")
    assert tuning_store.path() == tmp_path / "here.json"
