"""The base of every record of a manifest: strict, frozen msgspec structs, and the checks that they share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import msgspec

from edge_sdk.errors import ManifestError

Dimension = int | str

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:+-]*")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen, named arguments only, unknown keys refused, numbers finite."""

    def __post_init__(self) -> None:
        require_finite(self)


def require(condition: bool, message: str) -> None:
    """Raise ``ManifestError`` with the message unless the condition holds."""
    if not condition:
        raise ManifestError(message)


def require_finite(struct: msgspec.Struct) -> None:
    """Refuse inf and NaN, which msgspec would write as null."""
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        require(not isinstance(value, float) or math.isfinite(value), f"{field} is {value}; it must be finite")


def require_unique(names: Iterable[str], what: str) -> None:
    """Refuse a name that is there twice, in whatever case."""
    folded = [name.casefold() for name in names]
    twice = {name for name in folded if folded.count(name) > 1}
    require(not twice, f"{what} given twice: {', '.join(sorted(twice))}")


def require_shape(shape: tuple[Dimension, ...]) -> None:
    """A shape holds positive sizes, or names of free ones; ``"batch"`` only in front."""
    for size in shape:
        fits = bool(NAME.fullmatch(size)) if isinstance(size, str) else size > 0
        require(fits, f"dimension {size!r} is neither positive nor a lower-case name")
    require(len(shape) > 0 and "batch" not in shape[1:], f'shape {shape} is empty or has "batch" behind the front')
