"""The demo: a plan, a stage to run it on, the run and its report."""
