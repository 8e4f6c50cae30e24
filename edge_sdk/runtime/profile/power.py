"""A Jetson's power mode and draw, through jetson-stats (its service runs on the board); elsewhere nothing is known."""

from __future__ import annotations

import importlib
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edge_sdk.logs import Log
from edge_sdk.runtime.profile.records import Power

if TYPE_CHECKING:
    from typing_extensions import Self

_LOG = Log(__name__)
INTERVAL_S = 0.5


class PowerMeter:
    """Reads the draw in the background, in another process than the one that is measured.

    ::

        with PowerMeter() as meter:
            ...
        meter.reading()  # None if there is nothing to read
    """

    def __init__(self) -> None:
        self._milliwatts: list[float] = []
        self._mode = "unknown"
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._jetson: Any = None

    def __enter__(self) -> Self:
        try:
            self._jetson = importlib.import_module("jtop").jtop()
            self._jetson.start()
            self._read()
        except ImportError:
            self._jetson = None
        except Exception as exc:  # noqa: BLE001 - whatever it raises, a missing reading ends no measurement
            _LOG.warning("power is not measured: %s", exc)
            self._close()
        else:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
        self._close()

    def reading(self) -> Power | None:
        """The power mode, and what was drawn while the meter was open."""
        if not self._milliwatts:
            return None
        mean = sum(self._milliwatts) / len(self._milliwatts)
        return Power(mode=self._mode, mean_w=mean / 1e3, max_w=max(self._milliwatts) / 1e3)

    def _read(self) -> None:
        self._milliwatts.append(float(self._jetson.power["tot"]["power"]))  # mW, the whole board
        self._mode = str(self._jetson.nvpmodel)

    def _watch(self) -> None:
        try:
            while not self._stop.wait(INTERVAL_S):
                self._read()
        except Exception as exc:  # noqa: BLE001 - as above
            _LOG.warning("power is not measured any more: %s", exc)

    def _close(self) -> None:
        if self._jetson is not None:
            self._jetson.close()
            self._jetson = None
