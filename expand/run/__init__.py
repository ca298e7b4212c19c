"""A search from its configuration to its models: the driver, the run folder, its study and its record.

The command calls `preparation.plan`, `preparation.decode` and `driver.drive` to run a search, and
`status.read_status` to show its state; plots and reports read it by `record.read_run`. Python callers use
`frames.load_run`, exported as `expand.load_run`.
"""
