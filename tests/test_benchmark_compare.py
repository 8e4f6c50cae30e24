"""``benchmarks/compare.py``: its parts load, and fit together, without a second build."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .paths import ROOT

pytest.importorskip("onnxruntime", reason="needs edge-sdk[onnx]")

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package beside the script, as the script sees it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("comparison")


def part(name: str) -> ModuleType:
    return importlib.import_module(f"comparison.{name}")


@pytest.mark.usefixtures("comparison")
def test_every_task_that_rows_ask_for_is_there() -> None:
    for module in ("tasks_calls", "tasks_start", "tasks_faces", "tasks_accuracy"):
        part(module)
    tasks = part("tasks").TASKS
    asked = {
        line.partition('ask("')[2].partition('"')[0]
        for path in (BENCHMARKS / "comparison").glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if '.ask("' in line
    }
    assert asked
    assert asked <= set(tasks)


@pytest.mark.usefixtures("comparison")
def test_a_worker_answers_and_goes_on_after_an_error(tmp_path: Path) -> None:
    builds = part("builds")
    build = builds.Build("this", sys.executable, str(ROOT), {}, tmp_path)
    try:
        with pytest.raises(builds.RowError, match="KeyError"):
            build.ask("no such task")
        (path, *_) = build.ask("write_golden", bundle="deepsign_nano", folder=str(tmp_path))
        facts = build.ask(
            "open_verify", name="it", bundle="deepsign_nano", scan=path, engine="onnxruntime", precision="fp32.onnx"
        )
        assert facts["variant"] == "fp32.onnx"
        assert len(build.ask("time_calls", name="it pass", count=3)) == 3
    finally:
        build.fresh()


@pytest.mark.usefixtures("comparison")
def test_a_quantile_is_a_value_that_was_measured() -> None:
    quantile = part("builds").quantile
    values = [float(k) for k in range(1000)]
    assert quantile(values, 0.5) == 499.0
    assert quantile(values, 0.999) == 998.0
    assert quantile([1.0], 0.999) == 1.0


@pytest.mark.usefixtures("comparison")
def test_the_page_has_tables_notes_and_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs edge-sdk[export]")
    result = part("table").Result(
        "a frame, ms", "fewer", ("2.0", "1.0"), reached=True, note="A note.", series={"before": [2.0], "now": [1.0]}
    )
    found = {
        "sets": {"native": {"title": "As it is", "rows": {"video": [result.as_dict()]}, "failed": ["auto: why"]}},
        "command": "python compare.py",
        "date": "2026-01-01",
        "machine": "a processor",
        "versions": "numpy 2",
        "baseline": "old",
    }
    found = json.loads(json.dumps(found))
    part("page").write(tmp_path / "speed.md", found, ["## Others"])
    written = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert "| a frame, ms | fewer | 2.0 | 1.0 | yes |" in written
    assert "- A note." in written
    assert "- Not measured: auto: why" in written
    assert written.endswith("## Others\n")
    assert (tmp_path / "speed-native-ratios.svg").read_text(encoding="utf-8").count("<svg") == 1


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "compare.py"), "--help"], capture_output=True, text=True, check=True
    )
    assert "--baseline" in done.stdout


@pytest.mark.usefixtures("comparison")
def test_networks_have_the_parameters_of_their_papers() -> None:
    onnx = pytest.importorskip("onnx", reason="needs edge-sdk[export]")
    millions = {"minifasnet_v2": 0.43, "retinaface_quarter": 0.42, "arcface_resnet50": 43.6}
    networks = part("architectures").NETWORKS
    for name, expected in millions.items():
        graph = onnx.load_from_string(networks[name]()).graph
        count = sum(
            math.prod(weights.dims) for weights in graph.initializer if weights.data_type == onnx.TensorProto.FLOAT
        )
        assert count / 1e6 == pytest.approx(expected, abs=0.05)


@pytest.mark.usefixtures("comparison")
def test_other_libraries_are_compared_part_by_part_and_failures_are_told() -> None:
    peers = importlib.import_module("peers")
    own = {"mib": 100.0, "peak": 50.0, "start": [0.5], "recognise": [2.0], "locate": [1.0], "live": [1.0]}
    other = {"mib": 50.0, "peak": 100.0, "start": [1.0], "recognise": [6.0]}
    found = {
        "command": "python peers.py",
        "peers": {"edge_sdk": own, "opencv": other, "uniface": {"failed": "no network"}},
    }
    written = "\n".join(peers.lines(found))
    assert "Recognising, as a multiple of edge-sdk's: OpenCV 3.0: ahead of all." in written
    assert "What is installed, with weights, as a multiple of edge-sdk's: OpenCV 0.5: **not ahead of all**." in written
    assert "Locating" not in written
    assert "no network" in written
