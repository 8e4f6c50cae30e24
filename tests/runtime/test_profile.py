"""Profiles: the statistics against exact sums, one real measurement in its own process, and what failures become."""

from __future__ import annotations

import json
import math
import platform
import sys
import types
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge_sdk.bundle import Bundle
from edge_sdk.bundle.trust import VARIABLE
from edge_sdk.errors import (
    BundleError,
    EngineError,
    IntegrityError,
    MissingEngineError,
    ScoreError,
    SignatureError,
    UsageError,
)
from edge_sdk.runtime import Verifier, device
from edge_sdk.runtime import profile as profiling
from edge_sdk.runtime.engines.placement import NodePlacement, placement
from edge_sdk.runtime.profile import SINGLE_STREAM_CALLS, profile
from edge_sdk.runtime.profile import _measure as run_process
from edge_sdk.runtime.profile.power import PowerMeter
from edge_sdk.runtime.profile.quantiles import quantile, ranks
from edge_sdk.runtime.profile.records import (
    FailedJob,
    Job,
    Machine,
    MeasuredJob,
    Moment,
    Power,
    ProfiledJob,
    ProfileProgress,
    ProfileReport,
    Stage,
)
from edge_sdk.runtime.profile.report import html, text
from edge_sdk.runtime.profile.svg import STYLES, Axis, Line, plot
from edge_sdk.runtime.profile.worker import STAGES, measure

Maker = Callable[..., Bundle]


@pytest.fixture(scope="module")
def bundle(make_bundle: Maker, tiny_bundle: Bundle, signer: Callable[..., np.ndarray]) -> Bundle:
    with Verifier(tiny_bundle, precision="fp32") as verifier:
        score = verifier.verify(signer(1), signer(2)).score
    return make_bundle(golden={"fp32.onnx": score})


def job(bundle: Bundle, **changes: object) -> Job:
    planned = Job(
        bundle=str(bundle.path),
        sha256=bundle.sha256,
        engine="onnxruntime",
        variant="fp32.onnx",
        threads=1,
        seconds=0.05,
        calls=40,
    )
    return msgspec.structs.replace(planned, **changes)


# --- statistics ---


def test_ranks_of_the_textbook() -> None:
    """Sign-test intervals of the median, as tabulated (Conover, Practical Nonparametric Statistics)."""
    assert ranks(10, 0.5) == (2, 9)
    assert ranks(20, 0.5) == (6, 15)
    assert ranks(5, 0.5) == (None, None)  # 1 - 2 / 2^5 = 0.9375: five values cannot do it
    assert ranks(6, 0.5) == (1, 6)


@pytest.mark.parametrize("count", [1, 7, 59, 72, 73, 299, 400])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_ranks_against_the_binomial_sum(count: int, p: float) -> None:
    share = Fraction(p).limit_denominator(100)
    below, cdf = Fraction(0), []  # P(B < rank), exactly
    for k in range(count):
        below += math.comb(count, k) * share**k * (1 - share) ** (count - k)
        cdf.append(float(below))
    fitting = [rank for rank, under in enumerate(cdf, start=1) if under <= 0.025]
    covering = [rank for rank, under in enumerate(cdf, start=1) if 1 - under <= 0.025]
    assert ranks(count, p) == (max(fitting, default=None), min(covering, default=None))


def test_ranks_of_a_long_run() -> None:
    low, high = ranks(1_000_000, 0.99)
    assert low
    assert high
    deviation = math.sqrt(1_000_000 * 0.99 * 0.01)  # de Moivre and Laplace
    assert low == pytest.approx(990_000 - 1.96 * deviation, abs=2)
    assert high == pytest.approx(990_000 + 1.96 * deviation, abs=2)


def test_quantiles() -> None:
    values = np.arange(1, 101, dtype=np.float64)
    assert [quantile(values, p).ms for p in (0.5, 0.9, 0.99)] == [50, 90, 99]
    assert quantile(values[:30], 0.9).ms == 27
    assert quantile(values[:1], 0.99).ms == 1
    assert quantile(values, 0.99).high is None
    with pytest.raises(ScoreError):
        quantile(values[:0], 0.5)


