"""Measures how fast a device runs the parts of a space, so that searches can predict latency.

`measure.profile` times parts and whole networks (design.py says which, runtimes.py how they are run,
timing.py how their time is taken), finds the pace of each kind of work (fit.py), and says how far predictions
are off on networks that had no part in it. `measure.write_profile` writes what a search reads.
"""
