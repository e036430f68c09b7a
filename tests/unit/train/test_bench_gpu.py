"""The GPU bench: what of it needs no GPU, and the whole of it on a tiny shape."""

import importlib.util
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.model.adapter import base_of, trainable
from trainer.train.flops import flops, shape_of

SCRIPT = Path(__file__).parents[3] / "bench" / "gpu.py"


@pytest.fixture(scope="module")
def gpu():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("bench_gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_}


class Multiplied(TorchDispatchMode):
    """Counts the operations of products of matrices: 2 for each product of two numbers."""

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in PRODUCTS:
            left, right = args[-2:]
            self.flops += 2 * left.shape[0] * left.shape[1] * right.shape[1]
        return func(*args, **(kwargs or {}))


TINY = ["--shape", "tiny", "--device", "cpu", "--precision", "FP32", "--batch-tokens", "512"]


def test_the_script_measures_a_tiny_shape_on_the_cpu(gpu, monkeypatch, tmp_path, capsys):
    out = tmp_path / "figures.json"
    words = [*TINY, "--steps", "2", "--warmup", "1", "--peak-tflops", "0.1", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["gpu.py", *words])
    assert gpu.main() == 0
    printed, found = capsys.readouterr().out, json.loads(out.read_bytes())
    assert found["steps"] == 2
    assert len(found["losses"]) == 3
    assert all(math.isclose(loss, math.log(512), rel_tol=0.05) for loss in found["losses"])
    speed = found["mfu_percent"] / 100 * 0.1e12 / found["flops_per_token"]
    assert speed == pytest.approx(found["tokens_per_second"])
    assert "| tokens/s |" in printed
    assert f"torch {torch.__version__}"[:9] in printed
    assert "| waits for the GPU in two steps | no GPU |" in printed


def test_without_a_gpu_the_script_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main() == 1
    assert "--device cpu" in capsys.readouterr().err


def test_the_large_shape_is_the_one_that_is_named(gpu):
    model = gpu.build(gpu.arguments(["--device", "meta"]), torch.device("meta"))
    base = base_of(model)
    frozen = sum(each.numel() for each in base.parameters() if not each.requires_grad)
    assert frozen == 8_030_261_248
    shape = shape_of(base)
    assert shape.body + shape.head == frozen - 128256 * 4096 - 65 * 4096
    assert sum(each.numel() for each in trainable(model).values()) == 41_943_040


def test_the_formula_counts_what_torch_multiplies(gpu):
    told = gpu.arguments(TINY)
    model = gpu.build(told, torch.device("cpu"))
    training = gpu.prepare(model, told, 1)
    with Multiplied() as counted:
        training.step()
    shape, adapter = replace(shape_of(base_of(model)), layers=0), trainable(model).values()
    ours = flops(shape, 512, 512)
    with_adapter = ours + 6 * 512 * sum(each.numel() for each in adapter)
    # Less than both: nothing asks for the gradient of the first layer's inputs.
    assert 0.9 * with_adapter < counted.flops < with_adapter


def test_a_batch_is_cut_into_rows_that_fill_it(gpu):
    lengths = gpu.row_lengths(8192, gpu.np.random.default_rng(1))
    assert sum(lengths) == 8192
    assert all(length <= gpu.LONGEST for length in lengths)


PEAKS = [
    pytest.param("NVIDIA H100 80GB HBM3, 79.1 GiB", None, 989e12, id="H100 SXM"),
    pytest.param("NVIDIA H100 PCIe, 79.1 GiB", None, 756e12, id="H100 PCIe, slower"),
    pytest.param("NVIDIA H200, 139.8 GiB", None, 989e12, id="H200"),
    pytest.param("x86_64", None, None, id="unknown"),
    pytest.param("x86_64", 0.1, 0.1e12, id="as told"),
]


@pytest.mark.parametrize(("name", "given", "peak"), PEAKS)
def test_the_peak_is_that_of_the_device(gpu, name, given, peak):
    assert gpu.peak_of(name, given) == peak
