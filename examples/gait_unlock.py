"""Enrol the owner of a phone from a walk; later tell, while somebody walks, whether it is the owner who carries it.

    SENSOR | python examples/gait_unlock.py enrol owner.template
    SENSOR | python examples/gait_unlock.py watch owner.template

SENSOR is a program that prints a line for each row of the accelerometer, at once: milliseconds, x, y and z in m/s^2
with gravity, separated by commas. The environment variable EDGE_SDK_TEMPLATE_KEY names the key of the template, which
`edge-sdk keygen template` makes. Exit code 0: enrolled, or the owner at last; 1: not; 2: usage; 3: an error.

A phone calls the same methods from its sensor's callback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from edge_sdk import EdgeSdkError, Template, TemplateKey, Verifier, VerifyResult

ENROLLED = 30
"""Cycles of a template: more than the fewest, for a surer one."""
COMPARED = 20
"""The newest cycles, about 20 seconds of walking, are compared,"""
EVERY = 5
"""after so many new ones."""

Rows = Iterable[tuple[float, float, float, float]]


def enrol(rows: Rows, verifier: Verifier) -> Template:
    """A template of the first cycles; an error if the walk ends before there are enough."""
    walk = verifier.walk(enrolling=True, wanted=ENROLLED)
    for row in rows:
        walk.push(*row)
        if walk.enough:
            break
    else:
        walk.finish()
    return verifier.enroll(walk)


def watch(rows: Rows, template: Template, verifier: Verifier) -> Iterator[VerifyResult]:
    """A decision every few cycles, as long as somebody walks."""
    walk = verifier.walk(most=COMPARED)
    compared = 0
    for row in rows:
        found = walk.push(*row)
        if walk.enough and found >= compared + EVERY:
            compared = found
            yield verifier.verify(template, walk)


def lines() -> Iterator[tuple[float, float, float, float]]:
    """Rows from standard input; a line that is none raises ValueError."""
    for line in sys.stdin:
        time_ms, x, y, z = map(float, line.split(","))
        yield time_ms, x, y, z


def main(command: str, path: str, bundle: str = "gait") -> int:
    key = TemplateKey.named(os.environ.get("EDGE_SDK_TEMPLATE_KEY", ""))  # before anybody walks
    with Verifier(bundle) as verifier:
        if command == "enrol":
            template = enrol(lines(), verifier)
            template.save(path, key=key)
            print(f"enrolled from {template.count} cycles: {path}")
            return 0
        accepted = False
        for result in watch(lines(), Template.load(path, key=key), verifier):
            accepted = result.decision
            print(f"{'owner' if accepted else 'locked'}   score {result.score:.2f}", flush=True)
        return 0 if accepted else 1


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("enrol", "watch"):
        print(f"usage: {sys.argv[0]} enrol|watch TEMPLATE [BUNDLE]", file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (EdgeSdkError, ValueError) as error:  # whatever goes wrong, nobody is accepted
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)
