"""A line plot as inline SVG: what a device needs to draw two plots, without matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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


def plot(lines: Sequence[Line], x: Axis, y: Axis, description: str) -> str:
    """Return an ``<svg>`` element that scales with the page."""
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(description)}"'
    parts = [f'<svg {box} font-family="system-ui, sans-serif" font-size="12" fill="#444">']
    for tick in x.ticks():
        at = _x(x, tick)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#eee"/>')
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{tick:g}</text>')
    for tick in y.ticks():
        at = _y(y, tick)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#eee"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for line in lines:
        route = "L".join(f"{_x(x, px):.1f} {_y(y, py):.1f}" for px, py in line.points)
        style = 'stroke-width="1" stroke-opacity=".35"' if line.faint else 'stroke-width="1.8"'
        parts.append(
            f'<path d="M{route}" fill="none" stroke="{line.color}" {style}{_dashes(line)} stroke-linejoin="round"/>'
        )
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x.title)}</text>')
    middle = (_HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(y.title)}</text></svg>'
    )
    return "".join(parts)


def legend(lines: Sequence[Line]) -> str:
    """The labels with their colours, as HTML."""
    entries = (
        f'<span style="white-space:nowrap">{_sample(line)} {escape(line.label)}</span>' for line in lines if line.label
    )
    return f"<p>{' &ensp; '.join(entries)}</p>"


def _sample(line: Line) -> str:
    stroke = f'stroke="{line.color}" stroke-width="3"{_dashes(line)}'
    return f'<svg viewBox="0 0 24 8" width="24" height="8" aria-hidden="true"><path d="M0 4H24" {stroke}/></svg>'


def _dashes(line: Line) -> str:
    return f' stroke-dasharray="{line.dash}"' if line.dash else ""


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - axis.place(value) * (_HEIGHT - _TOP - _BOTTOM)


def _round_step(least: float) -> float:
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
