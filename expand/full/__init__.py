"""Full trainings and tests of a network: their folder, their steps, multigrid, their scores."""
