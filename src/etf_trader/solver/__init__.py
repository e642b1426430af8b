"""The optimum, nothing else."""
