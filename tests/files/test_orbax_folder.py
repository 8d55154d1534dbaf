"""What is left of a checkpoint that could not be written."""

import asyncio
import gc

import pytest

from lightning_nsd.errors import UserError
from lightning_nsd.files.orbax_folder import write_orbax


async def nobody_asks(message: str) -> None:
    """Leave a task behind that failed."""

    async def fail() -> None:
        raise ValueError(message)

    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    del task


@pytest.mark.parametrize(
    ("message", "said"),
    [('Error writing "w/0" in OCDBT database: File too large', False), ("of another program", True)],
)
def test_only_tasks_that_the_storage_left_behind_fail_silently(message, said, tmp_path, caplog):
    with pytest.raises(UserError, match="could not be written"):
        write_orbax(tmp_path / "checkpoint", {"w": object()})
    asyncio.run(nobody_asks(message))
    gc.collect()
    assert ("never retrieved" in caplog.text) == said
