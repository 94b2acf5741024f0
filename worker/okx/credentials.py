"""The credentials of one account, and the address that they are for."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """One account as the client needs it: the key's three secrets (never shown) and the address they fit.

    Raises:
        ValueError: a secret that cannot travel in an HTTP header (the message does not hold it).
    """

    name: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    base_url: str
    demo: bool

    def __post_init__(self) -> None:
        # such a header would be refused at every call; here the account's name can be told
        for secret in (self.api_key, self.api_secret, self.passphrase):
            if not secret or not secret.isascii() or not secret.isprintable():
                raise ValueError(f"account {self.name}: its secrets should be non-empty printable ASCII")
