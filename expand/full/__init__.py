"""Full trainings and tests of a network: `xpand train`, `xpand test`, their folder, schedules and scores.

For trainings, the command calls `preparation.choose`, `preparation.listed_schedule`, `train.start` and
`train.go_on`; for tests, `testing.choose_test`, `testing.run_test` and `testing.result_table`.
`folder.TrainingFolder` reads the folder of a training.
"""
