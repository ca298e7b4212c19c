"""Decides what a search trains next: strategies, costs, forecasts and replay; no files, clock or torch.

Other packages call `setup.Setup`, `setup.problem_of`, `replay.Replay`, `forecast.forecast`, `forecast.Clock`
and `forecast.likely_rounds`. A strategy or a cost of your own has the members of `base.Strategy` or
`costs.Cost`, and is tested by `conformance.check_strategy` or `conformance.check_cost`.
"""
