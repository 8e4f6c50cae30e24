"""``edge-sdk rule``: recordings scored once, a rule that fits them, and a bundle that decides streams by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_sdk import SpoofDecision, SpoofDetector, files, preprocess
from edge_sdk.bundle import Bundle, SigningKey, Trust
from edge_sdk.calibration import rewriting
from edge_sdk.cli import main
from edge_sdk.errors import BundleError, UsageError
from edge_sdk.export.data.load import load
from edge_sdk.export.evaluation.spoof import recorded, rules
from edge_sdk.export.packaging import over_time
from edge_sdk.manifest import DecisionHead, Input, Output, Rate, SpoofPoint, ThresholdProvenance
from edge_sdk.runtime.temporal import Limits, placed

pytestmark = pytest.mark.usefixtures("only_onnxruntime")
Capture = pytest.CaptureFixture[str]

PEOPLE, FRAMES, SIDE = 6, 8, 8
THRESHOLD = 0.5


@pytest.fixture(scope="module")
def model(make_bundle: Callable[..., Bundle]) -> Bundle:
    """Calls pictures live that are bright: the score is their mean, white being 1."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIDE, SIDE])
    logit = helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["batch", 1])
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logit"]),
    ]
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_model(helper.make_graph(nodes, "bright", [image], [logit]), opset_imports=opset, ir_version=8)
    onnx.checker.check_model(graph)
    few = Rate(value=0.1, low=0.0, high=0.2, errors=1, trials=10)
    point = SpoofPoint(
        name="apcer_1e-1", threshold=THRESHOLD, target=0.1, apcer=few, bpcer=few, species={"print": few}, data="made up"
    )
    return make_bundle(
        models={"fp32": graph.SerializeToString()},
        operating_points={"fp32": (point,)},
        task="spoof",
        modality="face",
        preprocessing=(preprocess.ToGray(), preprocess.Fit(height=SIDE, width=SIDE, stretch=1.0)),
        inputs=(Input(name="image", shape=("batch", 1, SIDE, SIDE)),),
        outputs=(Output(name="logit", shape=("batch", 1), role="logit"),),
        score=DecisionHead(output="model.logit", activation="identity"),
        embedding_space_id=None,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of bright people and of darker prints, two of each person; one print is nearly as bright as they."""
    root = tmp_path_factory.mktemp("faces") / "mine"
    for person in range(PEOPLE):
        for day in ("one", "two"):
            for folder, level in (("live", 200), ("attack-print", 170 if (person, day) == (0, "one") else 90)):
                for number in range(FRAMES):
                    path = root / folder / f"p{person}" / day / f"{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    noise = np.random.default_rng((person, number, level, len(day), ord(day[0]))).integers(
                        -25, 26, (40, 40)
                    )
                    cv2.imwrite(str(path), (level + noise).astype(np.uint8))
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(files.CACHE_VARIABLE, str(tmp_path / "cache"))
    for name, few in (("WINDOWS", (4,)), ("SHARES", (0.5,)), ("REACHES", (1.0,)), ("RATES", (0.05,)), ("MARGINS", 12)):
        monkeypatch.setattr(rules, name, few)
    return tmp_path / "cache"


def rule(model: Bundle, root: Path, *options: object) -> int:
    return main(["rule", str(model.path), "--data", f"spoof:{root}", "--cropped", "mine", *map(str, options)])


def test_a_copy_decides_streams_by_the_tuned_rule(model: Bundle, root: Path, tmp_path: Path, capsys: Capture) -> None:
    """The bright print passes at the threshold, and may: an error of 12 is less than a tenth."""
    assert rule(model, root, "--apcer", 0.1, "--cooldown", 2, "--out", tmp_path / "mine", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["bundle"] == model.id
    assert {kind: rate["value"] for kind, rate in said["before"]["species"].items()} == {"print (mine)": 1 / 12}
    written = Bundle.open(tmp_path / "mine")
    settings = written.manifest.over_time
    assert settings is not None
    assert msgspec.to_builtins(settings) == said["over_time"]
    assert (settings.gap_s, settings.cooldown_s, settings.deadline_s) == (1.0, 2.0, 5.0)
    assert (settings.tuned.apcer.value, settings.tuned.bpcer.value) == (1 / 12, 0)
    assert (settings.tuned.data, settings.tuned.subjects, settings.tuned.operating_point) == ("mine", 6, "apcer_1e-1")
    assert msgspec.structs.replace(written.manifest, over_time=None, auxiliary=()) == msgspec.structs.replace(
        model.manifest, auxiliary=()
    )
    with SpoofDetector(written, faces="cropped") as detector:
        assert detector.rule == placed(settings.rule, THRESHOLD)
        assert detector.limits == Limits(cooldown_s=2.0)
        stream = [(number / 20, root / "live/p1/one" / f"{number}.png") for number in range(FRAMES)]
        assert list(detector.stream(stream))[-1].decision is SpoofDecision.LIVE


def test_text_says_what_was_and_what_is(model: Bundle, root: Path, tmp_path: Path, capsys: Capture) -> None:
    key = SigningKey.create(tmp_path / "vendor.pem")
    signing = ("--sign-key", tmp_path / "vendor.pem")
    assert rule(model, root, "--apcer", 0.09, "--out", tmp_path / "mine", *signing) == 0
    shown = capsys.readouterr().out
    assert f"signed with {key.key_id[:12]}" in shown
    assert Bundle.open(tmp_path / "mine", trust=Trust(keys=[key.public_pem()]))
    assert "6 people of mine" in shown
    assert "before: LIVE from 7, SPOOF from 4 of 10 frames, live from 0.5000 on" in shown
    assert f"written: {Bundle.open(tmp_path / 'mine').id}" in shown
    assert main(["inspect", str(tmp_path / "mine")]) == 0
    assert "streams          " in capsys.readouterr().out


def test_the_bundles_rule_is_measured_beside_seven_of_ten(
    model: Bundle, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    """Of 12 prints one is bright; 7 of 10 frames call it live, and so does the rule that may."""
    assert rule(model, root, "--apcer", 0.1, "--as-before", "--out", tmp_path / "mine") == 0
    capsys.readouterr()
    tuned = Bundle.open(tmp_path / "mine")
    assert rule(tuned, root, "--measure", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    settings = tuned.manifest.over_time
    assert settings is not None
    assert said["own"]["species"] == {"print (mine)": msgspec.to_builtins(settings.tuned.apcer)}
    assert said["votes"]["species"]["print (mine)"]["errors"] == 1
    assert rule(tuned, root, "--measure") == 0
    assert "BPCER, 12 live" in capsys.readouterr().out
    assert rule(tuned, root, "--measure", "--out", tmp_path / "other") == 2
    assert rule(tuned, root, "--sign-key", tmp_path / "vendor.pem") == 2, "nothing is written that it could sign"


def test_frames_are_scored_once(model: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    data = load(f"spoof:{root}")
    first = over_time.record(model, data, cropped=["mine"])
    kept = sorted((cache / "frames-v1").iterdir())
    assert len(kept) == 2 * 2 * PEOPLE, "a file for each recording"

    calls = []
    score = recorded.score_samples
    monkeypatch.setattr(recorded, "score_samples", lambda *given: calls.append(len(given[1])) or score(*given))
    assert over_time.record(model, data, cropped=["mine"]) == first
    assert not calls
    kept[0].write_bytes(b"damaged")
    assert over_time.record(model, data, cropped=["mine"]) == first
    assert calls == [FRAMES]
    with SpoofDetector(model, faces="cropped") as detector:
        for one in first.recordings:
            folder = "attack-print" if one.attack else "live"
            paths = [root / folder / one.subject.split("/")[1] / one.name / f"{number}.png" for number in range(FRAMES)]
            assert [frame.score for frame in one.frames] == [detector.examine(path).score for path in paths]


def test_faces_are_searched_once_for_all_bundles(
    model: Bundle, root: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """The same recordings, scored by a bundle with other weights of the score: no frame is searched again."""
    searched = []

    def locator_of(*_given: object) -> Callable[[preprocess.Image], tuple[preprocess.crop.Box, ...]]:
        def locate(image: preprocess.Image) -> tuple[preprocess.crop.Box, ...]:
            searched.append(image.shape)
            return (preprocess.crop.Box(0, 0, 40, 40),)

        return locate

    monkeypatch.setattr(recorded, "locator_of", locator_of)
    data = load(f"spoof:{root}")
    over_time.record(model, data)
    assert len(searched) == len(data.samples)
    for path in (cache / "frames-v1").iterdir():
        path.unlink()
    over_time.record(model, data)
    assert len(searched) == len(data.samples)


def test_thresholds_fitted_again_take_the_rule_away(model: Bundle, root: Path, tmp_path: Path) -> None:
    recordings = over_time.record(model, load(f"spoof:{root}"), cropped=["mine"])
    settings, _ = over_time.tuned(recordings, Limits(), apcer=0.1)
    tuned = over_time.write(model, settings, tmp_path / "tuned")
    on = ThresholdProvenance(
        data="d", impostors="attacks", subjects=5, unusable=0, previous_bundle=model.id, version="0"
    )
    points = {"fp32.onnx": tuned.manifest.variants[0].operating_points}
    again = rewriting.rewrite(tuned, rewriting.Rewritten(points, on), tmp_path / "again")
    assert tuned.manifest.over_time is not None
    assert again.manifest.over_time is None


def test_what_cannot_be_done_is_said(model: Bundle, root: Path, tmp_path: Path, capsys: Capture) -> None:
    assert rule(model, root, "--apcer", 0.001) == 3
    assert "12 recordings of attacks: an APCER of 0.001 needs 1000" in capsys.readouterr().err
    assert rule(model, root, "--apcer", 1) == 2
    assert rule(model, root, "--frame-rate", 0.5) == 2
    assert main(["rule", "deepsign_nano", "--data", "synthetic:4"]) == 2
    assert "only bundles of task spoof decide streams" in capsys.readouterr().err
    data = load(f"spoof:{root}")
    with pytest.raises(UsageError, match=r"called other; there are mine"):
        over_time.record(model, data, cropped=["other"])
    with pytest.raises(UsageError, match="the bundle itself"):
        over_time.write(model, settings_of(model, root), model.path)
    with pytest.raises(BundleError, match="does not detect presentation attacks"):
        over_time.write(Bundle.open("deepsign_nano"), settings_of(model, root), tmp_path / "x")


def settings_of(model: Bundle, root: Path) -> over_time.DecisionOverTime:
    return over_time.tuned(over_time.record(model, load(f"spoof:{root}"), cropped=["mine"]), Limits(), apcer=0.1)[0]


def test_a_foreign_folder_to_write_into_is_refused_before_any_frame(model: Bundle, root: Path, capsys: Capture) -> None:
    assert rule(model, root / "missing", "--out", root / "live", "--json") == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], "exists and is no bundle" in error["message"]) == ("BundleError", True)


def test_a_deadline_that_no_manifest_holds_is_refused(model: Bundle, root: Path, capsys: Capture) -> None:
    assert rule(model, root, "--deadline", 86_401, "--json") == 2
    assert "deadline_s is 86401" in json.loads(capsys.readouterr().out)["error"]["message"]
