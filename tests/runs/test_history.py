"""A line for every start and end of a run, whatever happened to the file before."""

from lightning_nsd.runs.history import END, START, history_path, note, read_history


def test_lines_come_back_in_their_order(tmp_path):
    note(tmp_path, START, 0, command=["fit"])
    note(tmp_path, END, 7, how="finished")
    events, lost = read_history(tmp_path)
    assert [(event["event"], event["step"]) for event in events] == [(START, 0), (END, 7)]
    assert events[0]["command"] == ["fit"] and lost == 0


def test_a_line_that_was_broken_off_costs_no_other(tmp_path):
    note(tmp_path, START, 0)
    path = history_path(tmp_path)
    path.write_text(path.read_text() + '{"event": "end", "st')
    note(tmp_path, START, 3)
    events, lost = read_history(tmp_path)
    assert [event["step"] for event in events] == [0, 3]
    assert lost == 1


def test_a_folder_without_one_has_no_history(tmp_path):
    assert read_history(tmp_path) == ([], 0)
