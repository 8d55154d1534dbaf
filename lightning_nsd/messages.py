"""What an exception says to a user."""

from lightning_nsd.errors import UserError

UNION_ERROR = "Does not validate against any of the Union subtypes"


def readable(message: str) -> str:
    """A parser's message without the lines that repeat the whole configuration or say what else a union allows."""
    noise = (
        "Given value type",
        "Given value: Namespace",
        "Given value: NestedArg",
        "- Expected a <class 'NoneType'>",
        "- Expected a <class 'str'>",
        UNION_ERROR,
        "Subtypes:",
        "Errors:",
    )
    return "\n".join(line for line in message.splitlines() if not line.strip().startswith(noise))


def user_error_in(error: BaseException | None) -> UserError | None:
    """The UserError that an exception is, or that it was raised from: parsers wrap what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error
