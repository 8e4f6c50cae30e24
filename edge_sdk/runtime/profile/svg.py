"""A line plot as inline SVG: what a device needs to draw two plots, without matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge_sdk.markup import Html, element, join

Point = tuple[float, float]

_COLORS = ("#1b5e8c", "#c2571a", "#3d7a3a", "#7b4b94", "#8a6d1d", "#2a9d8f", "#b5316b", "#444444")
STYLES = tuple((color, dash) for dash in ("", "6 3", "2 3") for color in _COLORS)
"""Colours and dashes of lines that are to be told apart."""

_WIDTH, _HEIGHT = 900, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 48


@dataclass(frozen=True)
class Line:
    """Points to connect; lines without a label stay out of the legend."""

    points: Sequence[Point]
    color: str
    dash: str = ""  #: lengths drawn and left out; empty: solid
    label: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Axis:
    """A title, from where to where, and whether by powers of ten; ends of a logarithmic axis are positive."""

    title: str
    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Map a value to [0, 1] along the axis, values outside to its ends."""
        if self.log:
            low, high, value = math.log(self.low), math.log(self.high), math.log(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Round numbers: 1, 2, 5 times powers of ten."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
        else:
            step = _round_step((self.high - self.low) / 5)
            found = [step * i for i in range(math.ceil(self.low / step), math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if self.low <= tick <= self.high * (1 + 1e-9)]


def plot(lines: Sequence[Line], x: Axis, y: Axis, description: str) -> Html:
    """Return an ``<svg>`` element that scales with the page."""
    parts = []
    for tick in x.ticks():
        at = _x(x, tick)
        parts.append(element("path", d=f"M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}", stroke="#eee"))
        parts.append(element("text", f"{tick:g}", x=f"{at:.1f}", y=_HEIGHT - _BOTTOM + 16, text_anchor="middle"))
    for tick in y.ticks():
        at = _y(y, tick)
        parts.append(element("path", d=f"M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}", stroke="#eee"))
        parts.append(element("text", f"{tick:g}", x=_LEFT - 8, y=f"{at + 4:.1f}", text_anchor="end"))
    for line in lines:
        route = "L".join(f"{_x(x, px):.1f} {_y(y, py):.1f}" for px, py in line.points)
        width = {"stroke_width": "1", "stroke_opacity": ".35"} if line.faint else {"stroke_width": "1.8"}
        parts.append(element("path", d=f"M{route}", fill="none", stroke_linejoin="round", **_stroke(line), **width))
    parts.append(element("text", x.title, x=(_LEFT + _WIDTH) / 2, y=_HEIGHT - 8, text_anchor="middle"))
    place = f"translate(14 {(_HEIGHT - _BOTTOM) / 2:.0f}) rotate(-90)"
    parts.append(element("text", y.title, transform=place, text_anchor="middle"))
    font = {"font_family": "system-ui, sans-serif", "font_size": "12", "fill": "#444"}
    return element("svg", *parts, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=description, **font)


def legend(lines: Sequence[Line]) -> Html:
    """The labels with their colours, as HTML."""
    entries = (
        element("span", _sample(line), " ", line.label, style="white-space:nowrap") for line in lines if line.label
    )
    return element("p", join(entries, Html(" &ensp; ")))


def _sample(line: Line) -> Html:
    path = element("path", d="M0 4H24", stroke_width="3", **_stroke(line))
    return element("svg", path, viewBox="0 0 24 8", width="24", height="8", aria_hidden="true")


def _stroke(line: Line) -> dict[str, str]:
    return {"stroke": line.color} | ({"stroke_dasharray": line.dash} if line.dash else {})


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _TOP - _BOTTOM)


def _round_step(least: float) -> float:
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
