"""What synthetic writers write: made-up names in cursive letters, scribbles and flourishes, as virtual targets.

A target is where one ballistic pen movement aims; movements overlap in time, so the ink passes near the targets, not
through them, and the shapes below are exaggerated accordingly. ``x,y`` in tenths of the x-height, y upwards from the
base line. ``|`` lifts the pen; what follows ``+`` is added once the word is written (dots, crossbars).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Complexes = NDArray[np.complex128]

_LOWER = {
    "a": "8,9 3,12 -1,5 3,-2 8,4 9,12 9,2 11,-2 14,3",
    "b": "5,12 8,24 3,26 2,10 3,-2 9,0 9,8 6,10 12,8",
    "c": "8,9 5,12 -1,8 1,-1 6,-2 10,3",
    "d": "8,9 3,12 -1,4 4,-2 8,5 11,26 9,8 9,0 12,-2 14,3",
    "e": "5,3 9,8 5,13 0,8 2,-1 6,-2 11,3",
    "f": "5,10 9,24 4,26 3,8 3,-12 0,-14 5,-3 7,2 11,2",
    "g": "8,9 3,12 -1,5 3,-2 8,4 9,12 9,-8 4,-17 0,-10 8,-1 13,3",
    "h": "5,12 8,24 3,26 2,10 2,-1 2,-1 4,9 8,12 9,5 9,-1 12,-2 14,3",
    "i": "4,6 5,12 5,3 6,-2 10,3 + 6,16 6.5,17",
    "k": "5,12 8,24 3,26 2,10 2,-1 2,-1 4,8 9,12 8,6 4,5 9,-2 13,3",
    "l": "5,10 9,22 4,27 1,14 3,-1 6,-2 10,3",
    "m": "2,9 4,12 4,0 4,-1 6,9 9,12 9,0 9,-1 11,9 14,12 14,2 16,-2 19,3",
    "n": "2,9 4,12 4,0 4,-1 6,9 9,12 9,2 11,-2 14,3",
    "o": "7,10 2,12 -2,5 3,-2 9,2 8,10 4,11 8,8 12,9",
    "p": "3,7 5,12 4,-6 3,-15 4,-8 5,7 9,12 12,5 7,-2 4,1 9,-2 14,3",
    "r": "3,8 4,14 6,10 9,11 8,3 9,-2 13,3",
    "s": "4,7 6,14 7,8 10,2 5,-3 2,1 7,-2 12,3",
    "t": "4,9 6,22 5,10 5,2 7,-2 11,3 + 1,14 10,15.5",
    "u": "3,7 4,12 4,3 6,-2 9,3 11,12 11,3 12,-2 16,3",
    "v": "2,9 4,12 5,3 7,-3 10,8 10,12 14,9",
    "y": "3,7 4,12 4,3 7,-1 11,12 11,12 10,-8 5,-17 1,-10 10,-1 14,3",
    "z": "2,9 6,13 9,9 3,0 8,0 6,-12 1,-13 5,-4 13,3",
}
_UPPER = {
    "A": "0,-1 6,12 11,29 13,29 14,10 16,-2 20,2 + 3,9 18,11",
    "B": "4,25 2,8 1,-2 1,-2 2,20 10,29 16,20 5,13 16,12 18,2 8,-4 1,2 | 17,2 20,3",
    "C": "16,20 13,29 4,26 -2,12 4,-2 12,-3 20,5",
    "D": "5,25 4,8 1,-1 10,-4 23,8 20,24 8,31 0,24 4,19 | 19,2 22,3",
    "E": "14,22 8,30 1,22 10,14 0,11 0,-1 10,-3 18,4",
    "F": "8,24 7,6 4,-2 0,1 | 0,22 8,28 21,27 | 4,13 15,14 16,5 18,2",
    "G": "15,20 10,30 -2,20 0,6 8,3 14,13 15,13 14,-8 5,-16 1,-6 17,2",
    "H": "3,27 2,9 2,-2 | 15,28 12,8 12,-2 18,3 + -1,11 17,14",
    "J": "2,18 8,28 14,28 11,4 8,-13 0,-12 3,-2 16,4",
    "K": "3,27 2,8 2,-2 | 16,27 4,11 11,3 16,-2 20,3",
    "L": "3,16 11,27 7,31 5,10 3,-1 -2,1 3,4 10,-3 20,3",
    "M": "0,-2 3,14 5,29 8,8 9,0 13,16 17,29 17,8 18,-2 22,3",
    "N": "0,-2 3,14 4,29 4,29 12,0 13,-3 15,14 18,30 22,29",
    "P": "4,26 3,8 1,-4 | -1,19 7,30 18,26 15,12 4,12 6,14",
    "R": "4,26 3,8 1,-3 | -2,19 7,30 18,26 14,13 5,13 5,13 12,3 17,-3 21,3",
    "S": "-2,-1 10,10 16,26 9,32 3,22 13,12 16,0 6,-5 -2,2 | 16,1 19,3",
    "T": "9,25 8,5 4,-2 0,2 | -2,22 8,29 22,27 | 12,1 15,4",
    "V": "-1,24 3,29 6,8 9,-5 14,14 20,30 24,29",
    "W": "-1,24 2,29 5,8 7,-4 12,14 13,22 15,4 17,-4 22,16 25,30",
}


class Letter(NamedTuple):
    """Strokes as arrays of complex targets, x + iy in x-heights; ``later`` ones are drawn when the word is done."""

    strokes: tuple[Complexes, ...]
    later: tuple[Complexes, ...]
    advance: float


def _parse(text: str) -> Letter:
    def strokes(part: str) -> tuple[Complexes, ...]:
        points = [[complex(*map(float, xy.split(","))) / 10 for xy in run.split()] for run in part.split("|")]
        return tuple(np.array(run) for run in points if run)

    now, _, later = text.partition("+")
    return Letter(strokes(now), strokes(later), float(strokes(now)[-1][-1].real))


LETTERS = {name: _parse(text) for name, text in (_LOWER | _UPPER).items()}
CAPITALS = list(_UPPER)
CONSONANTS = list("bcdfghklmnprstvz")
VOWELS = list("aeiou")


def plan(rng: np.random.Generator) -> list[Complexes]:
    """What a writer aims at: strokes of targets in x-heights."""
    strokes = _scribble(rng) if rng.random() < 0.25 else _name(rng)
    whole = np.concatenate(strokes)
    left, right, low = whole.real.min(), whole.real.max(), whole.imag.min()
    length = right - left
    kind = rng.random()
    below = min(low, -0.5) - rng.uniform(0.0, 0.6)
    if kind < 0.25:  # underline
        x = left + length * np.array([rng.uniform(0, 0.3), 0.5, rng.uniform(0.8, 1.1)])
        strokes.append(x + 1j * (below + rng.normal(0, 0.25, 3)))
    elif kind < 0.4:  # flourish there and back
        x = left + length * np.array([0.95, rng.uniform(-0.05, 0.2), rng.uniform(0, 0.2), rng.uniform(0.8, 1.15)])
        strokes[-1] = np.concatenate([strokes[-1], x + 1j * (below + np.array([0.3, 0.1, -0.3, -0.2]))])
    elif kind < 0.6:  # long tail
        tail = np.array([rng.uniform(0.5, 1.5) + 0.3j, rng.uniform(2, 5) + 1j * rng.uniform(-0.6, 1.2)])
        strokes[-1] = np.concatenate([strokes[-1], strokes[-1][-1] + tail])
    return strokes


def _name(rng: np.random.Generator) -> list[Complexes]:
    """One or two made-up words in the writer's own letter forms, legible to a varying degree."""
    forms = {name: _reshape(letter, rng) for name, letter in LETTERS.items()}
    capital, spread = rng.uniform(0.9, 1.8), rng.uniform(0.9, 1.5)
    fading = rng.choice([0.0, rng.uniform(0.2, 0.75)], p=[0.45, 0.55])
    initial = rng.random() < 0.35
    words = [_word(rng, 0 if initial else int(rng.integers(1, 3))), _word(rng, int(rng.integers(1, 4)))]
    if rng.random() < 0.2:
        words = words[1:]
    strokes: list[Complexes] = []
    x = 0.0
    for word in words:
        later: list[Complexes] = []
        joined = False
        for position, name in enumerate(word):
            letter, size = forms[name], capital if position == 0 else 1.0
            # Practised writers let the end of a word run out into a wave.
            height = 1 - fading * position / max(len(word) - 1, 1)
            across = size * spread * (1 + 0.4 * (1 - height) * (position > 0))
            for stroke in letter.strokes:
                placed = x + stroke.real * across + 1j * stroke.imag * size * height
                if joined:
                    placed = np.concatenate([strokes.pop(), placed])
                strokes.append(placed)
                joined = False
            joined = position > 0 or rng.random() < 0.6
            later += [x + mark.real * across + 1j * mark.imag * size * max(height, 0.6) for mark in letter.later]
            x += letter.advance * across
        strokes += later
        x += rng.uniform(0.3, 1.6)
    return strokes


