"""From labelled videos to batches of clips: data sets' lists, the cache of decoded frames, and sampling."""
