"""The speed of xpand itself, each time beside a named baseline; results/speed has what was measured."""
