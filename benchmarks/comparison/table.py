"""What a row gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from comparison.builds import Bench


@dataclass(frozen=True)
class Result:
    """A line of the table.

    Attributes:
        what: What is measured, with its unit.
        goal: What was to be reached; empty where the line only informs.
        figures: The baseline's, empty where it has none, and this build's.
        reached: None without a goal.
        note: What stands below the table.
        series: Values to plot, by what they are of.
    """

    what: str
    goal: str
    figures: Sequence[str]
    reached: bool | None = None
    note: str = ""
    series: Mapping[str, list[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


Measure = Callable[[Bench], list[Result]]


@dataclass(frozen=True)
class Row:
    """A row that can be asked for.

    Attributes:
        measure: Gives its lines.
        obeys: Whether it depends on the instructions that engines are told to use.
    """

    measure: Measure
    obeys: bool = True
