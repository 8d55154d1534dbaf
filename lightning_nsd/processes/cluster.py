"""Whether the processes of a run can find each other, as far as that shows before any of them waits."""

import os

from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from lightning_nsd.errors import UserError

NEEDED = {"MASTER_ADDR": ("MASTER_ADDR",), "MASTER_PORT": ("MASTER_PORT",), "NODE_RANK": ("NODE_RANK", "GROUP_RANK")}
"""Each variable that tells several machines of each other, and the names that it goes by."""


def check_slurm() -> None:
    """Read what Lightning reads of a SLURM job.

    Raises:
        UserError: a variable is missing, is not a number, or is one that Lightning refuses.
    """
    if not SLURMEnvironment.detect():
        return
    try:
        environment = SLURMEnvironment()
        environment.world_size(), environment.global_rank(), environment.local_rank(), environment.node_rank()
    except KeyError as error:
        raise _slurm_error(f"{error.args[0]} is not set; start the command with srun") from error
    except (RuntimeError, ValueError) as error:
        raise _slurm_error(str(error)) from error


def check_machines(trainer: Trainer) -> None:
    """Refuse machines that would wait for each other in vain.

    Raises:
        UserError: several machines, but nothing says which is the first or which one this is; or the trainer's numbers
            are not those of the SLURM job.
    """
    environment = getattr(trainer.strategy, "cluster_environment", None)
    if isinstance(environment, SLURMEnvironment):
        try:
            environment.validate_settings(trainer.num_devices, trainer.num_nodes)
        except ValueError as error:
            raise _slurm_error(str(error)) from error
    elif isinstance(environment, LightningEnvironment) and trainer.num_nodes > 1:
        missing = [name for name, names in NEEDED.items() if not any(os.environ.get(known) for known in names)]
        if missing:
            raise UserError(
                f"trainer.num_nodes is {trainer.num_nodes}, so this machine would wait for others; not set: "
                f"{', '.join(missing)}. Start the same command on every machine, with the first machine's address in "
                "MASTER_ADDR, a free port of it in MASTER_PORT, and the machine's number, from 0, in NODE_RANK; or "
                "leave trainer.num_nodes at 1."
            )
        rank_zero_info(
            f"Waiting at {environment.main_address} for all {trainer.num_nodes} machines, 30 minutes at most."
        )


def _slurm_error(text: str) -> UserError:
    return UserError(
        f"The environment of this SLURM job does not fit the run: {text}. To train in this one process without SLURM, "
        "set SLURM_JOB_NAME=bash."
    )
