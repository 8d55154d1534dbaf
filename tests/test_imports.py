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


WITHOUT = """
import importlib, importlib.metadata, pkgutil, sys
installed = importlib.metadata.distribution
def distribution(name):
    if name.replace("-", "_") in {missing!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)
importlib.metadata.distribution = distribution  # what libraries ask whether a package is there
for name in {missing!r}:
    sys.modules[name] = None  # importing it fails
import lightning_nsd
for module in pkgutil.walk_packages(lightning_nsd.__path__, "lightning_nsd."):
    if module.name not in {needing!r}:
        importlib.import_module(module.name)
from lightning_nsd.cli import main
sys.exit(main({command!r}))
"""


OF_THE_PAGE = ("answers", "page")  # gradio's, which `demo` alone imports


def test_training_on_data_that_is_there_needs_nothing_that_is_built_for_one_torch_or_reaches_a_network(tmp_path):
    missing = [
        "torchvision",
        "torch_fidelity",
        "wandb",
        "timm",
        "diffusers",
        "huggingface_hub",
        "gradio",
        "jax",
        "flax",
        "torch_xla",
        "tensorboard",
        "trackio",
        "mlflow",
    ]
    command = ["fit", "--config=glyphs.yaml", "--trainer.max_steps=1", "--data.batch_size=1", "--data.eval_episodes=1"]
    command += [f"--trainer.default_root_dir={tmp_path / 'run'}", "--trainer.callbacks=[]", "--fid.when=never"]
    command += ["--trainer.val_check_interval=1", "--checkpoint.every_n_train_steps=1"]
    needing = ["lightning_nsd.extractors.inception", *(f"lightning_nsd.demo.{name}" for name in OF_THE_PAGE)]
    code = WITHOUT.format(missing=missing, needing=needing, command=command)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/last.ckpt").exists()
