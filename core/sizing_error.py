"""The one error of sizing: it says what is wrong, which value, and what to do."""


class SizingError(ValueError):
    """A job that cannot be sized as asked. The message is meant for the person who typed it."""
