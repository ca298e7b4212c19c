"""Export of networks to other projects' formats, and import of weights in these formats."""
