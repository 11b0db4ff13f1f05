"""What ends a command early: a message for people on stderr, and an exit code."""


class CommandError(Exception):
    """Something went wrong that its message explains; no traceback is shown."""

    exit_code = 1


class UsageError(CommandError):
    """The command was given something that it cannot work with: an argument, or credentials."""

    exit_code = 2


class Unreachable(CommandError):  # noqa: N818 - says what happened
    """Nothing answers at the endpoint, or nothing that speaks the API."""


class ApiError(CommandError):
    """An answer above 399."""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{message} ({code}, HTTP {status}, request id {request_id or 'unknown'})")
        self.status = status
        self.code = code


class TaskFailed(CommandError):  # noqa: N818 - says what happened
    """The task that was waited for failed; the message has its reason."""


class TimeIsOver(CommandError):  # noqa: N818 - says what happened
    """What was waited for did not happen in time; the code is that of `timeout`."""

    exit_code = 124


class Interrupted(CommandError):  # noqa: N818 - says what happened
    """Ended by Ctrl-C; the code is the shell's for SIGINT."""

    exit_code = 130
