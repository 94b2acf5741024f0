"""The simulated exchange and an embedded Redis: what stands in for the outside world."""
