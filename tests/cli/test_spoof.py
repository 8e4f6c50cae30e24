"""``edge-sdk spoof``: what it says of pictures, videos and cameras, and its exit codes.

The faces are drawn, but OpenCV's cascade finds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_sdk import SpoofDetector, images
from edge_sdk.bundle import Bundle
from edge_sdk.cli import main
from edge_sdk.runtime import sources

from ..paths import DATA
from ..runtime.drawn import frame
from ..runtime.filmed import Camera, cut, delay, film, spoil
from ..runtime.filmed_mp4 import edit, film_mp4
from ..runtime.test_detector import point, spoof_bundle

Maker = Callable[..., Bundle]
Capture = pytest.CaptureFixture[str]

BLACK, NOBODY = np.zeros((480, 640, 3), np.uint8), frame(seed=99)
TWO = frame((300, 100, 200), (20, 200, 150), seed=99)


def live(*seeds: int) -> list[np.ndarray]:
    return [frame((200, 100, 200), seed=seed) for seed in seeds]


@pytest.fixture(scope="module")
def lenient(make_bundle: Maker) -> str:
    """A bundle that calls every face live."""
    return str(spoof_bundle(make_bundle).path)


@pytest.fixture(scope="module")
def strict(make_bundle: Maker) -> str:
    """A bundle that calls none live."""
    return str(spoof_bundle(make_bundle, point(1.0)).path)


pytestmark = pytest.mark.usefixtures("fake_engine")


def spoof(bundle: str, *arguments: object) -> int:
    return main(["spoof", "--engine", "fake", "--bundle", bundle, *map(str, arguments)])


def lines(capsys: Capture) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What was printed, and the summary behind it."""
    *before, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert {line.pop("contract_version") for line in (*before, last)} == {1}
    assert list(last) == ["summary"]
    return before, last["summary"]


def save(folder: Path, **pictures: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), picture)
    return folder


# --- videos ---


