"""What is shipped of others is what its attribution says."""

import hashlib
import re

from lightning_nsd.report.page import UPLOT


def test_uplot_is_the_file_that_its_attribution_names():
    named = dict(re.findall(r"`(\S+)` \| `([0-9a-f]{64})`", (UPLOT / "ATTRIBUTION.md").read_text(encoding="utf-8")))
    assert set(named) == {"uPlot.iife.min.js", "uPlot.min.css"}
    for name, digest in named.items():
        assert hashlib.sha256((UPLOT / name).read_bytes()).hexdigest() == digest
    assert "MIT" in (UPLOT / "LICENSE").read_text(encoding="utf-8")
