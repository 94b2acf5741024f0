"""The commands of `bulk-cancel`, one module each or a few that belong together."""