def test_each_trouble_of_a_video_has_its_status(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    pictures = [*live(0, 1, 2, 3), BLACK, NOBODY, TWO, *live(4, 4, 5), *live(6, 7, 8, 9)]
    video = film(tmp_path / "trouble.mkv", pictures)
    delay(video, 10, 5000)
    spoil(video, 3)
    assert spoof(lenient, video, "--json", "--votes", 3, 2, 4) == 0
    frames, summary = lines(capsys)
    assert [(line["decision"], *line["reasons"]) for line in frames] == [
        ("uncertain", "undecided"),
        ("uncertain", "undecided"),
        ("live", "evidence"),
        ("uncertain", "corrupt"),
        ("uncertain", "too_dark", "flat"),
        ("no_face", "no_face"),
        ("uncertain", "several_faces"),
        ("live", "evidence"),
        ("uncertain", "frozen"),
        ("live", "evidence"),
        ("uncertain", "time_jump"),
        ("uncertain", "undecided"),
        ("uncertain", "undecided"),
        ("live", "evidence"),
    ]
    assert [len(line["frame"]["faces"]) for line in frames] == [1, 1, 1, 0, 0, 0, 2, 1, 0, 1, 1, 1, 1, 1]
    scored = [line["frame"]["timings"]["total_ms"] for line in frames if line["frame"]["score"] is not None]
    assert len(scored) == 9
    assert summary == {
        "source": str(video),
        "decision": "live",
        "frames": 14,
        "decided": 4,
        "first": {"decision": "live", "seconds": 0.25, "frames": 3},
        "counts": {"live": 4, "spoof": 0, "uncertain": 9, "no_face": 1},
        "errors": 0,
        "skipped": 0,
        "latency_ms": {"median": sorted(scored)[4], "max": max(scored)},
    }


def test_a_frame_is_what_the_detector_says(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    video = film(tmp_path / "a.avi", live(0, 1))
    spoof(lenient, video, "--json")
    frames, _ = lines(capsys)
    with SpoofDetector(lenient, engine="fake") as detector:
        expected = [result.as_dict() for result in detector.stream(sources.video(video))]
    for said in (*frames, *expected):
        del said["frame"]["timings"]
    assert frames == [{"source": str(video), "index": i, **line} for i, line in enumerate(expected)]
    (face,) = frames[0]["frame"]["faces"]
    assert list(face) == ["left", "top", "width", "height"]


def test_a_video_that_breaks_off_is_not_live(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    whole, broken = film(tmp_path / "whole.avi", live(*range(10))), film(tmp_path / "cut.avi", live(*range(10)))
    cut(broken, 9)
    assert spoof(lenient, whole, "--json") == 0
    capsys.readouterr()
    assert spoof(lenient, broken, "--json") == 1
    frames, summary = lines(capsys)
    assert [line["reasons"] for line in frames[8:]] == [["evidence"], ["corrupt"]]
    assert (summary["decision"], summary["frames"], summary["counts"]["live"]) == ("uncertain", 10, 3)


def test_a_trimmed_video_ends_as_it_shows(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    video = film_mp4(tmp_path / "a.mp4", [frame((200 + 4 * step, 100, 200), seed=step) for step in range(12)])
    edit(video, (1.0, 0.25))
    assert spoof(lenient, video, "--json") == 0
    frames, summary = lines(capsys)
    assert (summary["decision"], summary["frames"]) == ("live", 8)
    assert [line["time"] for line in frames] == [number / 8 for number in range(8)]


@pytest.mark.parametrize(("again", "decision"), [(1, "live"), (8, "live"), (9, "uncertain"), (20, "uncertain")])
def test_repeated_frames_at_the_end_change_nothing_for_a_second(
    again: int, decision: str, lenient: str, tmp_path: Path, capsys: Capture
) -> None:
    """What a compressed video of a calm face, or one with doubled frames, may end with; a camera that hangs ends so."""
    path = film(tmp_path / "still.avi", [*live(*range(12)), *live(11) * again])
    assert spoof(lenient, "--json", path) == (0 if decision == "live" else 1)
    frames, summary = lines(capsys)
    assert [frame["reasons"] for frame in frames[12:]] == [["frozen"]] * again
    assert {frame["decision"] for frame in frames[12:]} == {"uncertain"}
    assert summary["decision"] == decision
    assert spoof(lenient, "--json", "--gap", 0.5, "--frames", 12 + min(again, 4), path) == 0
    assert spoof(lenient, "--json", film(tmp_path / "hung.avi", live(0) * 9)) == 1, "nothing was known before"


def test_once_spoof_a_stream_is_spoof(strict: str, tmp_path: Path, capsys: Capture) -> None:
    video = film(tmp_path / "a.avi", [*live(0, 1), *[frame(seed=seed) for seed in range(10, 13)]])
    assert spoof(strict, video, "--json", "--votes", 2, 1, 2, "--cooldown", 0.2) == 1
    frames, summary = lines(capsys)
    assert [line["decision"] for line in frames] == ["spoof", "spoof", "no_face", "no_face", "no_face"]
    assert summary["decision"] == "spoof"
    assert summary["first"] == {"decision": "spoof", "seconds": 0.0, "frames": 1}


def test_limits_and_rules_reach_the_stream(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    video = film(tmp_path / "a.avi", live(*range(4)))

    def reasons(*options: object) -> list[list[str]]:
        spoof(lenient, video, "--json", *options)
        return [line["reasons"] for line in lines(capsys)[0]]

    waiting = ["undecided"]
    assert reasons() == [waiting] * 4
    assert reasons("--deadline", 0.25) == [waiting, waiting, [*waiting, "deadline"], waiting]
    assert reasons("--gap", 0.1) == [waiting, *[["time_jump"]] * 3]
    assert reasons("--sequential", 0.001, 100) == [waiting] * 3 + [["evidence"]], "1.5 nats each; 4.55 are wanted"
    assert reasons("--frames", 2) == [waiting] * 2
    assert reasons("--seconds", 0.25) == [waiting] * 2


def test_cropped_faces(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, crop=live(0)[0][110:290, 210:390])
    spoof(lenient, tmp_path, "--json", "--faces", "cropped")
    (picture,), _ = lines(capsys)
    assert picture["faces"] == [{"left": 0, "top": 0, "width": 180, "height": 180}]


# --- pictures ---


def test_pictures_are_judged_one_by_one(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, face10=live(1)[0], face9=live(0)[0])
    assert spoof(lenient, tmp_path, "--json") == 0
    found, summary = lines(capsys)
    assert [Path(line["source"]).name for line in found] == ["face9.png", "face10.png"]
    with SpoofDetector(lenient, engine="fake") as detector:
        expected = detector.detect(tmp_path / "face9.png").as_dict()
    del expected["timings"], found[0]["timings"]
    assert found[0] == {"source": str(tmp_path / "face9.png"), **expected}
    assert {key: summary[key] for key in ("source", "decision", "frames", "first")} == {
        "source": None, "decision": "live", "frames": 2, "first": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pictures", "decision"),
    [
        ({"a": TWO, "b": TWO}, "uncertain"),
        ({"a": NOBODY}, "no_face"),
        ({"a": live(0)[0], "b": NOBODY}, "uncertain"),
        ({"a": BLACK, "b": NOBODY}, "uncertain"),
    ],
    ids=["two faces", "nobody", "mixed", "black and nobody"],
)
def test_only_live_is_0(
    pictures: dict[str, np.ndarray], decision: str, lenient: str, tmp_path: Path, capsys: Capture
) -> None:
    assert spoof(lenient, save(tmp_path, **pictures), "--json") == 1
    assert lines(capsys)[1]["decision"] == decision


def test_any_spoof_is_spoof(strict: str, tmp_path: Path, capsys: Capture) -> None:
    assert spoof(strict, save(tmp_path, a=live(0)[0], b=NOBODY), "--json") == 1
    assert lines(capsys)[1]["decision"] == "spoof"


def test_what_cannot_be_read_is_3_and_the_rest_is_judged(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    folder = save(tmp_path / "pictures", b=live(0)[0])
    (folder / "a.png").write_bytes((folder / "b.png").read_bytes()[:-10])
    (tmp_path / "words.avi").write_text("words")
    video = film(tmp_path / "good.avi", live(*range(7)))
    assert spoof(lenient, folder, tmp_path / "words.avi", video, "--json") == 3
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (said[0]["source"], said[0]["error"]["type"]) == (str(folder / "a.png"), "ImageDecodeError")
    assert said[1]["decision"] == "live"
    assert "convert" in said[3]["error"]["message"]
    summaries = [line["summary"] for line in said if "summary" in line]
    assert [(part["decision"], part["frames"], part["errors"]) for part in summaries] == [
        ("uncertain", 1, 1), ("uncertain", 0, 1), ("live", 7, 0),
    ]  # fmt: skip
    assert summaries[1]["latency_ms"] is None
    assert spoof(lenient, tmp_path / "words.avi") == 3
    assert "VideoDecodeError" in capsys.readouterr().err


def test_nothing_in_a_folder_is_passed_over_silently(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    folder = save(tmp_path / "pictures", **{"2": live(0)[0]})
    (folder / "2.png").rename(folder / "2.jfif")
    (folder / "3.txt").write_text("notes")
    assert spoof(lenient, folder, "--json") == 0, "notes show no face"
    said, summary = lines(capsys)
    assert [Path(line["source"]).name for line in said] == ["2.jfif", "3.txt"]
    assert (said[0]["decision"], said[1]["skipped"]) == ("live", "neither a picture nor a video")
    assert (summary["decision"], summary["frames"], summary["errors"], summary["skipped"]) == ("live", 1, 0, 1)
    assert spoof(lenient, folder) == 0
    assert capsys.readouterr().err == f"edge-sdk: skipped {folder / '3.txt'}: neither a picture nor a video\n"

    (folder / "1.webp").write_bytes(cv2.imencode(".webp", live(1)[0])[1].tobytes())
    (folder / "4.jpg").symlink_to("gone.jpg")
    (folder / "5").mkdir()
    film(folder / "6.avi", live(0))
    (folder / "7.H264").write_bytes(b"\0\0\0\1\x67" + bytes(60))  # a bare stream, without a container
    assert spoof(lenient, folder, "--json") == 3
    said, summary = lines(capsys)
    assert [Path(line["source"]).name for line in said] == [
        "1.webp",
        "2.jfif",
        "3.txt",
        "4.jpg",
        "5",
        "6.avi",
        "7.H264",
    ]
    errors = {Path(line["source"]).name: line["error"]["type"] for line in said if "error" in line}
    unsupported = dict.fromkeys(("1.webp", "5", "6.avi", "7.H264"), "UnsupportedImageError")
    assert errors == {**unsupported, "4.jpg": "ImageDecodeError"}
    assert (summary["decision"], summary["frames"], summary["errors"]) == ("uncertain", 1, 5)


def test_a_folder_as_a_video_says_what_it_leaves_out(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, **{f"f{number}": picture for number, picture in enumerate(live(*range(8)))})
    (tmp_path / "list.txt").write_text("f0 f1")
    assert spoof(lenient, tmp_path, "--fps", 4, "--json") == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (said[0]["source"], said[0]["skipped"]) == (str(tmp_path / "list.txt"), "neither a picture nor a video")
    (tmp_path / "f3.png").write_bytes(b"damaged")
    spoof(lenient, tmp_path, "--fps", 4, "--json")
    frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["reasons"] for one in frames if one.get("index") == 3] == [["corrupt"]]
    film(tmp_path / "all.avi", live(0))
    assert spoof(lenient, tmp_path, "--fps", 4, "--json") == 3
    assert "a video" in json.loads(capsys.readouterr().out.splitlines()[0])["error"]["message"]
    (tmp_path / "all.avi").unlink()
    (tmp_path / "f3.webp").write_bytes(cv2.imencode(".webp", live(3)[0])[1].tobytes())
    assert spoof(lenient, tmp_path, "--fps", 4, "--json") == 3
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "WebP" in said[0]["error"]["message"]
    assert [one["index"] for one in said if "index" in one] == list(range(8)), "the others are judged all the same"


def test_a_folder_as_a_video(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, **{f"f{number}": picture for number, picture in enumerate(live(*range(8)))})
    (tmp_path / "f7.png").write_bytes(b"")
    assert spoof(lenient, tmp_path, "--fps", 4, "--json") == 1
    frames, summary = lines(capsys)
    assert [line["time"] for line in frames] == [number / 4 for number in range(8)]
    assert [line["decision"] for line in frames] == ["uncertain"] * 6 + ["live", "uncertain"]
    assert frames[7]["reasons"] == ["corrupt"]
    assert summary["first"] == {"decision": "live", "seconds": 1.5, "frames": 7}


def test_a_threshold_of_ones_own(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    folder = save(tmp_path, a=live(0)[0])
    spoof(lenient, folder, "--json")
    score = lines(capsys)[0][0]["score"]
    for threshold, code, decision in ((score, 0, "live"), (score / 2, 1, "spoof")):
        assert spoof(lenient, folder, f"--threshold={threshold}", "--json") == code
        (picture,), summary = lines(capsys)
        assert (picture["threshold"], picture["operating_point"]) == (threshold, "custom")
        assert summary["decision"] == decision
    assert spoof(lenient, folder, "--threshold", "inf") == 2
    assert spoof(lenient, folder, "--threshold", "0.5") == 2, "no reconstruction error is below 0"


# --- a camera ---


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Camera 0 shows a live face eight times a second; then somebody presses Ctrl-C."""

    def frames(number: int) -> Iterator[sources.Stamped]:
        assert number == 0
        yield from ((100 + seed / 8, picture) for seed, picture in enumerate(live(*range(9))))
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "camera", frames)


@pytest.mark.usefixtures("camera")
def test_a_camera_until_somebody_ends_it(lenient: str, capsys: Capture) -> None:
    assert spoof(lenient, "--camera", 0, "--json") == 0
    frames, summary = lines(capsys)
    assert [line["source"] for line in frames] == ["camera 0"] * 9
    assert (summary["decision"], summary["frames"]) == ("live", 9)
    assert summary["first"] == {"decision": "live", "seconds": 0.75, "frames": 7}


@pytest.mark.usefixtures("camera")
def test_a_camera_until_its_time_is_over(lenient: str, capsys: Capture) -> None:
    assert spoof(lenient, "--camera", 0, "--json", "--seconds", 0.5) == 1
    assert lines(capsys)[1]["frames"] == 4


def test_no_camera_and_an_interrupted_video(
    lenient: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera())
    assert spoof(lenient, "--camera", 5, "--json") == 3
    (error,), summary = lines(capsys)
    assert (error["source"], error["error"]["type"]) == ("camera 5", "CameraError")
    assert summary["decision"] == "uncertain"

    def interrupted(_: Path) -> Iterator[sources.Stamped]:
        yield 0.0, live(0)[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(sources, "video", interrupted)
    (tmp_path / "a.avi").touch()
    assert spoof(lenient, tmp_path / "a.avi") == 130, "what was not seen to its end is not judged"


# --- for people ---


def test_text_has_a_line_for_each_change(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    video = film(tmp_path / "a.avi", [*live(*range(8)), NOBODY])
    assert spoof(lenient, video) == 1
    first, second, third, *summary = capsys.readouterr().out.splitlines()
    assert first.split() == ["0.00", "s", "UNCERTAIN", first.split()[3], "1", "face", "undecided"]
    assert (second.split()[:3], second.split()[-1]) == (["0.75", "s", "LIVE"], "evidence")
    assert third.split() == ["1.00", "s", "NO_FACE", "no", "score", "0", "faces", "no_face"]
    assert summary[0].split() == f"NO_FACE {video}: 9 frames, 2 decided: LIVE 2, UNCERTAIN 6, NO_FACE 1".split()
    assert summary[1].strip() == "first LIVE after 0.75 s, 7 frames"
    assert "median" in summary[2]


def test_a_terminal_shows_one_line(
    lenient: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    spoof(lenient, film(tmp_path / "a.avi", live(0, 1)))
    shown, summary = capsys.readouterr().out.split("\n", maxsplit=1)
    empty, first, second = shown.split("\r")
    assert (empty, len(first), len(second)) == ("", 29, 29)
    assert (first[:12].strip(), second[:12].strip()) == ("0.00 s", "0.12 s")
    assert summary.startswith("UNCERTAIN")


def test_one_picture_is_one_line(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    path = save(tmp_path, two=TWO) / "two.png"
    assert spoof(lenient, path) == 1
    assert capsys.readouterr().out.split() == ["UNCERTAIN", "no", "score", "2", "faces", f"{path}:", "several_faces"]


# --- usage ---


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.png", "--camera", "0"],
        ["--camera", "-1"],
        ["--camera", "front"],
        ["--camera", "0", "--seconds", "0"],
        ["--camera", "0", "--frames", "-3"],
        ["--camera", "0", "--fps", "nan"],
        ["--camera", "0", "--deadline", "0"],
        ["--camera", "0", "--votes", "3", "2"],
        ["--camera", "0", "--votes", "2", "2", "4"],
        ["--camera", "0", "--votes", "3", "2", "4", "--sequential", "1", "0"],
        ["--camera", "0", "--sequential", "0", "0"],
        ["--camera", "0", "--faces", "mine"],
    ],
)
@pytest.mark.usefixtures("camera")
def test_wrong_usage_is_2(arguments: list[str], lenient: str) -> None:
    assert spoof(lenient, *arguments) == 2


def test_the_shipped_bundle_is_taken(tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, gray=np.full((240, 320, 3), 128, np.uint8))
    assert main(["spoof", str(tmp_path / "gray.png"), "--json"]) == 1
    picture, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert picture["decision"] != "LIVE"
    assert "liveness" in json.dumps(summary | picture)


def test_what_is_not_there_is_said_first(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path, a=live(0)[0])
    assert spoof(lenient, tmp_path / "a.png", tmp_path / "nonesuch.avi", "--json") == 3
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "ImageNotFoundError"


# --- real faces ---


@pytest.mark.data
def test_a_real_face_in_a_video(lenient: str, tmp_path: Path, capsys: Capture) -> None:
    """Found in every frame, in its place, although it moves."""
    data = DATA
    path = data / "cfp/Data/Images/001/frontal/01.jpg"
    if not path.exists():
        pytest.skip(f"real data absent: {path} (set EDGE_SDK_DATA)")
    portrait = cv2.resize(images.load(path), (240, 240))
    pictures = [frame(seed=seed) for seed in range(8)]
    for step, picture in enumerate(pictures):
        picture[120:360, 180 + 5 * step : 420 + 5 * step] = portrait
    assert spoof(lenient, film(tmp_path / "a.avi", pictures), "--json") == 0
    frames, summary = lines(capsys)
    assert {line["track"] for line in frames} == {0}
    lefts = [line["frame"]["faces"][0]["left"] for line in frames]
    assert 20 < lefts[-1] - lefts[0] < 50
    assert summary["first"]["frames"] == 7
