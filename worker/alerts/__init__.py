"""Conditions that somebody must act on, and how people are told of them."""
