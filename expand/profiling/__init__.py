"""Measures how fast a device runs networks of a space, so that searches can predict latency.

`measure.profile` times networks (design.py says which, runtimes.py how they are run, timing.py how their time
is taken), finds the pace of each kind of work that they do, and says how far predictions are off on networks
that had no part in it (fit.py). A search goes by what it writes; `found.time_networks` times what it found.
"""
