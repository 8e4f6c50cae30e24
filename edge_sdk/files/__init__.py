"""Files that edge-sdk reads and writes.

Read: ordinary files alone, up to a size (:func:`open_regular`, :func:`read_bytes`). Written: each whole or not at all
(:func:`atomic_write` and its kin); where a file is read and changed, under a lock (:func:`locked`); appended to, a line
at a time (:class:`AppendedFile`). What is trusted without another check: only what nobody else can have written
(:func:`read_own`). One cache folder, one folder for settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_sdk.files.reading import PathLike as PathLike
from edge_sdk.files.reading import open_regular as open_regular
from edge_sdk.files.reading import read_bytes as read_bytes
from edge_sdk.files.reading import regular_size as regular_size

if TYPE_CHECKING:
    from edge_sdk.files.appending import AppendedFile as AppendedFile
    from edge_sdk.files.folders import CACHE_VARIABLE as CACHE_VARIABLE
    from edge_sdk.files.folders import CONFIG_VARIABLE as CONFIG_VARIABLE
    from edge_sdk.files.folders import cache_folder as cache_folder
    from edge_sdk.files.folders import config_folder as config_folder
    from edge_sdk.files.folders import named as named
    from edge_sdk.files.locks import locked as locked
    from edge_sdk.files.locks import try_lock as try_lock
    from edge_sdk.files.own import check_own as check_own
    from edge_sdk.files.own import discard_foreign as discard_foreign
    from edge_sdk.files.own import own_folder as own_folder
    from edge_sdk.files.own import read_own as read_own
    from edge_sdk.files.own import write_new as write_new
    from edge_sdk.files.scratch import scratch_folder as scratch_folder
    from edge_sdk.files.writing import atomic_write as atomic_write
    from edge_sdk.files.writing import check_writable as check_writable
    from edge_sdk.files.writing import sync_folder as sync_folder
    from edge_sdk.files.writing import write_bytes as write_bytes
    from edge_sdk.files.writing import write_text as write_text
else:
    from edge_sdk import lazy

    __getattr__ = lazy.names(
        __name__,
        {
            "appending": ("AppendedFile",),
            "folders": ("CACHE_VARIABLE", "CONFIG_VARIABLE", "cache_folder", "config_folder", "named"),
            "locks": ("locked", "try_lock"),
            "own": ("check_own", "discard_foreign", "own_folder", "read_own", "write_new"),
            "scratch": ("scratch_folder",),
            "writing": ("atomic_write", "check_writable", "sync_folder", "write_bytes", "write_text"),
        },
    )
