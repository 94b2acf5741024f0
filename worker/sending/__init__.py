"""How a due lane becomes calls and records."""
