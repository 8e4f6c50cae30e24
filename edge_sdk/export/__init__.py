"""The workstation's side: data sets, training, export to a bundle, evaluation. Needs the ``export`` extra."""

from __future__ import annotations

if __name__ != "edge_sdk.export":  # loaded through the link at the top of a checkout
    raise ImportError(f"import edge_sdk.export, not {__name__}: the folder export at the top is a link for people")
