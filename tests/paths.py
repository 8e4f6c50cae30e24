"""Where the project and the real data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("EDGE_SDK_DATA", ROOT / "../shared/data"))
"""Real data sets; tests that read them skip where they are absent."""
