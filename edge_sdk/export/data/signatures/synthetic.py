"""Synthetic signatures: made-up writers, their genuine signatures, and skilled forgeries of them.

The pen moves as in the kinematic theory of handwriting (Plamondon 1995; Plamondon & Guerfali 1998): a signature is a
plan of virtual targets, reached by ballistic movements that overlap in time. Here one movement is a bowed
minimum-jerk stroke. A genuine signature is the writer's practised plan, fast and fluent, with a little noise. A forger
follows a remembered picture of the plan: wrong proportions, movements one after the other instead of blended, slow and
even speed, tremor, pauses and lifts, an own pen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk import files
from edge_sdk.errors import UsageError
from edge_sdk.export.data import cache
from edge_sdk.export.data.layouts import Entry
from edge_sdk.export.data.signatures import letterforms
from edge_sdk.opencv import cv2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_sdk.export.data.signatures.letterforms import Complexes

    Floats = NDArray[np.float64]

WIDTH, HEIGHT = 600, 300
PER_WRITER = 10
# Part of the cache folder's name: raise it when a change here alters the pictures.
VERSION = 1
_MARGIN = 12
_SUPERSAMPLING = 3


@dataclass(frozen=True)
class Pen:
    """Line ``width`` in pixels at mean speed, ``darkness`` of the ink 0-1, ``grain`` of its texture."""

    width: float
    darkness: float
    grain: float


@dataclass(frozen=True)
class Hand:
    """How somebody carries out a plan. Lengths in x-heights unless said otherwise."""

    pen: Pen
    overlap: float  # share of a movement that blends into the next; high is fluent
    contrast: float  # how much speed thins the line
    jitter: float  # of single targets
    drift: float  # of letter sizes and distances, slowly along the line, relative
    affine: float  # of size, slant and direction
    tremor: float = 0.0  # pixels
    pauses: float = 0.0  # expected number for each signature
    lifts: float = 0.0


class SyntheticWriter:
    """A made-up person with a name, letter forms, a hand and a pen; the same seed gives the same person.

    >>> SyntheticWriter(7).genuine(0).shape
    (300, 600)
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng((seed, 0))
        self._plan = letterforms.plan(rng)
        self._slant = rng.uniform(-0.1, 0.7)
        self._rise = np.deg2rad(rng.normal(4, 5) + (rng.random() < 0.12) * rng.uniform(15, 40))
        self._bow = rng.normal(0, 0.1)
        self._width = rng.uniform(340, 570)
        x_height = self._width / np.ptp(np.concatenate(self._plan).real)
        pen = _pen(rng)
        self._hand = Hand(
            replace(pen, width=min(pen.width, max(0.2 * x_height, 1.6))),  # a broad pen would fill small letters
            overlap=rng.uniform(0.48, 0.62),
            contrast=rng.uniform(0.25, 0.6),
            jitter=rng.uniform(0.05, 0.09),
            drift=rng.uniform(0.05, 0.1),
            affine=rng.uniform(0.03, 0.05),
        )

    def genuine(self, k: int) -> NDArray[np.uint8]:
        """The writer's ``k``-th signature, gray, (300, 600), dark ink on light paper."""
        return self._sign(self._plan, self._hand, np.random.default_rng((self._seed, 1, k)))

    def forged(self, k: int) -> NDArray[np.uint8]:
        """The ``k``-th skilled forgery, (300, 600) gray; forgeries 0, 3, 6 ... are by one forger, and so on."""
        forger = np.random.default_rng((self._seed, 2, k % 3))
        skill = forger.uniform(0, 1)
        plan = _misremembered(self._plan, 0.16 - 0.1 * skill, forger)
        hand = Hand(
            replace(_pen(forger), width=self._hand.pen.width * forger.uniform(0.85, 1.4)),
            overlap=forger.uniform(0.36, 0.46) + 0.05 * skill,
            contrast=forger.uniform(0.0, 0.12),
            jitter=0.11 - 0.05 * skill,
            drift=0.16 - 0.08 * skill,
            affine=0.09,
            tremor=forger.uniform(0.7, 1.2) - 0.3 * skill,
            pauses=4 - 2 * skill,
            lifts=1.5 - skill,
        )
        return self._sign(plan, hand, np.random.default_rng((self._seed, 3, k)))

    def _sign(self, plan: list[Complexes], hand: Hand, rng: np.random.Generator) -> NDArray[np.uint8]:
        whole = np.concatenate(plan)
        left, right = whole.real.min(), whole.real.max()
        knots = np.linspace(left, right, 8)
        stretch = np.cumsum(1 + rng.normal(0, hand.drift, 8)) * (right - left) / 8
        tallness = 1 + rng.normal(0, hand.drift, 8)
        slant = self._slant + rng.normal(0, hand.affine * 1.5)
        turn = np.exp(1j * (self._rise + rng.normal(0, hand.affine)))
        scale = self._width / (right - left) * (1 + rng.normal(0, hand.affine))
        aspect = 1 + rng.normal(0, hand.affine)

        strokes: list[tuple[Complexes, Floats]] = []
        for targets in _with_lifts(plan, hand.lifts / len(whole), rng):
            x, y = targets.real, targets.imag
            y = y * np.interp(x, knots, tallness) * aspect
            wrong = rng.normal(0, hand.jitter, (2, len(x)))
            aim = np.interp(x, knots, stretch) + wrong[0] + slant * y + 1j * (y + wrong[1])
            strokes.append(self._move(aim * turn * scale, hand, hand.pauses / len(whole), rng))
        return _draw(strokes, hand.pen, rng)

    def _move(
        self, targets: Complexes, hand: Hand, pause_rate: float, rng: np.random.Generator
    ) -> tuple[Complexes, Floats]:
        """Carry out the movements between the targets; returns points in pixels and line width factors."""
        steps = np.diff(targets)
        # Isochrony: longer movements are faster, so that time grows more slowly than length.
        time = (np.abs(steps) + 2.0) ** 0.45 * np.exp(rng.normal(0, 0.06, len(steps)))
        wait = time * (1 - hand.overlap)
        pauses = rng.random(len(steps)) < pause_rate
        wait[pauses] = time[pauses] * 1.3
        start = np.concatenate([[0.0], np.cumsum(wait)[:-1]])
        end = float((start + time).max())
        clock = np.linspace(0, end, 4 + int(end / time.mean() * 14))[:, None]
        phase = np.clip((clock - start) / time, 0, 1)
        done = phase**3 * (10 - 15 * phase + 6 * phase**2)
        path = targets[0] + done @ steps + (done * (1 - done)) @ (steps * 2j * self._bow)
        speed = np.abs(np.gradient(path))
        pressure = 1 + hand.contrast * np.clip(1 - speed / (speed.mean() + 1e-9), -1, 0.8)
        if hand.tremor:
            travelled = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(path)))])
            grid = np.arange(0, travelled[-1] + 8, 5.0)
            shake = rng.normal(0, hand.tremor, (2, len(grid)))
            path = path + np.interp(travelled, grid, shake[0]) + 1j * np.interp(travelled, grid, shake[1])
            pressure = pressure * np.interp(travelled, grid, rng.normal(1, 0.08, len(grid)))
        for moment in (start + time)[pauses]:  # ink runs out where the pen rests
            at = int(np.searchsorted(clock[:, 0], moment))
            pressure[max(at - 2, 0) : at + 2] *= 1.5
        return path, pressure


