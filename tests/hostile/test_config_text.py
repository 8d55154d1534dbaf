"""Any text as a configuration is read, or refused in a sentence."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_nsd.errors import UserError
from lightning_nsd.settings.config_files import read_config

PIECES = ["a: ", "&x ", "*x", "[", "]", "{", "}", ", ", "\n", "  ", "- ", "|", ">", "'", '"', "!!int ", "!!binary "]
PIECES += ["<<: ", "?", "~", "1e400", ".nan", "0x", "0b", "1:2:3", "%YAML 1.1\n", "---\n", "...", "#", "\t", "\x00"]
TEXT = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))


def test_any_text_is_read_or_refused(tmp_path, campaign):
    path = tmp_path / "config.yaml"

    @settings(max_examples=400 * campaign, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(TEXT)
    def read(text: str) -> None:
        path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        with suppress(UserError):
            assert isinstance(read_config(path), dict)

    read()


@pytest.mark.parametrize("name", [".", "nosuch.yaml", "a" * 300])
def test_what_is_no_file_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_config(tmp_path / name)
