"""A job, which is one training that a worker is asked for, and its result, as JSON in a folder."""
