"""Helpers that know nothing of networks or videos: atomic files, locks, signals, child processes, units."""
