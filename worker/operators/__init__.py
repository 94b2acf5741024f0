"""What people may decide, and how everything stands."""
