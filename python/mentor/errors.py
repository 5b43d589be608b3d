"""What mentor raises. Every exception has its ways out in ``help``, and shows them as its last line."""


class MentorError(Exception):
    """Something failed."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message, help)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}\nhelp: {self.help}" if self.help else self.message


class ConfigError(MentorError, ValueError):
    """A parameter, or several that do not go together."""


class DataError(MentorError, ValueError):
    """Data that cannot be used."""


class DivergedError(MentorError):
    """The loss of a training became infinite, or not a number."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training. What was finished is kept, and the same call continues."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help

    def __str__(self) -> str:
        return f"{self.message}\nhelp: {self.help}" if self.help else self.message
