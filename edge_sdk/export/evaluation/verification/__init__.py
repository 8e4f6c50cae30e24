"""Evaluation of task ``verify``: error rates of comparisons of people (ISO/IEC 19795)."""
