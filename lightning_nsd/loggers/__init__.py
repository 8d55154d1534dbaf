"""Where figures go: the run's own CSV, and whatever loggers the user adds."""
