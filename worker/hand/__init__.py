"""What operators decide, and what is told of it."""
