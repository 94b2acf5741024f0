"""Mass cancels: everything that is open is listed, cancelled and listed again."""
