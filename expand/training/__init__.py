"""One candidate in, one Measurement out."""
