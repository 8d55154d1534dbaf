"""A network's weights divided among processes."""

from collections.abc import Iterable

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Divide a network's weights among the processes of `mesh`, of one axis, in place.

    Every entry of a list of blocks inside of it is gathered for its own forward and backward, and let go again.
    """
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    for block in (block for blocks in lists for block in blocks if not isinstance(block, nn.ModuleList)):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)


def whole(values: Iterable[Tensor]) -> list[Tensor]:
    """Weights as they are in one process; of sharded ones all processes gather their parts, and all have to ask."""
    return [value.full_tensor() if isinstance(value, DTensor) else value for value in values]
