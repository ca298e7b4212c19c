"""`xpand bench`: benchmarks of xpand's speed against named baselines; results/speed has the results."""
