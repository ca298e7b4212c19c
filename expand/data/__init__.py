"""From labelled videos to batches of clips: data sets' lists, the cache of decoded frames, and sampling.

Other packages list videos by `sources.open_source`, decode them by `cache.open_cache` (workers open the same
cache by `cache_reader.open_built`), read clips by `clips.planned_batches` and `clips.view_batches`, take
labels from `labelled.Videos`, and examine a data set by `doctor.examine`.
"""
