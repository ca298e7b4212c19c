"""Decides what a search trains next: strategies, costs, forecasts and replay; no files, clock or torch.

For a strategy or a cost of your own, use `base.Strategy`, `base.Problem` and `costs.Cost`, and test it with
`conformance.check_strategy` and `conformance.check_cost`. Other packages call `problem.Setup.of`,
`replay.Replay`, `forecast.forecast`, `strategies.load_strategy` and `costs.load_cost`.
"""
