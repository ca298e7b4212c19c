"""The decisions of a search, pure: nothing here reads files or a clock, or trains anything."""
