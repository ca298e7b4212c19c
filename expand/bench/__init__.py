"""`xpand bench`: benchmarks of xpand's speed against named baselines; results/speed has the results.

The command calls one function for each benchmark, such as `step.measure_step` and `driver.measure_driver`;
no other package imports from here.
"""
