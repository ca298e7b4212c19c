"""Jobs and their results: a job is one training for a worker, in a folder of its own, as JSON.

The driver writes a `job.Job` by `folder.write_job`, and reads a `job.Measurement` or `job.Failure` by
`folder.read_result`, and meanwhile the progress by `folder.read_progress`. A worker calls `folder.alone`,
`folder.read_job`, `folder.attempting`, `per_video.pack_scores` and `folder.write_result`.
"""
