"""The processes that share a run: one by default, or those that torchrun or srun started.

Lightning's Fabric and its environments connect several processes; a single one loads neither, nor
MPI. Every process takes a share of each batch. Sums over labels, their numbers, and gradients are
added up between the processes, so the steps are those of a single process, up to rounding. All
processes have the same weights at all times; only the main one writes files and prints.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist

from mhff.errors import MHFFError
from mhff.quiet import quiet


class Processes:
    """A single process, which has nothing to exchange."""

    rank = 0
    size = 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over the processes."""
        return values

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes."""

    def gather(self, content: Any) -> list[Any]:
        """Content of all processes, in the main one; elsewhere an empty list."""
        return [content]

    def same(self, content: Any) -> Any:
        """The main process's content."""
        return content

    def close(self) -> None:
        """End the exchange."""


class ConnectedProcesses(Processes):
    """One of several processes, connected by torch.distributed."""

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum over the processes."""
        total = values.detach().clone()
        with _told():
            dist.all_reduce(total)
        return total

    def sum_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace the gradients by their sums; one that no process has stays None."""
        has = [each.new_tensor(float(each.grad is not None)) for each in parameters]
        own = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        total = self.sum(torch.cat([torch.stack(has), *(each.flatten() for each in own)]))
        counts = total[: len(has)].tolist()
        sizes = [each.numel() for each in parameters]
        parts = total[len(has) :].split(sizes)
        for parameter, part, count in zip(parameters, parts, counts, strict=True):
            parameter.grad = part.view_as(parameter) if count else None

    def gather(self, content: Any) -> list[Any]:
        """Content of all processes, in the main one; elsewhere an empty list."""
        found: list[Any] | None = [None] * self.size if self.is_main else None
        with _told():
            dist.gather_object(content, found)
        return found or []

    def same(self, content: Any) -> Any:
        """The main process's content."""
        box = [content]
        with _told():
            dist.broadcast_object_list(box)
        return box[0]

    def close(self) -> None:
        """End the exchange."""
        dist.destroy_process_group()


@contextmanager
def _told() -> Iterator[None]:
    """One sentence if the exchange fails, as it does when another process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise MHFFError(
            "another process of this run has ended; its own message, above or in its own log, "
            "says why"
        ) from error


def launched_rank() -> int:
    """The number of this process among those that torchrun or srun started; 0 without them."""
    if dist.is_torchelastic_launched():
        return int(os.environ["RANK"])
    return int(os.environ["SLURM_PROCID"]) if _srun_tasks() > 1 else 0


def connect(device: str) -> Processes:
    """The processes of this run, `device` being that of the settings.

    Raises MHFFError for a GPU that is missing, or that several processes would share.
    """
    if not dist.is_torchelastic_launched() and _srun_tasks() == 1:
        return Processes(single_device(device))
    return _connected(device)


def _connected(device: str) -> Processes:
    """One of several processes: those of Lightning's environment."""
    try:
        from lightning.fabric import Fabric
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
        from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"a run of several processes needs {error.name}, which is not installed; get it with "
            "pip install 'mhff[train]'"
        ) from error
    by_torchrun = dist.is_torchelastic_launched()
    on_node = int(os.environ["LOCAL_WORLD_SIZE"]) if by_torchrun else _srun_tasks_per_node()
    _check_devices(device, on_node)
    environment = TorchElasticEnvironment() if by_torchrun else SLURMEnvironment(auto_requeue=False)
    with quiet("lightning.fabric", "lightning.pytorch"):
        fabric = Fabric(
            accelerator=torch.device(device).type,
            devices=on_node,
            num_nodes=environment.world_size() // on_node,
            strategy="ddp",
            plugins=[environment],
        )
        fabric.launch()
    return ConnectedProcesses(fabric.device)


def single_device(device: str) -> torch.device:
    """The device of a single process; raises MHFFError if it is missing."""
    chosen = torch.device(device)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise MHFFError(
            f"run.device is {device} but torch finds no CUDA device; set run.device to cpu"
        )
    n_devices = torch.cuda.device_count()
    if chosen.type == "cuda" and (chosen.index or 0) >= n_devices:
        raise MHFFError(
            f"run.device is {device} but torch finds {n_devices} CUDA devices, numbered from 0; "
            "choose one of them"
        )
    return chosen


def own_device(device: str) -> torch.device:
    """The device that this process has among those of a run, also before it is connected."""
    chosen = single_device(device)
    if chosen.type == "cpu" or chosen.index is not None or launched_rank() == 0:
        return chosen
    by_torchrun = dist.is_torchelastic_launched()
    return torch.device(
        chosen.type, int(os.environ["LOCAL_RANK" if by_torchrun else "SLURM_LOCALID"])
    )


def _check_devices(device: str, on_node: int) -> None:
    """Raise MHFFError unless each of a node's processes can have a device of its own."""
    chosen = single_device(device)
    if chosen.index is not None and on_node > 1:
        raise MHFFError(
            f"run.device is {device}, one device for {on_node} processes; set run.device to "
            f"{chosen.type}, so that each process takes its own"
        )
    n_devices = torch.cuda.device_count()
    if chosen.type == "cuda" and on_node > n_devices:
        raise MHFFError(
            f"there are {on_node} processes on this node but {n_devices} CUDA devices; start as "
            "many processes as there are devices"
        )


def _srun_tasks() -> int:
    """Tasks of the present srun; 1 outside it, as in the batch script itself."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))


def _srun_tasks_per_node() -> int:
    """Tasks on each node; raises MHFFError if srun was not told, for then nodes may differ."""
    tasks = _srun_tasks()
    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
    on_node = os.environ.get("SLURM_NTASKS_PER_NODE")
    if on_node is None or int(on_node) * nodes != tasks:
        raise MHFFError(
            f"srun started {tasks} tasks on {nodes} nodes; give --ntasks-per-node, so that every "
            "node has the same number"
        )
    return int(on_node)
