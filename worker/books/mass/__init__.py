"""How is everything that is open cancelled? Mass cancels."""
