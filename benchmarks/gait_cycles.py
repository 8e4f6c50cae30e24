"""What the walks of a data set give: cycles, rhythm, scale, and what is rejected.

    python benchmarks/gait_cycles.py nexus:PATH

Prints, over the walks, the lowest value, the 1st, 10th, 50th, 90th and 99th percentile, and the highest; the flags; and
the processor's time for a walk. Then the walks of which the smallest share is in cycles, to be looked at.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from edge_sdk import modalities, preprocess
from edge_sdk.export.data.load import load
from edge_sdk.preprocess.cycles import walked

PERCENTILES = (0, 1, 10, 50, 90, 99, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a data set of walks, such as nexus:PATH")
    arguments = parser.parse_args()

    gait, operation = modalities.get("gait"), preprocess.GaitCycles()
    rows, flags, rejected, total = [], Counter[str](), 0, 0
    samples = load(arguments.data).samples
    for sample in samples:
        recording = sample.read()
        begin = time.process_time()
        cycles, seen = walked(operation, recording)
        taken = time.process_time() - begin
        flags.update(gait.prepare((operation,), recording, gait.source((operation,), None)).flags)
        durations = np.diff(cycles.spans_ms, axis=1)[:, 0] / 1000
        seconds = (recording.times_ms.max() - recording.times_ms.min()) / 1000
        rejected, total = rejected + seen.rejected, total + len(durations)
        rows.append(
            {
                "cycles": len(durations),
                "cycle, median, s": np.median(durations) if len(durations) else np.nan,
                "steps a second": 2 / np.median(durations) if len(durations) else np.nan,
                "durations' deviation, %": 100 * durations.std() / durations.mean() if len(durations) else np.nan,
                "share of time in cycles, %": 100 * durations.sum() / seconds,
                "windows walking, %": 100 * seen.walking / max(seen.windows, 1),
                "mean magnitude, m/s^2": float(np.linalg.norm(recording.values, axis=1).mean()),
                "gaps": seen.gaps,
                "rows passed over": seen.passed_over,
                "processor, ms": 1000 * taken,
            }
        )
    print(
        f"{len(samples)} walks, {total} cycles, {rejected} more rejected ({100 * rejected / (total + rejected):.1f} %)"
    )
    print("flags: " + (", ".join(f"{name} {count}" for name, count in flags.most_common()) or "none"))
    print(f"{'':28}" + "".join(f"{f'{one} %':>9}" for one in PERCENTILES))
    for name in rows[0]:
        values = np.nanpercentile([row[name] for row in rows], PERCENTILES)
        print(f"{name:28}" + "".join(f"{value:9.2f}" for value in values))
    shares = {sample.path: row["share of time in cycles, %"] for row, sample in zip(rows, samples, strict=True)}
    for path in sorted(shares, key=lambda path: shares[path])[:5]:
        print(f"{shares[path]:5.1f} % of the time in cycles: {path.parent.name}/{path.name}")


if __name__ == "__main__":
    main()
