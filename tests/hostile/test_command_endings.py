"""Our commands where nobody reads, where nothing can be written, in another alphabet, and where a signal comes."""

import signal
from pathlib import Path

import pytest

from parity_tests.campaign import in_campaign
from tests.cli.conftest import TINY, start
from tests.hostile.answer import PYTHON_TALK
from tests.hostile.forking import Request, endings
from tests.hostile.test_command_line import run, write_pictures  # noqa: F401 (a fixture)

FIT = ("fit", *TINY, "--trainer.max_steps=2", "--trainer.limit_val_batches=1", "--trainer.default_root_dir=fitted")
SAMPLE = ("sample", "--ckpt_path={run}/last.ckpt", "--support=support", "--num=2", "--steps=2", "--out=g.png")
CONVERT = ("convert", "--input={run}/last.ckpt")
EVALUATE = ("evaluate", "--ckpt_path={run}/last.ckpt", "--out=out", "--num_samples=50", "--batch_size=1")
FULL = "/dev/full"
KINDS = ("w.ckpt", "w.safetensors", "w")
CASES: dict[str, dict] = {
    # nobody reads
    "help | head": {"arguments": ("--help",), "stdout": "gone"},
    "fit --help | head": {"arguments": ("fit", "--help"), "stdout": "gone"},
    "fit | head": {"arguments": FIT, "stdout": "gone"},
    "sample | head": {"arguments": SAMPLE, "stdout": "gone"},
    "convert | head": {"arguments": (*CONVERT, "--output=w.ckpt"), "stdout": "gone"},
    "evaluate | head": {"arguments": (*EVALUATE, "--classes=1", "--num_samples=2"), "stdout": "gone"},
    # nothing can be written
    "help > full": {"arguments": ("--help",), "stdout": FULL},
    "fit > full": {"arguments": FIT, "stdout": FULL},
    "sample > full": {"arguments": SAMPLE, "stdout": FULL},
    "report, a full disk": {"arguments": ("report", "{run}", "--out=page.html"), "largest": 20_000},
    "sample, a full disk": {"arguments": SAMPLE, "largest": 400},
    **{
        f"convert {kind}, a full disk": {"arguments": (*CONVERT, f"--output={kind}"), "largest": 3000} for kind in KINDS
    },
    # another alphabet
    "help in ascii": {"arguments": ("--help",), "encoding": "ascii"},
    "fit --help in ascii": {"arguments": ("fit", "--help"), "encoding": "ascii"},
    "fit in ascii": {"arguments": FIT, "encoding": "ascii"},
    "sample in ascii": {"arguments": (*SAMPLE, "--out=ü×.png"), "encoding": "ascii"},
    # a signal
    **{
        f"{signal.Signals(number).name}, {name}": {"arguments": arguments, "number": number, **when}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for name, arguments, when in (
            ("sample", SAMPLE, {"begun": "flushing", "slow": True}),
            ("sample drawing", (*SAMPLE, "--num=10000", "--steps=1000"), {"begun": "Drawing"}),
            ("convert w.ckpt", (*CONVERT, "--output=w.ckpt"), {"begun": "flushing", "slow": True}),
            ("convert w.safetensors", (*CONVERT, "--output=w.safetensors"), {"begun": "flushing", "slow": True}),
            ("evaluate", EVALUATE, {"begun": "fd_glyphnet test"}),
        )
        if number == signal.SIGINT or name == "sample" or (number, name) == (signal.SIGTERM, "convert w.ckpt")
    },
}


IN_A_CAMPAIGN = {
    "fit --help | head", "convert | head", "help > full", "convert w.safetensors, a full disk", "fit --help in ascii",
    "fit in ascii", "SIGINT, convert w.safetensors", "SIGTERM, sample",
}  # fmt: skip
"""Cases that are close to another."""


