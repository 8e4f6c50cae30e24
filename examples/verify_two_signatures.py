"""Are these two signatures by the same person?

    python examples/verify_two_signatures.py [REFERENCE QUERY]

Without arguments it compares the two synthetic sample images that the shipped bundle carries.
"""

from __future__ import annotations

import sys

from edge_sdk import Bundle, Verifier


def main() -> None:
    bundle = Bundle.open("deepsign")
    images: list[str | bytes] = [*sys.argv[1:]]  # a path, an image file's bytes and a numpy array all work
    reference, query = images or [bundle.read(entry) for entry in bundle.manifest.golden.inputs]

    with Verifier(bundle) as verifier:
        result = verifier.verify(reference, query)

    print("same person" if result else "not accepted", f"(score {result.score:.3f}, threshold {result.threshold:.3f})")
    if result.quality:
        print("look at the images again:", ", ".join(result.quality))


if __name__ == "__main__":
    main()
