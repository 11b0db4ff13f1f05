"""Measurements of openrds, as ratios to the bare engine or a peer in the same run, interleaved.

`python -m bench` runs them all, `python -m bench create requests` only those named. The figures and how they were
taken are kept in docs/benchmarks.md.
"""
