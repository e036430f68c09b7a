"""How to compute, for devices that are not here."""

import pytest
import torch

from trainer.model.hardware import Choices, Hardware, choices_for, choices_of, hardware_of

H100 = Hardware("cuda", "NVIDIA H100 80GB HBM3", (9, 0))
H200 = Hardware("cuda", "NVIDIA H200", (9, 0))
A100 = Hardware("cuda", "NVIDIA A100-SXM4-80GB", (8, 0))
T4 = Hardware("cuda", "Tesla T4", (7, 5))
MI300 = Hardware("cuda", "AMD Instinct MI300X", (9, 4), is_rocm=True)
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32

ATTENTION = [
    pytest.param(H100, BF16, 128, "Varlen", id="H100 in BF16"),
    pytest.param(H200, BF16, 64, "Varlen", id="H200, narrow heads"),
    pytest.param(A100, BF16, 256, "Varlen", id="A100, the widest heads"),
    pytest.param(H100, FP16, 128, "Varlen", id="FP16"),
    pytest.param(H100, FP32, 128, "PerDocument", id="FP32 has no flash kernel"),
    pytest.param(H100, BF16, 288, "PerDocument", id="heads too wide"),
    pytest.param(H100, BF16, 68, "PerDocument", id="an odd width"),
    pytest.param(T4, BF16, 128, "PerDocument", id="an old GPU"),
    pytest.param(MI300, BF16, 128, "PerDocument", id="ROCm, never tried"),
    pytest.param(Hardware("cpu"), BF16, 128, "PerDocument", id="a CPU"),
]


@pytest.mark.parametrize(("hardware", "dtype", "width", "attention"), ATTENTION)
def test_the_flash_kernel_is_taken_where_it_runs(hardware, dtype, width, attention):
    assert choices_for(hardware, dtype, width).attention == attention


def test_a_cpu_waits_for_nothing_and_so_nothing_is_late():
    assert choices_for(Hardware("cpu"), BF16, 64) == Choices(fused=True)
    assert (Choices().steps_late, Choices().batches_ahead, Choices().pinned) == (0, 0, False)


@pytest.mark.parametrize("hardware", [H100, H200, A100, T4])
def test_a_gpu_is_never_waited_for_in_a_step(hardware):
    chosen = choices_for(hardware, BF16, 128)
    assert (chosen.steps_late, chosen.batches_ahead, chosen.pinned) == (1, 1, True)


def test_only_a_base_in_bf16_has_its_adapter_multiplied_in_it():
    assert choices_for(H100, BF16, 128).autocast
    assert not choices_for(H100, FP32, 128).autocast
    assert not choices_for(H100, FP16, 128).autocast


def test_the_device_of_a_model_decides(base):
    assert hardware_of(base.device) == Hardware("cpu")
    assert choices_of(base) == Choices(fused=True)
