"""Names of devices."""

from __future__ import annotations

import pytest
import torch

from mhff.devices import gpus_of, resolve_device, take_gpu
from mhff.errors import MHFFError


@pytest.mark.parametrize("name", ["abacus", "cpu:1", "meta", "", "gpu"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(MHFFError, match=f"^unknown device '{name}': choose cpu or cuda$"):
        resolve_device(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(MHFFError, match=r"^no device 'cuda:1': torch sees 1 CUDA devices .*'cpu'$"):
        resolve_device("cuda:1")


def test_processes_share_the_gpus_that_a_name_means(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    assert gpus_of("cpu") == ()
    assert gpus_of("cuda:1") == ("cuda:1",)
    assert gpus_of("cuda") == ("cuda:0", "cuda:1", "cuda:2")
    for number in range(4):
        take_gpu(gpus_of("cuda"), number)
    assert taken == ["cuda:0", "cuda:1", "cuda:2", "cuda:0"]
