"""Evaluation of task ``spoof``: presentation attack detection (ISO/IEC 30107-3)."""
