"""What this process was told: settings, accounts and users, addresses, logs."""
