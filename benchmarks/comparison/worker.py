"""Does tasks in the interpreter of a build: one JSON object a line in, one a line out.

    python -m comparison.worker [MODULE ...]

``comparison.builds`` starts it, with the folder ``benchmarks`` in ``PYTHONPATH``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

from comparison.tasks import TASKS

MODULES = ("tasks_calls", "tasks_start", "tasks_faces", "tasks_accuracy")
"""What a build does, unless the command names other modules."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for name in sys.argv[1:] or MODULES:
        importlib.import_module(f"comparison.{name}")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"value": TASKS[request["task"]](**request["arguments"])}
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rows go on
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
