"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "07f7b1d372e0090b43dc360b846b0a4f1fca770f7833188fb95d1a8c0cf331da",
    "deepsign_nano": "34e62aaefe9d6527ac818d7d3cea84c4b79102c2f653c9619273d7cddee0571e",
    "face_lite": "c673f27fc12b38bbe5043b5d9483ea0bfb5eb89108cdc92f6ff0272c1409c018",
    "face_locator": "493544d17d0aeda373ca82cbe1b57a1dcd6aeef41dad67ba23665bb1e37df478",
    "ganomaly_lite": "294bba8cde0f66ecc0d7b8726cc2b18672a25a4bbbab790894a7ae985819c78d",
    "liveness": "e27cbb738df7217023dddaf0d05416ba072d7581766f714f28a4b6166f832d0b",
    "mobilenetv2": "4eac2e98bf38be6c87058c4ab33e4b9fc5d683360a9ad22c9245ffb3b26c188d",
}
