"""The HTTP door: requests, events, metrics and a page, for services that are not Python and people with a browser."""
