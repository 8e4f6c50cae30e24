"""Training runs: what to train, the loop, tasks, hooks, checkpoints."""
