"""The endpoints, one module for each thing that is asked about."""
