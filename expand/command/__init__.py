"""The command `xpand`: every verb parses its arguments, calls other packages and prints."""
