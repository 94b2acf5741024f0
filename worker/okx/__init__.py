"""How the exchange is spoken to. Knows nothing of the rest of this project."""
