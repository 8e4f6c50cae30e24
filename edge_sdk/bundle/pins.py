"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "07f7b1d372e0090b43dc360b846b0a4f1fca770f7833188fb95d1a8c0cf331da",
    "deepsign_nano": "34e62aaefe9d6527ac818d7d3cea84c4b79102c2f653c9619273d7cddee0571e",
    "face_lite": "36e3465e7bf443c45772522188bf1e348107d8b5196984e505d5237a84ed22ae",
    "face_locator": "9b3e33b9ff7e77d53b14c7e2bed19ebb7a1d89afbf7fb637d41c3a7ab05d2b4c",
    "gait": "2002bf390e21e1311458c9513aed50ea6ce8fd3e31e1f95abd09b7722a930b28",
    "gait_lite": "6c3c5ab4b4f95118f1111d9043def5ff316ca168d2193e2c904655bc21b4932b",
    "ganomaly_lite": "afb6f4a49f258476c17e6508f5adef6dc452cd04e3ab129e5594381f05593092",
    "liveness": "dad574d36a61d4820f811674710b3cd070327b53ab5d7fe0210f6bf9281d2f25",
    "mobilenetv2": "c39a1a78520e833db43697d0e105f0fda4194eac212857e69590a7736a52c2f2",
}