@pytest.fixture(scope="module")
def ended(run, tmp_path_factory, campaign):  # noqa: F811
    """The ending of every case and the folder in which it ran."""
    cases = {name: case for name, case in CASES.items() if campaign > 1 or name not in IN_A_CAMPAIGN}
    folders = {name: tmp_path_factory.mktemp("case") for name in cases}
    requests = []
    for name, case in cases.items():
        write_pictures(folders[name] / "support", 3)
        arguments = [argument.format(run=run) for argument in case["arguments"]]
        requests.append(Request(**{**case, "arguments": arguments, "folder": str(folders[name])}))
    return dict(zip(cases, zip(endings(requests), folders.values(), strict=True), strict=True))


def those(word):
    """The cases with this word, as a test's parameters."""
    return in_campaign([name for name in CASES if word in name], IN_A_CAMPAIGN)


def left(folder: Path) -> list[str]:
    """What lies in a case's folder beside what was there before."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.parent.name != "support"
                  and path.is_file())  # fmt: skip


@pytest.mark.parametrize("name", in_campaign(CASES, IN_A_CAMPAIGN))
def test_no_ending_is_a_traceback(name, ended):
    (status, said), folder = (ended[name][0].status, ended[name][0].said), ended[name][1]
    assert status >= 0, said
    assert "Traceback" not in said
    assert status == 0 or not PYTHON_TALK.search(said), said
    assert "Exception ignored" not in said
    assert not [path for path in left(folder) if ".tmp" in path]


@pytest.mark.parametrize("name", those("| head"))
def test_a_reader_that_leaves_ends_the_command_as_sigpipe_does(name, ended):
    ending, folder = ended[name]
    expected = 0 if "--help" in name else 128 + signal.SIGPIPE  # the parser does not mind that nobody reads its help
    assert ending.status == expected, ending.said
    assert "error" not in ending.said
    if name == "sample | head":
        assert left(folder) == ["g.png", "g/000.png", "g/001.png"]


@pytest.mark.parametrize("name", those("> full"))
def test_an_output_that_takes_nothing_is_refused_before_any_work(name, ended):
    ending, folder = ended[name]
    assert ending.status == 2
    assert "standard output cannot be written: No space left on device" in ending.said
    assert left(folder) == []


@pytest.mark.parametrize("name", those("a full disk"))
def test_a_full_disk_is_one_sentence_that_names_the_file(name, ended):
    ending, folder = ended[name]
    assert ending.status == 2, ending.said
    assert ending.said.count("error:") == 1
    if name.startswith("sample"):
        assert "g.png could not be written" in ending.said
        assert "2 of the 2 single images are in g" in ending.said
        assert left(folder) == ["g/000.png", "g/001.png"]
    else:
        written = "page.html" if name.startswith("report") else name.split()[1].strip(",")
        assert f"{written} could not be written" in ending.said
        assert left(folder) == []


@pytest.mark.parametrize("name", those("in ascii"))
def test_an_ascii_terminal_ends_nothing(name, ended):
    ending, folder = ended[name]
    assert ending.status == 0, ending.said
    if name == "sample in ascii":
        assert "ü×.png" in left(folder)
        assert "\\xfc\\xd7.png" in ending.said


@pytest.mark.parametrize("name", those("SIG"))
def test_a_signal_ends_a_command_with_one_word_and_nothing_half_written(name, ended):
    ending, folder = ended[name]
    number = CASES[name]["number"]
    assert ending.status == 128 + number, ending.said
    assert f"Stopped by {signal.Signals(number).name}." in ending.said
    if "evaluate" not in name:
        assert left(folder) == []


@pytest.mark.parametrize("seconds", [0.6, 1.5])
def test_ctrl_c_while_the_program_is_imported_is_one_word(seconds):
    process = start("sample")
    with pytest.raises(Exception, match="timed out"):
        process.communicate(timeout=seconds)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT, said
    assert said.strip() == "Stopped by SIGINT."
