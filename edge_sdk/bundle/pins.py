"""The SHA-256 of the manifest of each shipped bundle; `make pins` writes this file."""

from __future__ import annotations

PINS = {
    "deepsign": "4dbe5525b916213274a9d6c8e87319eba3eaea65d807998445ac8c433512d3b7",
    "deepsign_nano": "38900d6d000de5476607b29bc8fb8164fd188e9bacdb340201cef284cb2d4a1d",
    "face_lite": "7c9a401f177e436b5078c4de2267bef404d86500a010e39ca6c71f16a7b47402",
    "face_locator": "9780387f53aa449f94f46c01a514c06e580b9fc25e14009c6d7133f85ab765cb",
    "gait": "bda8648829d3b0d05a07dc6412372107e83aea18634f2c31de9774a6eac4b145",
    "gait_lite": "0adaa7015293157ea3d89535d94bf5865cac5db98ee0461b40178eff95342101",
    "ganomaly_lite": "0c9ee3105160fe4ec58817968cd3a992b136ec2a947c02acf4bc1dc48506fc72",
    "liveness": "285502b9c4a90d7d21d29c9f9ef9c62b2f780cfe0fc8c04b31679efcd5bdc6cf",
    "mobilenetv2": "ea887fa5b08a5fad7cb1a6e0c2e7344eca0abb22081fda90e047df65bbf97243",
}
