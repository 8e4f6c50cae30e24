"""Enrol a person from three signatures, store the template, verify against it later.

python examples/enroll_and_verify.py

The signatures are synthetic, so the program needs no files. The second pass over the references is saved: a template
holds their embeddings, never the images. It is encrypted: an application keeps its key where `edge-sdk keygen template`
put it, a file or the system's key store, and names that. This one lasts as long as the program.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from edge_sdk import Template, Verifier
from edge_sdk.export.data.signatures.synthetic import SyntheticWriter


def main() -> None:
    writer = SyntheticWriter(seed=7)
    with Verifier("deepsign") as verifier, tempfile.TemporaryDirectory() as folder:
        path, key = Path(folder, "person-7.template"), os.urandom(32)
        verifier.enroll([writer.genuine(k) for k in range(3)]).save(path, key=key)
        template = Template.load(path, key=key)

        for name, image in [("own signature", writer.genuine(3)), ("forgery", writer.forged(0))]:
            result = verifier.verify(template, image)
            print(f"{name:14} {'accepted' if result else 'rejected'} (score {result.score:.3f})")


if __name__ == "__main__":
    main()
