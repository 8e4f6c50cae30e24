"""What one verification costs in a fresh process, against merely importing its dependencies.

    python benchmarks/cold_start.py [--python BARE/bin/python] [--runs 15]

Give --python the interpreter of an environment that holds the wheel and the runtime packages only. The commands take
turns, so that a busy machine slows both; the medians and their ratio are printed, and peak memory by
``/usr/bin/time -v`` (where there is none, by what the kernel tells a parent process about its children).
"""

from __future__ import annotations

import argparse
import json
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
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment to measure")
    parser.add_argument("--runs", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments.python, "-c", WRITE_SAMPLES, folder], check=True)
        commands = {  # the import first: where memory is known of all children only, the verification's is the larger
            "import": [arguments.python, "-c", "import numpy, cv2, onnxruntime"],
            "verify": [str(Path(arguments.python).with_name("edge-sdk")), "verify", "--json"]
            + [str(Path(folder, name)) for name in ("0.png", "1.png")],
        }
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(arguments.runs + 1):
            for name, command in commands.items():
                once = measure(command)
                if turn:  # the first turn fills the file cache
                    runs[name].append(once)

    medians = {name: statistics.median(seconds for seconds, _ in taken) for name, taken in runs.items()}
    for name, taken in runs.items():
        spread = [seconds * 1e3 for seconds, _ in taken]
        print(
            f"{name:8} median {medians[name] * 1e3:7.1f} ms (min {min(spread):.1f}, max {max(spread):.1f}),"
            f" peak memory {max(mib for _, mib in taken):6.1f} MiB"
        )
    print(json.dumps({"ratio": round(medians["verify"] / medians["import"], 3), "runs": arguments.runs}))


if __name__ == "__main__":
    main()
