"""Confirmation: whether orders whose cancel was answered are off the book."""