def render(spec: str, progress: cache.Count = cache.uncounted) -> list[Entry]:
    """Draw the writers of ``N`` or ``N@SEED`` into the cache folder, those not yet there, and list all images.

    The folder is ``synthetic-vVERSION/SEED`` in :func:`edge_sdk.files.cache_folder`, laid out as
    ``WRITER/{genuine,forged}/K.png``; each writer's folder appears whole or not at all.

    Args:
        progress: called with the number of writers done and in all.

    Raises:
        UsageError: the specification cannot be read, or asks for no writers.
        StorageError: others can write a folder.
    """
    count, _, seed = spec.partition("@")
    if not (count.isdecimal() and int(count) > 0 and (seed or "0").isdecimal()):
        raise UsageError(f'"synthetic:{spec}" cannot be read; expected synthetic:N or synthetic:N@SEED, N at least 1')
    root = files.own_folder(files.cache_folder() / f"synthetic-v{VERSION}" / str(int(seed or 0)))
    entries: list[Entry] = []
    for index in range(int(count)):
        folder = root / str(index)
        if not folder.is_dir():
            _store(SyntheticWriter(int(seed or 0) * 1_000_003 + index), folder)
        files.own_folder(folder)
        for genuine, kind in ((True, "genuine"), (False, "forged")):
            drawn = [folder / kind / f"{k}.png" for k in range(PER_WRITER)]
            entries += [Entry(f"{root.name}-{index}", genuine, file) for file in drawn]
        progress(index + 1, int(count))
    return entries


