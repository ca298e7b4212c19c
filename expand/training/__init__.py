"""Trains and validates networks: short trainings of candidates, and the steps that full trainings share.

Workers call `candidate.run_job`. The run calls `calibrate.calibrate`, `memory_forecast.foresee` and
`devices.choose_device`; full trainings call `loop.Loop`, `prediction.view_means` and
`checkpoints.write_checkpoint`. An objective of your own has the members of `objectives.Objective`, and is
tested by `conformance.ObjectiveConformance`.
"""