def _word(rng: np.random.Generator, syllables: int) -> str:
    letters = [rng.choice(CAPITALS), *(rng.choice(kind) for _ in range(syllables) for kind in (VOWELS, CONSONANTS))]
    if syllables and rng.random() < 0.6:
        letters.append(rng.choice([*VOWELS, "y"]))
    return "".join(letters)


def _reshape(letter: Letter, rng: np.random.Generator) -> Letter:
    """The letter in one writer's form."""
    own = tuple(stroke + 0.11 * (rng.normal(size=(len(stroke), 2)) @ [1, 1j]) for stroke in letter.strokes)
    return letter._replace(strokes=own)


def _scribble(rng: np.random.Generator) -> list[Complexes]:
    """An illegible signature: big loops and zigzags over one another, after a capital."""
    count = int(rng.integers(4, 9))
    step, swing = rng.uniform(0.5, 1.4), rng.uniform(-0.8, 1.2)
    tops = rng.uniform(1.2, 3.0, count) * np.linspace(1, rng.uniform(0.4, 1.0), count)
    lows = rng.uniform(-1.2, 0.4, count)
    x = np.arange(count) * step + rng.normal(0, 0.3, count)
    # Up on the right, over to the left, down, and back to the right: a loop; with a negative swing, a zigzag.
    loops: Complexes = np.stack(
        [x + 0.7 * swing + 1j * tops, x - 0.2 + 1j * tops, x + 1j * lows, x + 0.6 + 1j * lows], axis=1
    )
    letter = LETTERS[str(rng.choice(CAPITALS))]
    size = rng.uniform(0.9, 1.4)
    first: list[Complexes] = [stroke * size for stroke in letter.strokes]
    return [*first, loops.ravel() + letter.advance * size]
