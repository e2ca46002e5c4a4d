"""What the check finds."""


class WrongError(AssertionError):
    """A Mac has other rules than the model, or the server claims or permits something false."""

    def __init__(self, machine_id: str, text: str) -> None:
        """Keep which Mac it is."""
        super().__init__(text)
        self.machine_id = machine_id
