"""The bytes of a call: sockets with one deadline, HTTP framing, and pools of connections."""
