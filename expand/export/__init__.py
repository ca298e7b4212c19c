"""Export of networks to other projects' formats, and import of weights in these formats.

The command calls `command.export` and `importing.import_weights`. The module of a format has the members of
`base.Format`.
"""
