"""What one verification costs in a fresh process, against merely importing its dependencies.

    python benchmarks/cold_start.py [--python BARE/bin/python ...] [--runs 15]

Give --python the interpreter of an environment that holds the wheel and the runtime packages only; of several, such as
one of an older build, each is measured. All commands take turns, so that a busy machine slows all; printed are the
medians, the ratio of those of verification and import, and peak memory by ``/usr/bin/time -v`` (where there is none, by
what the kernel tells a parent process about its children). OpenBLAS and OpenCV are held to one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WRITE_SAMPLES = """
import pathlib, sys
from edge_sdk import Bundle
bundle = Bundle.open("deepsign")
for number, entry in enumerate(bundle.manifest.golden.inputs[:2]):
    pathlib.Path(sys.argv[1], f"{number}.png").write_bytes(bundle.read(entry))
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command once: wall time in seconds, peak resident memory in MiB."""
    timer = shutil.which("/usr/bin/time")
    start = time.perf_counter()
    done = subprocess.run([timer, "-v", *command] if timer else command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in {0, 1}:  # 1: the two signatures do not match, which is an answer
        sys.exit(f"{command} failed:\n{done.stderr}")
    told = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    kib = int(told[1]) if told else resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of all children so far
    return seconds, kib / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--python", nargs="+", default=[sys.executable], help="interpreters of the environments to measure"
    )
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments.python[0], "-c", WRITE_SAMPLES, folder], check=True)
        pictures = [str(Path(folder, name)) for name in ("0.png", "1.png")]
        commands: dict[tuple[str, str], list[str]] = {}
        for python in arguments.python:
            # The import first: where memory is known of all children only, the verification's is the larger.
            commands[python, "import"] = [python, "-c", "import numpy, cv2, onnxruntime"]
            script = str(Path(python).with_name("edge-sdk"))
            commands[python, "verify"] = [script, "verify", "--json", "--engine", "onnxruntime", *pictures]
        runs: dict[tuple[str, str], list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(arguments.runs + 1):
            for name, command in commands.items():
                once = measure(command)
                if turn:  # the first turn fills the file cache
                    runs[name].append(once)

    medians = {name: statistics.median(seconds for seconds, _ in taken) for name, taken in runs.items()}
    for name, taken in runs.items():
        spread = [seconds * 1e3 for seconds, _ in taken]
        print(
            f"{' '.join(name)}: median {medians[name] * 1e3:.1f} ms (min {min(spread):.1f}, max {max(spread):.1f}),"
            f" peak memory {max(mib for _, mib in taken):.1f} MiB"
        )
    ratios = {python: round(medians[python, "verify"] / medians[python, "import"], 3) for python in arguments.python}
    print(json.dumps({"ratios": ratios, "runs": arguments.runs}))


if __name__ == "__main__":
    main()
