"""Model files and state dicts in every layout, read and written."""
