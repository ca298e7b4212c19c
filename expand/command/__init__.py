"""The command `xpand`: every verb parses its arguments, calls other packages and prints.

The entry point is `cli.main`. Python callers use `session.run_search`, exported as `expand.run_search`; no
other package imports from here.
"""
