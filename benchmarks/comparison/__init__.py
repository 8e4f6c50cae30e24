"""The parts of ``benchmarks/compare.py``: two builds of edge-sdk beside each other.

``builds`` starts a worker in the interpreter of each build and lets them take turns; ``worker`` and the ``tasks_*``
modules run there, and are written for both APIs. The ``rows_*`` modules, of which each has ``ROWS``, measure the rows
of the table; ``table`` holds what they give, ``page`` writes it as Markdown with plots.
"""
