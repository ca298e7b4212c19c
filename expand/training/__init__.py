"""Trains and validates networks: short trainings of candidates, and the steps that full trainings share.

A worker calls `candidate.run_job`, which does the job in a folder. Full trainings call `loop.Loop`,
`views.view_means`, `metrics` and `checkpoints`; the run calls `calibrate.calibrate`, `foresight.foresee` and
`devices.choose_device`. An objective of your own has the members of `objectives.Objective`, and is tested by
`conformance.ObjectiveConformance`.
"""
