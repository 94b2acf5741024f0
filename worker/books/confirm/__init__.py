"""Is it off the book? What the exchange told of cancels that were answered."""
