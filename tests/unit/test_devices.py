"""Names of devices."""

from __future__ import annotations

import pytest
import torch

from mhff.devices import resolve_device
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
