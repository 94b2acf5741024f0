"""What the exchange says when it is asked: its order books, and whose credentials ours are."""