def _store(writer: SyntheticWriter, folder: Path) -> None:
    with files.scratch_folder(folder) as scratch:
        new = files.own_folder(scratch / "writer")
        for kind, draw in (("genuine", writer.genuine), ("forged", writer.forged)):
            (new / kind).mkdir(parents=True)
            for k in range(PER_WRITER):
                (new / kind / f"{k}.png").write_bytes(cv2.imencode(".png", draw(k))[1].tobytes())
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first, with the same pictures
                raise


def _misremembered(plan: list[Complexes], error: float, rng: np.random.Generator) -> list[Complexes]:
    """The plan as a forger knows it: every target a little off, neighbours alike, some proportion wrong."""
    proportion = 1 + rng.normal(0, error * 0.7)
    copy = []
    for stroke in plan:
        wrong = rng.normal(0, error, (2, len(stroke) + 2))
        smooth = (wrong[:, :-2] + wrong[:, 1:-1] + wrong[:, 2:]) / 1.5
        copy.append(stroke.real * proportion + 1j * stroke.imag + smooth[0] + 1j * smooth[1])
    return copy


def _with_lifts(plan: list[Complexes], rate: float, rng: np.random.Generator) -> Iterator[Complexes]:
    """The strokes, broken in two where the pen is lifted and set down again nearby."""
    for stroke in plan:
        cuts = [i for i in range(2, len(stroke) - 2) if rng.random() < rate]
        for a, b in zip([0, *cuts], [*cuts, len(stroke) - 1], strict=True):
            yield stroke[a : b + 1]


def _pen(rng: np.random.Generator) -> Pen:
    return Pen(rng.uniform(2.0, 4.2), rng.uniform(0.6, 0.92), rng.uniform(0.05, 0.25))


def _draw(strokes: list[tuple[Complexes, Floats]], pen: Pen, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Lay the strokes out on the page (shrunk where they would not fit) and scan them: (300, 600) uint8 gray."""
    points = np.concatenate([path for path, _ in strokes])
    low = complex(points.real.min(), points.imag.min())
    size = complex(points.real.max(), points.imag.max()) - low
    fit = min(1.0, (WIDTH - 2 * _MARGIN) / size.real, (HEIGHT - 2 * _MARGIN) / size.imag)
    room = complex(WIDTH, HEIGHT) - size * fit
    place = 0.5 + rng.uniform(-0.35, 0.35, 2)
    corner = complex(_MARGIN + (room.real - 2 * _MARGIN) * place[0], _MARGIN + (room.imag - 2 * _MARGIN) * place[1])

    ink = np.zeros((HEIGHT * _SUPERSAMPLING, WIDTH * _SUPERSAMPLING), np.uint8)
    for path, pressure in strokes:
        page = (path - low) * fit + corner
        pixels = np.stack([page.real, HEIGHT - page.imag], axis=1) * (_SUPERSAMPLING * 8)
        corners = np.rint(pixels).astype(np.int32)
        widths = np.maximum(np.rint(pressure * pen.width * _SUPERSAMPLING), 2).astype(int)
        shade = np.clip(255 * pen.darkness * pressure**0.6, 60, 250).astype(int)
        # One call for each run of equal width: few calls, and round joints hide the steps.
        runs = np.flatnonzero(np.diff(widths)) + 1
        for a, b in zip([0, *runs], [*runs, len(widths)], strict=True):
            cv2.polylines(
                ink,
                [corners[a : b + 1]],
                isClosed=False,
                color=int(shade[a:b].mean()),
                thickness=int(widths[a]),
                shift=3,
            )
    soft = cv2.resize(ink, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    texture = rng.standard_normal((HEIGHT, WIDTH), np.float32)
    paper = rng.uniform(244, 254)
    page = paper - soft * (1 - pen.grain * np.abs(texture)) + 1.5 * texture
    return np.clip(page, 0, 255).astype(np.uint8)
