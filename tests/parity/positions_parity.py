#!/usr/bin/env python3
"""Position embeddings resized for another grid against PyTorch: as torchvision's
interpolate_embeddings does it (bicubic, align_corners), as timm and DINOv2 with registers do (bicubic with
antialiasing) and as DINOv2's interpolate_pos_encoding (bicubic by scale factors with an offset, without antialiasing);
and the TorchScript that does it.

usage: positions_parity.py RESIZE_POSITIONS
"""
import subprocess
import sys

try:
    import numpy as np
    import torch
    from backbone_tool import check, finish
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL = sys.argv[1]
CASES = [("align", 14, 1, 16, 16), ("align", 14, 1, 7, 9), ("align", 7, 1, 24, 1), ("align", 14, 1, 14, 14),
         ("antialias", 14, 1, 16, 16), ("antialias", 37, 1, 16, 7), ("antialias", 37, 0, 37, 5), ("antialias", 16, 1, 40, 3),
         ("0.1", 37, 1, 16, 16), ("0.1", 37, 1, 37, 37), ("0.1", 37, 5, 20, 45), ("0.1", 16, 0, 37, 2)]
CHANNELS = 12


def by_torch(how, side, start, height, width, positions):
    if (height, width) == (side, side):
        return positions
    kept, grid = positions[:, :start], positions[:, start:]
    grid = grid.reshape(1, side, side, CHANNELS).permute(0, 3, 1, 2)
    if how == "align":
        grid = torch.nn.functional.interpolate(grid, size=(height, width), mode="bicubic", align_corners=True)
    elif how == "antialias":
        grid = torch.nn.functional.interpolate(grid, size=(height, width), mode="bicubic", antialias=True)
    else:
        factors = [(size + float(how)) / side for size in (height, width)]
        grid = torch.nn.functional.interpolate(grid, scale_factor=factors, mode="bicubic", antialias=False)
    assert grid.shape[-2:] == (height, width)
    return torch.cat([kept, grid.flatten(2).transpose(1, 2)], 1)


def by_script(expression, height, width, positions):
    """As the module holds it: two images, and v1 the map of patches."""
    expression = expression.replace("self.pos_embed", "p").replace("torch.", "torch.ops.aten.")
    unit = torch.jit.CompilationUnit(f"def f(input: Tensor, v1: Tensor, p: Tensor):\n    return {expression}\n")
    return unit.f(torch.zeros(2, 3), torch.zeros(2, CHANNELS, height, width), positions)


torch.manual_seed(0)
for how, side, start, height, width in CASES:
    positions = torch.randn(1, start + side * side, CHANNELS)
    expected = by_torch(how, side, start, height, width, positions)
    arguments = [TOOL, how, str(side), str(start), str(CHANNELS)]
    made = subprocess.run(arguments + [str(height), str(width)], input=positions.numpy().tobytes(),
                          stdout=subprocess.PIPE, check=True).stdout
    found = torch.from_numpy(np.frombuffer(made, np.float32).copy()).reshape(expected.shape)
    error = (found - expected).abs().max().item()
    check(f"{how}: {side}x{side} to {height}x{width}", error <= 2e-5, f"off by {error:.1e}")
    script = subprocess.run(arguments, stdout=subprocess.PIPE, check=True, text=True).stdout
    scripted = by_script(script, height, width, positions)
    same = scripted.shape == (2, *expected.shape[1:]) and torch.equal(scripted[1], scripted[0])
    error = (scripted[0] - expected[0]).abs().max().item() if same else float("nan")
    check("the same by TorchScript", error <= 1e-6, f"off by {error:.1e}")
finish()
