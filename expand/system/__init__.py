"""What any program needs of its machine: whole files, locks, signals, child processes, words and units.

Nothing here knows of networks or videos.
"""
