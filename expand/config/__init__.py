"""Typed settings of a search and of a full training, how they are read, and their page of docs."""
