"""The end of a film, where its container announces other frames than those it shows; and frames without a time."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import VideoDecodeError
from edge_sdk.runtime import containers, sources
from edge_sdk.runtime.containers import MOST_FRAMES, Announced, avi, matroska, mp4
from edge_sdk.runtime.films import Times

from .drawn import frame
from .filmed import cut, film, spoil
from .filmed_mp4 import begin_with_tables, edit, film_mp4, fragment

PICTURES = [frame(seed=seed) for seed in range(8)]

# Ten frames of 48 x 48, gray levels from 15 to 224, made for this with FFmpeg: -c:v mpeg4 -bf 2 -vtag XVID
B_FRAMES = """
c-jl{baShcVqkC#^HlKh3=XjnVqnNfDauJK%gnG~U|{fg!N{;8kpT<@I2jnYAWQ~EhzNrLkThVx1R%2>2rw`dmlWjyG1#oK%#`AYFi#g`bs%#%
plp!Y;XwQ!2w?ICKnT>IrU7JYK<zRB>yuyrn<b5Dw^yj2w*=5`7MK|ZDaj0@U=)mkQ7{Td!6+C7qhJ(_f>AIEM!_f;QJ}1#r~r8o0yO@B7*}9K
Vk5+HjdOs;8d!h|^HXwjfGFd~2o6_JSo~lfO<$v66pTaw8uM)f=KtLMvP{sJYXDf3al=O-v2~>|q(Eg<;JDJu!Qjf+!X_eM59DuV5MT#V+XP$P
L~hqh=l;pv{+@wh*2Gq``^P~1-wX_!5FFCY6>oLZ0~z{p+x`6@bGv85E!l+NfXoeon7eIqt5D4W9VQ?;KZCU)g0&&?Gs6aMAgX6z@O6I1m>>p3
s4Aiv7$R}VAe%fDWU>ZRg9cOo3|58!R))aO3=6n`2x_u}2oRyF2!@!9O$KDLKS^OB+v=7H3W#I3>p(#<3lT1xkT@W7!=Wyo33Tznc|0G|n{9qJ
+ekh*&sO=Ft-=^6^d0PEu#DvMGa#7?<MT6&!HV~T9gRy4IYeetJw!-L9h!$0^YrfT-S*Gy_IFT_w7DUrIyeW}#q(*FI#wL&v`YZ_iqZWH$X5*-
KN|u-9<wJWEHYCn3>Pp!W<LZNAhRI>Nc<QiKFIzpKpcd`=VL_hLFzMre19bQ1B{T_8W>-J2~~X+6RP=_m{85vVTSMl!z)=r
"""


def read(path: Path) -> tuple[list[float], list[int]]:
    """The times of a film's frames in eighths of a second, and the numbers of those that are None."""
    found = list(sources.video(path))
    eighths = [time * 8 for time, _ in found]
    assert eighths == pytest.approx([round(one) for one in eighths], abs=0.02)
    return [round(one) for one in eighths], [number for number, (_, picture) in enumerate(found) if picture is None]


@pytest.mark.parametrize(
    ("parts", "times"),
    [
        ([(1.0, 0.0)], range(8)),
        ([(0.5, 0.5)], range(4)),
        ([(0.375, 0.25)], range(3)),
        ([(2.0, None), (0.5, 0.5)], range(4)),
        ([(0.25, 0.0), (0.25, 0.75)], range(4)),
    ],
    ids=["all", "begins later", "both ends", "begins after a while", "middle taken out"],
)
def test_an_edit_list_says_which_frames_there_are(
    parts: list[tuple[float, float | None]], times: range, tmp_path: Path
) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    edit(path, *parts)
    assert read(path) == (list(times), [])


def test_a_trimmed_film_that_is_cut_off_misses_frames(tmp_path: Path) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    edit(path, (0.75, 0.25))
    begin_with_tables(path)
    assert read(path) == (list(range(6)), [])
    path.write_bytes(path.read_bytes()[:-10])
    whole = path.read_bytes()
    times, lost = read(path)
    assert (times[:5], times[-1], lost[-1]) == ([0, 1, 2, 3, 4], len(times) - 1, len(times) - 1)
    path.write_bytes(whole[: len(whole) * 9 // 10])
    times, lost = read(path)
    assert times == list(range(6))
    assert lost
    assert lost == list(range(lost[0], 6))


@pytest.mark.parametrize(("size", "offset"), [(2, 0), (3, 0), (3, 40)])
def test_fragments_are_counted(size: int, offset: int, tmp_path: Path) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    fragment(path, size, offset)
    assert read(path) == (list(range(8)), [])
    path.write_bytes(path.read_bytes()[:-10])
    times, lost = read(path)
    assert times[:7] == list(range(7))
    assert lost[-1] == len(times) - 1, "the last frame is damaged, or missing behind what FFmpeg makes of it"


def announce_seconds(path: Path, seconds: float) -> None:
    """Let a Matroska file say that it is so long, as with a longer sound track."""
    data = bytearray(path.read_bytes())
    struct.pack_into(">d", data, data.index(b"\x44\x89\x88") + 3, seconds * 1000)
    path.write_bytes(data)


def test_matroska_with_a_longer_sound_track_ends_with_its_last_frame(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", PICTURES)
    announce_seconds(path, 5)
    assert read(path) == (list(range(8)), [])
    spoil(path, 6, 7)
    assert read(path) == (list(range(8)), [6, 7])


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4"])
def test_a_film_that_is_cut_off_never_ends_well(name: str, tmp_path: Path) -> None:
    path = film_mp4(tmp_path / name, PICTURES) if name.endswith("mp4") else film(tmp_path / name, PICTURES)
    if name.endswith("mp4"):
        begin_with_tables(path)
    data = path.read_bytes()
    for share in (0.4, 0.6, 0.8, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        times, lost = read(path)
        assert lost[-1] == len(times) - 1


def test_a_film_whose_tables_at_the_end_are_cut_off_is_an_error(tmp_path: Path) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(VideoDecodeError, match="damaged or cut off"):
        read(path)


def test_frames_that_b_frames_delay_have_times(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    path.write_bytes(zlib.decompress(base64.b85decode(B_FRAMES.replace("\n", ""))))
    found = list(sources.video(path))
    assert [time for time, _ in found] == pytest.approx([number / 8 for number in range(10)])
    levels = [float(np.mean(picture)) for _, picture in found if picture is not None]
    assert levels == pytest.approx([15, 40, 61, 86, 109, 132, 157, 180, 201, 224], abs=3)


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([2, 3, 4, 0, 0], [0, 1, 2, 3, 4]),
        ([0, 0, 0, 1, 2], [0, 1, 2, 3, 4]),
        ([0, 0.0, 2, 3], [0, 1, 2, 3]),
        ([0, 1, 7, 8, 3, 4], [0, 1, 7, 8, 3, 4]),
        ([0, 4, 0, 5], [0, 4, 5, 5]),
    ],
    ids=["sound", "delayed", "from before 0", "one without", "backward is kept", "one without later"],
)
def test_times_of_frames_without_a_stamp(stamps: list[float], times: list[float]) -> None:
    times_of = Times(interval=1.0)
    assert [times_of.read(stamp, 0) for stamp in stamps] == times


def test_what_a_container_cannot_say_is_left_to_opencv(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for data in (b"", b"\0\0\0\x20ftypisom" + bytes(64), b"RIFF\0\0\0\0AVI ", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3" * 9):
        path.write_bytes(data)
        assert containers.announced(path, 0.0) is None


def test_tables_that_announce_too_much_are_not_believed(tmp_path: Path) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    data = bytearray(path.read_bytes())
    for kind, at in ((b"stts", 8), (b"stsz", 8)):
        changed = bytearray(data)
        struct.pack_into(">I", changed, changed.index(kind) + 4 + at, 0xFFFFFFF0)
        path.write_bytes(changed)
        assert containers.announced(path, 0.0) is None
    assert MOST_FRAMES < 0xFFFFFFF0


def test_no_more_than_a_minute_of_missing_frames_is_shown(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", PICTURES * 2)
    announce_seconds(path, 1000)
    cut(path, 12)
    times, lost = read(path)
    assert (times[:12], lost[0], len(lost)) == (list(range(12)), 12, 1800)


def test_tables_that_cost_too_much_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film_mp4(tmp_path / "a.mp4", PICTURES)
    edit(path, *[(0.125, 0.0)] * 1001)
    assert containers.announced(path, 0.0) is None
    nested = b""
    for _ in range(2000):
        nested = struct.pack(">I4s", 8 + len(nested), b"moov") + nested
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + nested)
    assert containers.announced(path, 0.0) is None
    for module, name in ((mp4, "a.mp4"), (avi, "a.avi"), (matroska, "a.mkv")):
        film_mp4(path, PICTURES) if name == "a.mp4" else film(tmp_path / name, PICTURES)
        assert containers.announced(tmp_path / name, 0.0) is not None
        monkeypatch.setattr(module, "MOST_PARTS", 1)
        assert containers.announced(tmp_path / name, 0.0) is None


@pytest.mark.parametrize("make", [lambda path: film(path.with_suffix(".avi"), PICTURES), None], ids=["avi", "mp4"])
def test_damaged_tables_raise_nothing(make: Callable[[Path], Path] | None, tmp_path: Path) -> None:
    path = make(tmp_path / "a") if make else film_mp4(tmp_path / "a.mp4", PICTURES)
    data = path.read_bytes()
    draw = np.random.default_rng(0)
    tables = data.index(b"moov") if make is None else 0
    for _ in range(200):
        changed = bytearray(data)
        for at in draw.integers(tables, min(len(data), tables + 1200), 3):
            changed[at] = draw.integers(256)
        path.write_bytes(changed)
        found = containers.announced(path, 0.0)
        assert found is None or len(found.times) <= MOST_FRAMES


def test_missing_frames_are_those_behind_the_latest() -> None:
    announced = Announced(np.arange(10) / 8, 10, cut=False)
    assert announced.behind(1.125, 10, 0.125) == []
    assert announced.behind(1.0, 9, 0.125) == [1.125]
    assert announced.behind(1.125, 7, 0.125) == [], "left out on the way"
    assert announced.behind(0.5, 9, 0.125) == [1.125], "the clock lags behind"
    assert Announced(np.arange(10) / 8, 10, cut=True).behind(1.125, 10, 0.125) == [1.25]
