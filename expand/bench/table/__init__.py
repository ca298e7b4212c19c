"""A table of a neighbourhood: all networks that a search can come to, each trained several times.

With it, ways of searching are compared without training anything: a search asks for trainings, and the table
has their outcomes. The command calls `measuring.measure`, `rows.write_table`, `rows.read_table` and
`tournament.replay_all`. The modules, in the order in which they are used:

- networks.py: which networks a table has
- strategies.py: strategies that train them, one for each way
- measuring.py: trains them, way by way, each in a run folder
- rows.py: what was measured, as one table with a row for each training
- lookup.py: the table, as searches ask it: what they see of it, and what they are judged by
- contenders.py, look_ahead.py: the ways of searching
- replays.py, tournament.py: a search on the table; all of them, many times
- verdict.py: how good what each finds is, and which is ahead
- show.py, figure.py: tables for a terminal, and a figure
"""
