"""A search from its configuration to its models: the driver, the run folder, its study and its record."""
