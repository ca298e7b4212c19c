"""Full trainings and tests of a network: `xpand train`, `xpand test`, their folder, schedules and scores.

The command calls `train.choose`, `listed_schedule`, `start` and `go_on` for trainings, and
`testing.choose_test`, `run_test` and `result_table` for tests. `folder.TrainingFolder` reads what a training
wrote.
"""
