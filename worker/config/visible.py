"""Text that others wrote, made fit for a terminal."""


def visible(text: str) -> str:
    """The text with its control characters spelt out, so that it can neither colour a screen nor fake a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
