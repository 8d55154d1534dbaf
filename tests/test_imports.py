"""What importing the package does: nothing that outlasts a process or reaches another."""

import subprocess
import sys

IMPORT_ALL = """
import importlib, os, pkgutil
import lightning.pytorch, torch  # they set variables of their own
before = dict(os.environ)
import lightning_nsd
for module in pkgutil.walk_packages(lightning_nsd.__path__, "lightning_nsd."):
    importlib.import_module(module.name)
print(len([name for name in __import__("sys").modules if name.startswith("lightning_nsd.")]))
print({name for name in before.keys() | os.environ.keys() if before.get(name) != os.environ.get(name)} or "none")
"""


def test_importing_every_module_sets_no_environment_variable():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    count, changed = done.stdout.splitlines()[-2:]
    assert int(count) > 80
    assert changed == "none"
