from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None: ...
