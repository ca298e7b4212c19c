"""Labelled videos to clips: what a data set lists, decoded once into a cache, cut into batches."""
