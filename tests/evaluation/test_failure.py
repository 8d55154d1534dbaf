"""What fails is counted, or raised."""

import pytest

from lightning_nsd.evaluation.failure import EvaluationError, Failures


def note(failures):
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        return failures.note(error, "The class a could not be compared.")


def test_a_failure_is_logged_with_its_traceback_and_nothing_is_raised(caplog):
    failures = Failures(strict=False)
    assert note(failures) == "ValueError: no such thing"
    assert "The class a could not be compared." in caplog.text and "Traceback" in caplog.text
    failures.raise_together(["", "ValueError: no such thing"])


def test_strict_raises_the_first_message_of_any_process(caplog):
    failures = Failures(strict=True)
    note(failures)
    failures.raise_together(["", ""])
    with pytest.raises(EvaluationError, match=r"^of another process$") as raised:
        failures.raise_together(["", "of another process", "ValueError: no such thing"])
    assert isinstance(raised.value.__cause__, ValueError)
    assert not caplog.text
