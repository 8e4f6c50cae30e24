"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "e4505298facc8c0bf534da00a88b64567ecc1aef0c8c9a3464bed743a77d1858",
    "deepsign_nano": "30289d4efb0d6fa9e5bfc6516d31332bd76a77139dbcbea2636d93afda4ebdd4",
    "ganomaly_lite": "294bba8cde0f66ecc0d7b8726cc2b18672a25a4bbbab790894a7ae985819c78d",
    "liveness": "e27cbb738df7217023dddaf0d05416ba072d7581766f714f28a4b6166f832d0b",
    "mobilenetv2": "a59316b0f7b682375188cae5d72fc50e505ec84b541329ce1652a468560a0796",
}
