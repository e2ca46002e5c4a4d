"""Reads what a browser says on its socket: strictly, and only so often. Pure."""

from pydantic import ValidationError

from santaserver.live.allowance import Allowance
from santaserver.live.messages import Watch

BAD_MESSAGE = 4400
TOO_MANY = 4429
LONGEST_REASON = 123
"""Bytes that a close frame has room for."""

PER_SECOND = 5
AT_ONCE = 30


class BadMessageError(Exception):
    """A message that ends the socket, with a close code and the reason."""

    def __init__(self, code: int, reason: str) -> None:
        """Cut the reason to what fits."""
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")


class Requests:
    """The messages of one socket."""

    def __init__(self) -> None:
        """Begin with room for some."""
        self._allowance = Allowance(PER_SECOND, AT_ONCE)

    def read(self, text: str | None, now: float) -> Watch:
        """Return what is asked for; raise `BadMessageError` for anything else. None stands for bytes."""
        if not self._allowance.take(1, now):
            raise BadMessageError(TOO_MANY, f"Too many messages: more than {PER_SECOND} a second")
        if text is None:
            raise BadMessageError(
                BAD_MESSAGE, "A message is a text frame with a JSON object, not a binary one"
            )
        try:
            return Watch.model_validate_json(text, strict=True)
        except ValidationError as error:
            raise BadMessageError(BAD_MESSAGE, _reason(error)) from None


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"Not a valid `watch` message: {place + ': ' if place else ''}{first['msg']}"