# --- the measurement ---


def test_a_measurement_holds_together(bundle: Bundle) -> None:
    said: list[ProfileProgress] = []
    found = measure(job(bundle, seconds=1.1), said.append)
    assert found.calls >= 40
    assert found.seconds >= 1.1
    assert said
    assert said[-1].calls <= found.calls
    assert tuple(stage.name for stage in found.stages) == STAGES
    for stage in found.stages:
        p50, p90, p99 = (q.ms for q in stage.quantiles)
        assert 0 <= p50 <= p90 <= p99 <= stage.max_ms
        assert all((q.low or 0) <= q.ms <= (q.high or stage.max_ms) for q in stage.quantiles)
    parts = sum(found.stage(name).quantiles[0].ms for name in STAGES[:-1])
    assert parts <= found.stage("total").max_ms
    assert min(found.init_ms, found.reload_ms, found.first_ms, found.first_per_s, found.last_per_s) > 0
    assert found.curve[-1] == (found.stage("total").max_ms, 1.0)
    assert [share for _, share in found.curve] == sorted({share for _, share in found.curve})
    assert found.moments[-1].at_s == found.seconds
    assert max(moment.max_ms for moment in found.moments) == found.stage("total").max_ms
    assert found.nodes
    assert {node.kind for node in found.nodes} >= {"AveragePool"}
    assert sum(node.share or 0 for node in found.nodes) == pytest.approx(1)
    assert {node.where for node in found.nodes} == {"CPUExecutionProvider"}


def test_each_configuration_in_a_process_of_its_own(bundle: Bundle) -> None:
    said: list[str] = []
    report = profile(bundle, engine="onnxruntime", precision="fp32", threads=(2, 1), seconds=0.05, say=said.append)
    assert [(run.job.engine, run.job.variant, run.job.threads) for run in report.runs] == [
        ("onnxruntime", "fp32.onnx", 1),
        ("onnxruntime", "fp32.onnx", 2),
    ]
    assert any("2 threads: loading" in line for line in said)
    for run in report.runs:
        assert isinstance(run.outcome, MeasuredJob), run.outcome
        if device.STATUS.exists():
            # The parent, with pytest and onnx in it, is far larger.
            assert run.outcome.peak_bytes
            assert 20e6 < run.outcome.peak_bytes < 200e6
    assert report.bundle_id == bundle.id
    assert msgspec.json.decode(msgspec.json.encode(report), type=ProfileReport) == report


