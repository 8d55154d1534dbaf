"""To a hub and back, by the library's own protocol, against a hub on the loopback; and from its cache without one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import huggingface_hub
import pytest

import lightning_nsd
from lightning_nsd.checkpoints.places import find_model
from lightning_nsd.errors import UserError
from tests.cli.conftest import ROOT
from tests.hub.stub_hub import COMMIT, FORBIDDEN, GATED, TOKEN, Stub, stub_hub

SCRIPT = """
import json, sys
from lightning_nsd.checkpoints.places import find_model

from lightning_nsd.errors import UserError

for command in json.loads(sys.argv[1]):
    if command[0] == "find":
        try:
            print("found", find_model(command[1]))
        except UserError as error:
            print("refused", error)
    else:
        from lightning_nsd.cli import main

        status = main(command)
        print("status", status, flush=True)
"""


class Session(NamedTuple):
    """A hub, and how to ask it by commands in one process of their own."""

    stub: Stub
    home: Path

    def ask(self, *commands: list[object], **environment: str) -> list[str]:
        """The lines that the commands print, errors among them."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        set_here = {
            "HF_ENDPOINT": self.stub.url, "HF_HOME": str(self.home), "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]]), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        text = json.dumps([[str(word) for word in command] for command in commands])
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, text], env={**own, **set_here, **environment}, cwd=self.home,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return [line for line in done.stdout.splitlines() if line.startswith(("found", "refused", "status", "error"))]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with stub_hub() as stub:
        stub.files["owner/empty"] = {"README.md": b"nothing"}
        yield Session(stub, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def pushed(session: Session, run: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is said while a folder, with a stranger in it, and a checkpoint are pushed."""
    (session.home / "model").mkdir()
    for path in folder.rglob("*"):
        if path.is_file():
            copy = session.home / "model" / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (session.home / "model" / ".env").write_text("SECRET=1")
    (session.home / "model" / "samples" / "notes.txt").write_text("private")
    return session.ask(
        ["push", "--ckpt_path", "model", "--repo", "me/folder"],
        ["push", "--ckpt_path", run / "last.ckpt", "--repo", "me/run", "--private", "true", "--dtype", "float16"],
        ["push", "--ckpt_path", "model", "--repo", FORBIDDEN],
        HF_TOKEN=TOKEN,
    )


def test_what_is_pushed_is_exactly_the_folder(session, pushed, folder):
    assert pushed[0] == "status 0"
    expected = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert session.stub.files["me/folder"] == expected


def test_a_checkpoint_is_pushed_with_a_card_that_loads_it_from_there(session, pushed, folder):
    assert pushed[1] == "status 0"
    files = session.stub.files["me/run"]
    assert files.keys() == session.stub.files["me/folder"].keys()
    assert b'lightning_nsd.load("hf://me/run")' in files["README.md"]
    assert len(files["model.safetensors"]) < 0.55 * (folder / "model.safetensors").stat().st_size
    assert session.stub.private == {"me/folder": False, "me/run": True}


def test_a_hub_that_refuses_is_told_in_a_sentence(pushed):
    assert pushed[2].startswith(f"error: The hub refuses to write to {FORBIDDEN}")
    assert pushed[3] == "status 2"


def test_a_model_of_a_hub_is_fetched_once_and_then_found_without_it(session, pushed, folder, tmp_path):
    support = tmp_path / "pictures"
    support.mkdir()
    for number, picture in enumerate(sorted((folder / "samples").glob("*.png"))):
        (support / f"{number}.png").write_bytes(picture.read_bytes())
    sample = ["sample", "--support", support, "--num", 1, "--steps", 2, "--ckpt_path", "hf://me/folder@v1"]
    session.stub.asked.clear()
    found, drawn = session.ask(["find", "hf://me/folder"], [*sample, "--out", "online.png"])
    assert drawn == "status 0"
    cached = Path(found.removeprefix("found "))
    assert cached.name == COMMIT
    fetched = {path.rpartition("/")[2] for method, path, _ in session.stub.asked if "/resolve/" in path}
    assert fetched == {"model.safetensors", "config.json", "README.md"}
    assert not any(token for *_, token in session.stub.asked)  # nobody is logged in
    assert (cached / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    session.stub.asked.clear()
    found, drawn, missed, never, push = session.ask(
        ["find", f"hf://me/folder@{COMMIT}"],
        [*sample, "--out", "offline.png"],
        ["find", "hf://me/folder@main2"],
        ["find", "hf://me/run"],
        ["push", "--ckpt_path", "model", "--repo", "me/folder"],
        HF_HUB_OFFLINE="1",
        HF_TOKEN=TOKEN,
    )[:5]
    assert session.stub.asked == []
    assert (Path(found.removeprefix("found ")), drawn) == (cached, "status 0")
    for said in (missed, never):
        assert said.startswith("refused hf://me/")
        assert "cannot be reached" in said
    assert "HF_HUB_OFFLINE is set" in push
    pictures = [(session.home / name).read_bytes() for name in ("online.png", "offline.png")]
    assert pictures[0] == pictures[1]


def test_each_reason_that_a_model_cannot_be_fetched_has_its_sentence(session, folder):
    missing, revision, gated, no_token, _ = session.ask(
        ["find", "hf://owner/nothing"],
        ["find", "hf://owner/empty@v9"],
        ["find", f"hf://{GATED}"],
        ["push", "--ckpt_path", folder, "--repo", "me/folder"],
    )
    assert missing == (
        "refused hf://owner/nothing is not there, or private. Look at its name; for a private one log in with "
        "`hf auth login`."
    )
    assert "has no such revision" in revision
    assert "whom its owner admits" in gated
    assert "push needs a token" in no_token
    (unreachable,) = session.ask(["find", "hf://owner/other"], HF_ENDPOINT="http://127.0.0.1:9")
    assert unreachable.startswith("refused hf://owner/other ")
    assert "cannot be reached" in unreachable


# ---- addresses ----


@pytest.mark.parametrize(
    "address",
    ["hf://", "hf://owner", "hf://owner/name/more", "hf:///name", "hf://owner/../x", "hf://o w/n", "hf://owner/name@",
     "hf://owner/name@../../x", "hf://owner/name@a b", "hf://owner/name@v1@v2", "hf://owner/näme", "hf://o/n\n"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_before_anybody_is_asked(address, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("asked"))
    with pytest.raises(UserError, match=r"hf://owner/name@v1|is written owner/name"):
        lightning_nsd.load(address)


def test_an_address_is_read_from_text_and_from_a_path(monkeypatch, tmp_path):
    asked = []

    def download(repo: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo, revision))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    for address in ("hf://a/b", Path("hf://a/b"), "hf://a/b@refs/pr/1"):
        assert find_model(address) == tmp_path
    assert asked == [("a/b", None), ("a/b", None), ("a/b", "refs/pr/1")]
    assert find_model("some/folder") == Path("some/folder")


def test_a_cache_as_the_library_lays_it_out_is_enough(folder, tmp_path, monkeypatch):
    """Made by hand: what an earlier session, or another machine's, left."""
    repo = tmp_path / "models--me--old"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert lightning_nsd.load("hf://me/old").trained_steps == 2
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"has no model\.safetensors"):
        lightning_nsd.load("hf://me/old")


def test_without_the_library_it_is_said_what_to_install(folder, monkeypatch, nsd):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"lightning-nsd\[hub\]"):
        lightning_nsd.load("hf://me/old")
    assert lightning_nsd.load(folder).trained_steps == 2  # a folder needs none
    status, said = nsd("convert", "--input", folder, "--output", "a", "--format", "hub")
    assert (status, "lightning-nsd[hub]" in said, Path("a").exists()) == (2, True, False)
    status, said = nsd("push", "--ckpt_path", folder, "--repo", "a/b")
    assert (status, "lightning-nsd[hub]" in said) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--repo", "nobody"], "is written owner/name"),
        (["--repo", "a/b", "--dtype", "float16"], "is uploaded as it is"),
        (["--repo", "a/b", "--licence", "mit"], "is uploaded as it is"),
    ],
)
def test_a_push_that_makes_no_sense_is_refused(folder, options, said, nsd):
    status, answer = nsd("push", "--ckpt_path", folder, *options)
    assert status == 2
    assert said in answer
