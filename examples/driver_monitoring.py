"""Watch a driver's camera in real time: is a live face there now? For one small core.

    python examples/driver_monitoring.py SOURCE [SECONDS]

SOURCE is the number of a camera, or a video, which is played at its own rate. Exit code 0: the last answer is LIVE;
1: it is not; 2: usage; 3: an error; 130: Ctrl-C.

A thread reads the camera and keeps the newest frame only: what the detector is too slow for is dropped, never queued.
While the camera gives nothing, the stream gets None, so that answers go on. An answer counts while its frame is young.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any

from edge_sdk import EdgeSdkError, SpoofDecision, SpoofDetector, StreamResult
from edge_sdk.opencv import cv2
from edge_sdk.runtime import clock, sources

PATIENCE_S = 0.1  # without a frame, three of a camera that gives 30 a second
DEADLINE_S = 2.0
OLDEST_S = 0.25
CLOSING_S = 2.0  # for a camera's last frame; one that hangs is left behind

Frames = Iterable[tuple[float, Any]]


def newest(camera: Frames, patience: float = PATIENCE_S) -> Generator[tuple[float, Any], None, None]:
    """The camera's newest frame whenever one is asked for; None where none has come for some time.

    Close it before the program ends: a thread that is inside OpenCV then would take the process down.
    """
    slot: deque[tuple[float, Any]] = deque(maxlen=1)
    came, closed = threading.Event(), threading.Event()
    ended: list[Exception | None] = []

    def read() -> None:
        try:
            for frame in camera:
                slot.append(frame)
                came.set()
                if closed.is_set():
                    return
            ended.append(None)
        except Exception as error:  # noqa: BLE001 - raised where the frames are taken
            ended.append(error)
        came.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            came.wait(patience)
            came.clear()
            over = bool(ended)  # first: what came before the end is still there
            if slot:
                yield slot.popleft()
            elif over:
                if ended[0] is not None:
                    raise ended[0]
                return
            else:
                yield clock.now(), None
    finally:
        closed.set()
        reader.join(CLOSING_S)


def played(film: Frames) -> Iterator[tuple[float, Any]]:
    """The frames of a video when they are due, with the time of this machine, as a camera gives them."""
    start = clock.now()
    for stamp, picture in film:
        time.sleep(max(0.0, start + stamp - clock.now()))
        yield clock.now(), picture


def answer(result: StreamResult, now: float) -> SpoofDecision:
    """What is known now: nothing, if the frame is old."""
    return result.decision if 0 <= now - result.time <= OLDEST_S else SpoofDecision.UNCERTAIN


def main(source: str, seconds: float, stopped: threading.Event) -> int:
    camera = sources.camera(int(source)) if source.isdecimal() else played(sources.video(source))
    cv2.setNumThreads(1)
    known, oldest, frames = None, 0.0, 0
    with (
        SpoofDetector("liveness", faces="locator", threads=1, warm_up=True) as detector,
        closing(newest(camera)) as fresh,
    ):
        gc.collect()
        gc.freeze()
        gc.disable()  # results have no cycles, and nothing here makes any
        end = clock.now() + seconds
        for result in detector.stream(fresh, deadline=DEADLINE_S):
            now = clock.now()
            frames, oldest = frames + 1, max(oldest, now - result.time)
            if (told := answer(result, now)) != known:
                known = told
                print(f"{told.name}: {', '.join(result.reasons)}, {1e3 * (now - result.time):.0f} ms old", flush=True)
            if now >= end or stopped.is_set():
                break
    if stopped.is_set():
        return 130
    print(f"{frames} frames, none older than {1e3 * oldest:.0f} ms when its result came")
    return 0 if known is SpoofDecision.LIVE else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or (len(sys.argv) == 3 and not sys.argv[2].isdecimal()):
        print(f"usage: {sys.argv[0]} SOURCE [SECONDS]", file=sys.stderr)
        sys.exit(2)
    ctrl_c = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: ctrl_c.set())  # KeyboardInterrupt may come where a library drops it
    try:
        sys.exit(main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) == 3 else float("inf"), ctrl_c))
    except EdgeSdkError as error:  # whatever goes wrong, nobody is live
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3)
