"""Each decision has its line, no line has a person's data, and nothing is decided that cannot be written."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pytest

import edge_sdk
from edge_sdk import AuditLog, Locator, Shots, SpoofDetector, Template, Verifier
from edge_sdk.bundle import Bundle
from edge_sdk.errors import (
    EngineError,
    ForeignFileError,
    ImageNotFoundError,
    InputError,
    RejectedSampleError,
    RevokedTemplateError,
    StorageError,
    UsageError,
)
from edge_sdk.runtime import audit as auditing
from edge_sdk.runtime import health
from edge_sdk.runtime.audit import AuditLine
from edge_sdk.runtime.revocation import revoke

from ..paths import ROOT
from .drawn import frame
from .test_detector import WITH_FACE, detector, live_frames, point, spoof_bundle, stamped
from .test_verifier import fake

pytestmark = pytest.mark.usefixtures("fake_engine")
Maker = Callable[..., Bundle]
Signer = Callable[..., np.ndarray]

LINES = msgspec.json.Decoder(AuditLine)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture(scope="module")
def lenient(make_bundle: Maker) -> Bundle:
    return spoof_bundle(make_bundle)


@pytest.fixture(scope="module")
def strict(make_bundle: Maker) -> Bundle:
    return spoof_bundle(make_bundle, point(1.0))


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def broken(_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "audit.jsonl")


def test_a_decision_has_a_line_with_what_decided(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    with Verifier(tiny_bundle, audit=log) as verifier:
        before = datetime.now(timezone.utc)
        result = verifier.verify(signer(1), signer(2))
        (line,) = written(log)
        assert before <= datetime.fromisoformat(line["time"].replace("Z", "+00:00")) <= datetime.now(timezone.utc)
        assert line["time"].endswith("Z")
        del line["time"]
        assert line == {
            "contract_version": 1,
            "session": verifier.status().session,
            "sequence": 1,
            "event": "verify",
            "bundle_id": tiny_bundle.id,
            "bundle_sha256": tiny_bundle.sha256,
            "variant": verifier.variant.id,
            "variant_sha256": tiny_bundle.manifest.variant_sha256(verifier.variant.id),
            "engine": verifier.engine,
            "edge_sdk": edge_sdk.__version__,
            "outcome": "rejected",
            "operating_point": "fmr_1e-2",
            "threshold": 0.9,
            "references": 1,
            "score": result.score,
            "raw_score": result.raw_score,
            "quality": [],
            "timings": result.as_dict()["timings"],
        }
        assert verifier.verify(signer(1), signer(1))
        accepted = written(log)[1]
    assert (accepted["outcome"], accepted["sequence"], accepted["score"]) == ("accepted", 2, 1.0)
    assert list(accepted)[:5] == ["contract_version", "time", "session", "sequence", "event"]


def test_every_call_has_its_line(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    with Verifier(tiny_bundle, threshold=0.001, audit=log) as verifier:
        template = verifier.enroll([signer(1), signer(2)])
        verifier.verify(template, signer(1))
        verifier.verify(template, Shots([signer(1), signer(2)]))
        verifier.identify(signer(1), {"anna": template, "ben": verifier.enroll(signer(3))})
        embedded = verifier.embed(signer(4))
        verifier.compare(template, embedded)
        with pytest.raises(RejectedSampleError):
            verifier.update(template, signer(1))
        lines = written(log)
    outcomes = [(line["event"], line["outcome"]) for line in lines]
    assert outcomes == [
        ("enroll", "enrolled"),
        ("verify", "accepted"),
        ("verify", "accepted"),
        ("enroll", "enrolled"),
        ("identify", "identified"),
        ("compare", "compared"),
        ("update", "rejected"),
    ]
    assert [line["sequence"] for line in lines] == list(range(1, 8))
    assert (lines[0]["count"], lines[3]["count"]) == (2, 1)
    assert (lines[1]["operating_point"], "references" in lines[1]) == ("custom", False)
    assert lines[4]["enrolled"] == 2
    assert "threshold" not in lines[5]
    assert lines[5]["score"] < lines[1]["score"]
    assert lines[6]["error"] == "RejectedSampleError"


def test_a_template_is_known_by_its_id(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    with Verifier(tiny_bundle, threshold=0.001, audit=log) as verifier:
        anna, ben = verifier.enroll(signer(1)), verifier.enroll(signer(2))
        old = msgspec.structs.replace(anna, template_id="")
        verifier.verify(anna, signer(1))
        verifier.verify(query=signer(1), reference=old)
        verifier.compare(ben, verifier.embed(signer(2)))
        people = {"anna": anna, "ben": ben}
        assert verifier.identify(signer(2), people).identity == "ben"
        assert verifier.identify(signer(2), templates=verifier.gallery(people), count=1).identity == "ben"
        assert verifier.identify(signer(1), verifier.gallery({"anna": old, "ben": ben})).identity == "anna"
        with pytest.raises(ImageNotFoundError):
            verifier.verify(ben, "absent.png")
    found = [line.get("template_id") for line in written(log)]
    assert found == [
        *(anna.template_id, ben.template_id),
        *(anna.template_id, None),
        ben.template_id,
        *(ben.template_id, ben.template_id, None),
        ben.template_id,
    ]


def test_a_revoked_template_is_named_by_its_id(tiny_bundle: Bundle, signer: Signer, tmp_path: Path, log: Path) -> None:
    revoke(tmp_path / "revoked.txt")
    with Verifier(tiny_bundle, revoked=tmp_path / "revoked.txt", audit=log) as verifier:
        template = verifier.enroll(signer(1))
        revoke(tmp_path / "revoked.txt", template.template_id)
        with pytest.raises(RevokedTemplateError):
            verifier.verify(template, signer(1))
        assert verifier.status().state == "healthy"
    line = written(log)[-1]
    assert (line["outcome"], line["error"]) == ("error", "RevokedTemplateError")
    assert line["template_id"] == template.template_id


def test_an_update_has_its_line(signer: Signer, log: Path) -> None:
    with Verifier("deepsign_nano", audit=log) as verifier:
        template = verifier.enroll([signer(1), np.roll(signer(1), 9, axis=1)])
        verifier.update(template, signer(1, ink=60))
    assert (written(log)[1]["event"], written(log)[1]["outcome"], written(log)[1]["count"]) == ("update", "updated", 3)


def test_no_line_holds_a_persons_data(tiny_bundle: Bundle, signer: Signer, tmp_path: Path, log: Path) -> None:
    """Neither the names of people nor those of files, of results and of errors."""
    import cv2

    path = tmp_path / "anna.png"
    cv2.imwrite(str(path), signer(1))
    with Verifier(tiny_bundle, audit=log) as verifier:
        templates = {"anna": verifier.enroll(path), "ben": verifier.enroll(signer(2))}
        assert verifier.identify(path, templates).identity == "anna"
        with pytest.raises(ImageNotFoundError):
            verifier.verify(path, tmp_path / "anna-2.png")
    text = log.read_text()
    assert "anna" not in text and "ben" not in text and str(tmp_path) not in text
    assert written(log)[-1]["error"] == "ImageNotFoundError"
    assert max(map(len, text.splitlines())) < 1200, "nothing of the size of an embedding"


def test_who_was_identified_is_named_where_that_is_asked(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    name = "Zoë\n\udcff"
    with AuditLog(log, names=True) as opened, Verifier(tiny_bundle, audit=opened) as verifier:
        templates = {name: verifier.enroll(signer(1)), "ben": verifier.enroll(signer(2))}
        assert verifier.identify(signer(1), templates).identity == name
        assert not verifier.identify(signer(5), templates)
    found, none = (json.loads(line) for line in log.read_text("utf-8").splitlines()[2:])
    assert found["identity"] == "Zoë\n\\udcff"
    assert (none["outcome"], "identity" in none) == ("not_identified", False)


def test_a_picture_without_a_signature_is_rejected_with_its_flags(tiny_bundle: Bundle, log: Path) -> None:
    blank = np.full((380, 600), 255, np.uint8)
    with Verifier(tiny_bundle, audit=log) as verifier:
        result = verifier.verify(blank, blank)
    (line,) = written(log)
    assert line["quality"] == list(result.quality) != []
    assert (line["outcome"], line["raw_score"]) == ("rejected", result.as_dict()["raw_score"])


@pytest.mark.parametrize("failure", ["error", "nan", "zero"])
def test_a_call_that_fails_has_a_line(make_bundle: Maker, signer: Signer, log: Path, failure: str) -> None:
    with Verifier(make_bundle(models=fake(failure=failure)), engine="fake", audit=log) as verifier:
        with pytest.raises(EngineError):
            verifier.verify(signer(1), signer(1))
        with pytest.raises(UsageError):
            verifier.identify(signer(1), {})
    failed, misused = written(log)
    assert (failed["outcome"], failed["error"], "score" in failed) == ("error", "EngineError", False)
    assert (misused["event"], misused["error"]) == ("identify", "UsageError")


@pytest.mark.parametrize("call", ["verify", "identify", "enroll", "compare", "update"])
def test_nothing_is_decided_that_cannot_be_written(
    tiny_bundle: Bundle, signer: Signer, log: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with Verifier(tiny_bundle, audit=log) as verifier:
        template = verifier.enroll([signer(1), signer(2)])
        embedded = verifier.embed(signer(1))
        calls: dict[str, Callable[[], object]] = {
            "verify": lambda: verifier.verify(template, signer(1)),
            "identify": lambda: verifier.identify(signer(1), {"anna": template}),
            "enroll": lambda: verifier.enroll(signer(1)),
            "compare": lambda: verifier.compare(template, embedded),
            "update": lambda: verifier.update(template, signer(3)),
        }
        with monkeypatch.context() as full:
            full.setattr("edge_sdk.files.appending.AppendedFile.append", lambda _, line: broken(line))
            with pytest.raises(StorageError, match="cannot be written: No space left") as caught:
                calls[call]()
            if call == "update":
                assert isinstance(caught.value.__context__, OSError)
            assert verifier.status().reasons == ("audit",)
        assert len(written(log)) == 1
        verifier.verify(template, signer(1))
        assert written(log)[-1]["sequence"] == 3, "the gap is the line that is missing"
        assert verifier.status().state == "healthy"


def test_a_line_that_cannot_be_made_is_an_error_of_the_audit(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    class Leaving(dict[str, Template]):
        """A mapping from which somebody is taken while it is searched."""

        def __getitem__(self, name: str) -> Template:
            raise KeyError(name)

    with Verifier(tiny_bundle, audit=log) as verifier:
        templates = Leaving(anna=verifier.enroll(signer(1)))
        with pytest.raises(StorageError, match="no audit line can be made of a call of identify: KeyError"):
            verifier.identify(signer(1), templates)
        status = verifier.status()
        assert (status.reasons, status.engine_errors) == (("audit",), 0)
        with pytest.raises(UsageError):
            verifier.identify(signer(1), {1: templates.popitem()[1]})  # type: ignore[dict-item]
        assert verifier.status().reasons == ()
    assert [line["outcome"] for line in written(log)] == ["enrolled", "error"]


def test_an_error_that_cannot_be_written_is_kept_as_the_cause(
    tiny_bundle: Bundle, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Verifier(tiny_bundle, audit=log) as verifier:
        monkeypatch.setattr("edge_sdk.files.appending.AppendedFile.append", lambda _, line: broken(line))
        with pytest.raises(StorageError) as caught:
            verifier.verify("absent.png", "absent.png")
    assert isinstance(caught.value.__cause__.__context__, InputError)  # type: ignore[union-attr]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_log_that_others_may_write_is_refused(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    log.touch()
    log.chmod(0o666)
    with pytest.raises(ForeignFileError, match="go-w"):
        Verifier(tiny_bundle, audit=log)
    log.chmod(0o600)
    with Verifier(tiny_bundle, audit=log) as verifier:
        log.chmod(0o666)
        with pytest.raises(ForeignFileError, match="go-w"):
            verifier.verify(signer(1), signer(1))


def test_a_log_that_cannot_be_opened_is_an_error_of_the_constructor(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        Verifier(tiny_bundle, audit=tmp_path / "absent" / "audit.jsonl")
    for wrong in (True, 3, [str(tmp_path)], b"audit.jsonl"):
        with pytest.raises(UsageError, match="pass the path of a file"):
            Verifier(tiny_bundle, audit=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [b"EDGE-TEMPLATE-1\n", b"# left\n", b"0" * 32 + b"\n", b'{"policy": "require"}\n', b"\x89PNG", b"\0\0\0\x18ftyp"],
)
def test_a_file_of_something_else_is_not_appended_to(tiny_bundle: Bundle, log: Path, content: bytes) -> None:
    log.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StorageError, match=f"{log.name} cannot be written: it holds something else"):
            Verifier(tiny_bundle, audit=log)
    assert log.read_bytes() == content


@pytest.mark.parametrize(
    "content", [b"", b'{"contract_version":1,"time"', b'{"contr\n{"contract_version"', b"\0" * 4096]
)
def test_a_file_whose_first_line_was_cut_is_appended_to(
    tiny_bundle: Bundle, signer: Signer, log: Path, content: bytes
) -> None:
    log.write_bytes(content)
    with Verifier(tiny_bundle, audit=log) as verifier:
        verifier.verify(signer(1), signer(1))
    assert json.loads(log.read_bytes().splitlines()[-1])["outcome"] == "accepted"


@pytest.mark.parametrize(
    "settings", [{"max_bytes": 100_000}, {"keep": 3}, {"max_bytes": 10, "keep": 1}, {"max_bytes": 1e6, "keep": 1}]
)
def test_moving_full_files_needs_a_size_and_a_number(log: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="give both"):
        AuditLog(log, **settings)
    assert not log.exists()


@pytest.mark.parametrize("name", ["sync", "names", "every_frame"])
def test_a_switch_is_true_or_false(log: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 'no'"):
        AuditLog(log, **{name: "no"})  # type: ignore[arg-type]


def test_sessions_and_threads_share_a_log(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    pictures = [signer(1), signer(2)]
    with AuditLog(log, max_bytes=2**16, keep=1000) as opened:
        verifiers = [Verifier(tiny_bundle, audit=opened) for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: verifiers[n % 2].verify(*pictures), range(200)))
        ids = [verifier.status().session for verifier in verifiers]
        for verifier in verifiers:
            verifier.close()
        opened.append(b"{}")  # a session leaves a log that it was given open
    lines = [line for path in log.parent.glob("audit.jsonl*") for line in written(path) if line]
    for one in ids:
        assert sorted(line["sequence"] for line in lines if line["session"] == one) == list(range(1, 101))
    assert log.with_name("audit.jsonl.1").exists()


def test_a_closed_session_says_so_and_a_closed_log_is_an_error(tiny_bundle: Bundle, signer: Signer, log: Path) -> None:
    with Verifier(tiny_bundle, audit=log) as verifier:
        pass
    with pytest.raises(EngineError, match="closed"):
        verifier.verify(signer(1), signer(1))
    opened = AuditLog(log)
    with Verifier(tiny_bundle, audit=opened) as verifier:
        opened.close()
        with pytest.raises(StorageError, match="closed"):
            verifier.verify(signer(1), signer(1))


def test_a_fork_decides_and_writes_nothing(
    tiny_bundle: Bundle, signer: Signer, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Verifier(tiny_bundle, audit=log) as verifier:
        embedded = verifier.embed(signer(1))
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: 0)
            with pytest.raises(EngineError, match="fork"):
                verifier.verify(signer(1), signer(1))
            with pytest.raises(EngineError, match="fork"):
                verifier.compare(embedded, embedded)
    assert written(log) == []


# --- liveness --------------------------------------------------------------------------------------------------------


def test_each_picture_has_its_line(lenient: Bundle, strict: Bundle, log: Path) -> None:
    with AuditLog(log) as opened:
        for bundle in (lenient, strict):
            with detector(bundle, audit=opened) as one:
                for picture in (WITH_FACE, frame(seed=1), frame((200, 100, 200), (0, 280, 200))):
                    one.detect(picture)
    outcomes = [(line["outcome"], line["quality"], line["score"] is None) for line in written(log)]
    rest = [("no_face", [], True), ("uncertain", ["several_faces"], True)]
    assert outcomes == [("live", [], False), *rest, ("spoof", [], False), *rest]
    assert {line["event"] for line in written(log)} == {"detect"}


def test_a_stream_has_a_line_where_its_decision_changes(lenient: Bundle, log: Path) -> None:
    pictures = [*live_frames(5), frame(seed=9), frame(seed=10)]
    with detector(lenient, audit=log) as opened:
        results = list(opened.stream(stamped(pictures)))  # type: ignore[arg-type]
        assert opened.status().calls == 7
    lines = written(log)
    assert [(line["outcome"], line["frames"], line["reasons"]) for line in lines] == [
        ("uncertain", 1, ["undecided"]),
        ("live", 2, ["evidence"]),
        ("no_face", 3, ["no_face"]),
    ]
    live = results[2]
    assert (lines[1]["time_s"], lines[1]["track"], lines[1]["score"]) == (live.time, live.track, live.frame.score)
    assert {line["stream"] for line in lines} == {1}


def test_a_stream_has_a_line_where_it_misses_its_deadline_and_every_ten_seconds(lenient: Bundle, log: Path) -> None:
    seen = [(i * 0.5, frame((200, 100, 200), seed=i % 2)) for i in range(50)]
    with detector(lenient, audit=log) as opened:
        reasons = [result.reasons for result in opened.stream(seen, deadline=3.0)]
    stamps = [line["time_s"] for line in written(log)]
    missed = [i * 0.5 for i, found in enumerate(reasons) if "deadline" in found]
    assert set(missed) <= set(stamps)
    assert max(np.diff(stamps)) <= auditing.STREAM_LINE_S


def test_each_frame_has_a_line_where_that_is_asked(lenient: Bundle, log: Path) -> None:
    with AuditLog(log, every_frame=True) as opened, detector(lenient, audit=opened) as one:
        for _ in range(2):
            list(one.stream(stamped(live_frames(4))))  # type: ignore[arg-type]
    assert [(line["stream"], line["frames"]) for line in written(log)] == [(1, 1)] * 4 + [(2, 1)] * 4


def test_a_stream_ends_with_the_frame_that_cannot_be_written(
    lenient: Bundle, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with detector(lenient, audit=log) as opened:
        stream = opened.stream(stamped(live_frames(4)))  # type: ignore[arg-type]
        next(stream), next(stream)
        monkeypatch.setattr("edge_sdk.files.appending.AppendedFile.append", lambda _, line: broken(line))
        with pytest.raises(StorageError):
            next(stream)
        assert list(stream) == []
        assert opened.status().reasons == ("audit",)
    assert [line["outcome"] for line in written(log)] == ["uncertain"], "LIVE was never given"


def test_a_stream_that_fails_has_a_line(lenient: Bundle, log: Path) -> None:
    with detector(lenient, audit=log) as opened:
        with pytest.raises(ImageNotFoundError):
            list(opened.stream([WITH_FACE, "absent.png"]))
        left = opened.stream(stamped(live_frames(3)))  # type: ignore[arg-type]
        next(left)
        left.close()  # type: ignore[attr-defined]
    assert [line.get("error") for line in written(log)] == [None, "ImageNotFoundError", None]


def test_a_locator_decides_about_nobody_and_has_no_audit() -> None:
    with pytest.raises(TypeError, match="audit"):
        Locator(audit="audit.jsonl")  # type: ignore[call-arg]


def test_lines_are_what_the_record_says(tiny_bundle: Bundle, lenient: Bundle, signer: Signer, log: Path) -> None:
    with AuditLog(log) as opened, Verifier(tiny_bundle, audit=opened) as verifier:
        verifier.verify(signer(1), signer(2))
        with SpoofDetector(lenient, engine="fake", faces="cropped", audit=opened) as one:
            list(one.stream(stamped(live_frames(2))))  # type: ignore[arg-type]
    for line in log.read_bytes().splitlines():
        found = LINES.decode(line)
        assert found.contract_version == auditing.CONTRACT_VERSION
        assert datetime.now(timezone.utc) - found.time < timedelta(minutes=5)


def test_the_page_has_a_row_for_each_key_and_names_every_outcome() -> None:
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    table = page.partition("### The lines")[2].partition("\nOf a stream")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) != []
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(AuditLine.__struct_fields__)
    assert {*get_args(auditing.Event), *get_args(auditing.Outcome)} <= set(re.findall(r"`(\w+)`", table))


def test_the_page_has_a_row_for_each_state_and_reason() -> None:
    page = (ROOT / "docs" / "audit.md").read_text("utf-8")
    table = page.partition("| state | reason |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\|[^|]*\| `(\w+)` \|", table, re.MULTILINE)) == set(get_args(health.Reason))
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(get_args(health.State))
