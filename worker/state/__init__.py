"""What stands in Redis, as typed Python over the verbs."""