def test_what_was_opened_here_opens_in_the_process_that_measures(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipped name is vouched for by the package, and an opened bundle was asked for what it was opened with."""
    (tmp_path / "trust.json").write_text('{"policy": "require"}')
    (tmp_path / "trust.json").chmod(0o600)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "trust.json"))
    for source in ("deepsign", bundle):
        (run,) = profile(source, engine="onnxruntime", precision="fp32", seconds=0.01).runs
        assert isinstance(run.outcome, MeasuredJob), run.outcome
    with pytest.raises(SignatureError):
        profile(bundle.path, engine="onnxruntime", seconds=0.01)


def test_the_process_that_measures_opens_no_other_bundle(bundle: Bundle) -> None:
    with pytest.raises(IntegrityError, match="not 0000"):
        measure(job(bundle, sha256="0" * 64))


def test_failures_are_reported_and_not_left_out(make_bundle: Maker, tmp_path: Path) -> None:
    broken = make_bundle(models={"fp32": b"no model"}, golden={"fp32.onnx": 0.5})
    (run,) = profile(broken, engine="onnxruntime", seconds=0.01).runs
    assert isinstance(run.outcome, FailedJob)
    assert run.outcome.error == "EngineError"
    assert run.outcome.message.startswith("this is no ONNX model")
    with pytest.raises(BundleError, match="golden"):
        measure(job(make_bundle()))


def test_a_process_that_dies_is_a_failure_with_its_last_words(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script, expected in (
        ("echo no room >&2; kill -9 $$", "killed by signal 9"),
        ("echo no room >&2; exit 7", "exit code 7"),
    ):
        python = tmp_path / "python"
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))
        outcome = run_process(job(bundle), lambda _: None)
        assert isinstance(outcome, FailedJob)
        assert expected in outcome.message
        assert "no room" in outcome.message


def test_the_worker_finds_what_this_process_finds(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a zip application, whose file is on ``sys.path`` of the process that was started, and in no environment."""
    application = tmp_path / "application.pyz"
    said = msgspec.json.encode(FailedJob(error="EngineError", message="found in the zip")).decode()
    with zipfile.ZipFile(application, "w") as archive:
        for folder in ("edge_sdk", "edge_sdk/runtime", "edge_sdk/runtime/profile"):
            archive.writestr(f"{folder}/__init__.py", "")
        archive.writestr("edge_sdk/runtime/profile/worker.py", f"print({said!r})")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(application)
    assert run_process(job(bundle), lambda _: None) == FailedJob(error="EngineError", message="found in the zip")


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [(sys, "frozen", True), (sys, "frozen", "macosx_app"), (profiling, "__compiled__", True), (sys, "executable", "")],
    ids=["PyInstaller", "py2app", "Nuitka", "embedded"],
)
def test_a_frozen_application_is_told_what_to_do(
    owner: types.ModuleType, name: str, value: object, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.runtime.profile.subprocess.Popen", lambda *_, **__: pytest.fail("it was started"))
    monkeypatch.setattr(owner, name, value, raising=False)
    with pytest.raises(UsageError, match=r"frozen application.*install edge-sdk"):
        profile(bundle, seconds=0.1)


def test_what_is_asked_for(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[Job] = []
    failed = FailedJob(error="EngineError", message="")
    monkeypatch.setattr("edge_sdk.runtime.profile._measure", lambda job, _: jobs.append(job) or failed)
    profile(bundle)
    assert len(jobs) == 1  # what an application would get, and nothing else
    assert (jobs[0].seconds, jobs[0].calls) == (60.0, 1)
    jobs.clear()
    profile(bundle, engine="onnxruntime", seconds=1, single_stream=True)
    assert [job.variant for job in jobs] == ["int8.onnx", "fp32.onnx"]
    assert {(job.seconds, job.calls) for job in jobs} == {(60.0, SINGLE_STREAM_CALLS)}
    for settings in ({"threads": ()}, {"threads": (0,)}, {"seconds": 0.0}, {"engine": "nonesuch"}):
        with pytest.raises(UsageError):
            profile(bundle, **settings)  # type: ignore[arg-type]
    with pytest.raises(BundleError):
        profile(bundle, precision="int8-sym")


def test_nodes_of_an_engine_that_does_not_tell(bundle: Bundle) -> None:
    assert placement("litert", b"", {}, threads=1) is None
    with pytest.raises(EngineError, match="onnxruntime failed"):
        placement("onnxruntime", b"no model", {}, threads=1)


def test_nodes_of_openvino(bundle: Bundle) -> None:
    pytest.importorskip("openvino", reason="the openvino extra is not installed")
    picture = np.zeros((1, 1, 150, 180), np.float32)
    nodes = placement("openvino", bundle.read_model("fp32.onnx"), {"image": picture}, threads=1)
    assert nodes
    assert "Convolution" in {node.kind for node in nodes}
    assert all(node.where.startswith("CPU ") for node in nodes)


# --- power and the machine ---


def test_a_jetson_tells_its_power(monkeypatch: pytest.MonkeyPatch) -> None:
    class Jtop:
        nvpmodel = "15W"
        closed = False

        def start(self) -> None:
            self.power = {"tot": {"power": 5000}}

        def close(self) -> None:
            Jtop.closed = True

    monkeypatch.setitem(sys.modules, "jtop", types.SimpleNamespace(jtop=Jtop))  # type: ignore[arg-type]
    with PowerMeter() as meter:
        pass
    assert meter.reading() == Power(mode="15W", mean_w=5.0, max_w=5.0)
    assert Jtop.closed


def test_without_jetson_stats_power_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("the service is not running")

    for module in (None, types.SimpleNamespace(jtop=refuse)):
        monkeypatch.setitem(sys.modules, "jtop", module)  # type: ignore[arg-type]
        with PowerMeter() as meter:
            pass
        assert meter.reading() is None


@pytest.mark.parametrize(
    ("machine", "lines", "name", "instructions", "label"),
    [
        (
            "x86_64",
            "model name\t: Some CPU\nflags\t\t: fpu avx2 avx512_vnni sha_ni\n",
            "Some CPU",
            ("avx2", "avx512_vnni"),
            "x86-64 AVX512-VNNI",
        ),
        ("AMD64", "model name\t: Some CPU\nflags\t\t: fpu avx2\n", "Some CPU", ("avx2",), "x86-64 AVX2"),
        (
            "aarch64",
            "processor\t: 0\nFeatures\t: fp asimd asimddp\n",
            "Some Board",
            ("asimd", "asimddp"),
            "aarch64 dotprod",
        ),
    ],
)
def test_the_machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: str,
    lines: str,
    name: str,
    instructions: tuple[str, ...],
    label: str,
) -> None:
    monkeypatch.delenv(device.INSTRUCTIONS_VARIABLE, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    (tmp_path / "cpuinfo").write_text(lines)
    (tmp_path / "board").write_bytes(b"Some Board\0")
    monkeypatch.setattr(device, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(device, "BOARD", tmp_path / "board")
    assert name in device.processor()
    assert device.instructions() == instructions
    assert device.instruction_set() == label
    for constant in ("CPUINFO", "BOARD", "STATUS", "GOVERNOR"):
        monkeypatch.setattr(device, constant, tmp_path / "none")
    assert device.processor()
    assert (device.instructions(), device.peak_memory(), device.governor()) == (None, None, None)
    assert device.instruction_set() == f"{label.split(maxsplit=1)[0]}, instruction set unknown"


def test_the_instructions_can_be_set_for_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    for named, kind, label in (
        ("avx2", "x86-64", "x86-64 AVX2"),
        ("avx2,avx_vnni", "x86-64-vnni", "x86-64 AVX-VNNI"),
        ("", "x86-64", "x86-64 baseline"),
    ):
        monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, named)
        assert (device.processor_kind(), device.instruction_set()) == (kind, label)
        assert device.int8_saturates() == (kind == "x86-64")
    monkeypatch.setenv(device.INSTRUCTIONS_VARIABLE, "vnni")
    with pytest.raises(UsageError, match="avx512_vnni"):
        device.instructions()


# --- the report ---


@pytest.fixture
def report() -> ProfileReport:
    ordered = np.linspace(1, 20, 400)
    stages = tuple(
        Stage(name=name, quantiles=tuple(quantile(ordered, p) for p in (0.5, 0.9, 0.99)), max_ms=20.0)
        for name in STAGES
    )
    measured = MeasuredJob(
        engine_version="1.2.3",
        init_ms=100,
        reload_ms=20,
        first_ms=12,
        calls=400,
        seconds=60,
        stages=stages,
        window_s=30,
        first_per_s=50,
        last_per_s=40,
        peak_bytes=None,
        nodes=(NodePlacement("Conv", "<CPU>", 3, 0.75), NodePlacement("Gemm", "CPU", 1, 0.25)),
        curve=((1.0, 0.0), (10.0, 0.5), (20.0, 1.0)),
        moments=(Moment(at_s=30, median_ms=9, max_ms=19), Moment(at_s=60, median_ms=11, max_ms=20)),
    )
    planned = Job(
        bundle="x", sha256="0" * 64, engine="onnxruntime", variant="int8.onnx", threads=1, seconds=60, calls=1
    )
    other = msgspec.structs.replace(planned, engine="broken", threads=2)
    return ProfileReport(
        bundle_id="tiny-1.0",
        machine=Machine(
            processor="Some CPU",
            cores=2,
            instruction_set="x86-64 AVX2",
            governor=None,
            load_average=None,
            system="Linux",
            versions={"numpy": "2"},
        ),
        runs=(
            ProfiledJob(job=planned, outcome=measured, power=Power(mode="15W", mean_w=5.5, max_w=7)),
            ProfiledJob(job=other, outcome=FailedJob(error="EngineError", message="<no>"), power=None),
        ),
        single_stream=True,
    )


def test_the_text_says_it_all(report: ProfileReport) -> None:
    said = text(report)
    for words in (
        "MLPerf single-stream",
        "faces are cut out already",
        "x86-64 AVX2",
        "10.48 [9.52, 11.48]",  # ranks 200, 180 and 221 of 400 values, the k-th being 1 + 19 (k - 1) / 399
        "50.0, 40.0, 0.80 (30 s each)",
        "5.5 W, max 7.0 (15W)",
        "unavailable",
        "broken int8.onnx, 2 threads: EngineError: <no>",
    ):
        assert words in said, words


def test_the_page_is_one_file_with_everything_escaped(report: ProfileReport) -> None:
    page = html(report)
    assert "&lt;CPU&gt;" in page
    assert "&lt;no&gt;" in page
    assert "<CPU>" not in page
    assert "http" not in page  # nothing is loaded from elsewhere
    svgs = [f"<svg{part.split('</svg>')[0]}</svg>" for part in page.split("<svg")[1:]]
    assert sum('role="img"' in svg for svg in svgs) == 2
    for svg in svgs:
        ET.fromstring(svg)
    assert "<h2>Distribution" not in html(msgspec.structs.replace(report, runs=report.runs[1:]))


def test_no_two_of_many_lines_look_alike() -> None:
    lines = [Line([(1, 1)], *style) for style in STYLES]
    assert len({(line.color, line.dash) for line in lines}) == 24
    dashed = plot(lines[8:9], Axis("x", 0, 2), Axis("y", 0, 2), "d")
    assert f'stroke-dasharray="{lines[8].dash}"' in dashed
    assert "stroke-dasharray" not in plot(lines[:8], Axis("x", 0, 2), Axis("y", 0, 2), "d")


def test_a_plot_puts_points_where_the_axes_say() -> None:
    svg = ET.fromstring(
        plot([Line([(1, 0), (10, 5), (100, 10)], "#000")], Axis("x", 1, 100, log=True), Axis("y", 0, 10), "d")
    )
    route = next(e.attrib["d"] for e in svg if e.attrib.get("stroke") == "#000")
    (x0, y0), (x1, y1), (x2, y2) = ([float(number) for number in point.split()] for point in route[1:].split("L"))
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)  # 10 is the middle of 1 and 100
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert x0 < x2
    assert y0 > y2  # down is up in SVG
    labels = {e.text for e in svg if e.tag == "text"}
    assert {"1", "10", "100", "0", "2", "4", "x", "y"} <= labels


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis("", 0, 60), [0, 20, 40, 60]),
        (Axis("", 0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Axis("", 3, 30, log=True), [5, 10, 20]),
        (Axis("", 7, 7), [7]),
    ],
)
def test_ticks_are_round(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert 0 <= axis.place(ticks[0]) <= 1


def test_no_engine_is_an_error_before_anything_runs(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.runtime.engines._package", lambda _: None)
    with pytest.raises(MissingEngineError):
        profile(bundle, engine="all")


def test_records_are_plain_json(report: ProfileReport) -> None:
    assert (
        json.loads(json.dumps(msgspec.to_builtins(report), allow_nan=False))["runs"][1]["outcome"]["type"] == "failed"
    )
