"""Jobs and their results: a job is one training for a worker, in a folder of its own, as JSON.

`job` has the values (`Job`, `Place`, `Measurement`, `Failure`). The driver calls `folder.write_job`,
`read_result`, `read_progress`, `read_attempts` and `close_attempts`; the worker calls `folder.read_job`,
`alone`, `attempting` and `write_result`. `per_video` reads and writes the score of each validation video.
"""
