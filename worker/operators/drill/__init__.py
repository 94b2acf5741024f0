"""The drill: the proof, with orders of its own, that the kill switch works."""
