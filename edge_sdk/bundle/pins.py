"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "050e8f217718ced0f4c0923f22d0eb011c54f6e6f03b0ab099d0545b12c1a221",
    "deepsign_nano": "7cbab18a860ebcd95ceb0f670a53b67ef9233ab6dfb5a4d524a1a384ba1fc729",
    "ganomaly_lite": "294bba8cde0f66ecc0d7b8726cc2b18672a25a4bbbab790894a7ae985819c78d",
    "liveness": "e27cbb738df7217023dddaf0d05416ba072d7581766f714f28a4b6166f832d0b",
    "mobilenetv2": "e0c8259980edb7cecab04377c6091c9a7255c5666f17ca562b67837cd2f72282",
}
