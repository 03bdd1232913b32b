#!/usr/bin/env python3
"""The user's own TorchScript networks: what they may return, and what is refused.

usage: torchscript_parity.py RUN_BACKBONE DOCS_BACKBONES_MD

The Python of the documentation is run as it stands there.
"""
import os
import re
import runpy
import sys
import tempfile
import typing
import zipfile

try:
    import numpy as np
    import torch
    from backbone_tool import check, finish, normalised, pixels, relative_error, run
    from user_modules import HasTrunk, ReturnsDict, ReturnsList, ReturnsTensor, ReturnsTuple, Trunk
except ImportError as missing:
    print(f"SKIP: {missing}")
    sys.exit(77)

TOOL, DOCUMENT = map(os.path.abspath, sys.argv[1:3])
F32_TOLERANCE = 1e-5  # a few layers; see features_parity.py


class Branches(HasTrunk):
    """Control flow, and a state that a forward pass changes."""
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        y = self.trunk(x)
        if y.shape[2] > 4:
            y = torch.nn.functional.max_pool2d(y, 2)
        return y


class HasDefaults(HasTrunk):
    """Arguments that a backbone's caller does not know, as every ViT of timm has them."""
    def forward(self, x, factor: float = 3.0, mask: typing.Optional[torch.Tensor] = None,
                is_pooled: bool = True, axes: typing.Tuple[int, int] = (2, 3), how: str = "mean",
                shape: typing.Optional[typing.List[int]] = None):
        y = self.trunk(x) * factor
        if mask is not None:
            y = y * mask
        if how != "mean" or shape is not None:
            return y
        return y.mean((axes[0], axes[1])) if is_pooled else y


class Nested(HasTrunk):
    """Calls such a module, with and without its arguments."""
    def __init__(self):
        super().__init__()
        self.inner = HasDefaults()

    def forward(self, x, more: bool = False):
        return self.inner(x, 0.5) + (self.inner(x, mask=x[:, :1, :1, :1]) if more else self.inner(x))


class NeedsMask(HasTrunk):
    def forward(self, x, scale: float, mask: torch.Tensor):
        return self.trunk(x) * scale * mask


class NeedsWord(HasTrunk):
    def forward(self, x, *, train: bool):
        return self.trunk(x)


class TakesNothing(HasTrunk):
    def forward(self):
        return self.trunk(torch.zeros(1, 3, 8, 8))


class TakesList(HasTrunk):
    def forward(self, x: typing.List[torch.Tensor]):
        return self.trunk(x[0])


class HasNoForward(torch.nn.Module):
    @torch.jit.export
    def encode(self, x):
        return x


class NoBatchAxis(HasTrunk):
    def forward(self, x):
        return self.trunk(x).mean((0, 2, 3))


class ReturnsIntegers(HasTrunk):
    def forward(self, x):
        return self.trunk(x).mean((2, 3)).argmax(1)


class ReturnsNumber(HasTrunk):
    def forward(self, x) -> int:
        return x.shape[0]


def as_dict(output):
    if isinstance(output, torch.Tensor):
        return {"output": output}
    if isinstance(output, dict):
        return output
    return {f"output.{i}": tensor for i, tensor in enumerate(output)}


def save(folder, module, trace=False):
    torch.manual_seed(3)
    model = module().eval() if isinstance(module, type) else module
    path = os.path.join(folder, "model.pt")
    script = (torch.jit.trace(model, torch.rand(2, 3, 32, 32), strict=False) if trace
              else torch.jit.script(model))
    script.save(path)
    return model, path


def check_output(module, trace, *options):
    images = pixels(19, 32)  # more than one pass, and a partial last one
    with tempfile.TemporaryDirectory() as folder:
        model, path = save(folder, module, trace)
        with torch.inference_mode():
            expected = as_dict(model(normalised(images)))
        _, found, _ = run(TOOL, folder, path, images, [], *options)
        label = f"{module.__name__} {'traced' if trace else 'scripted'} {' '.join(options)}"
        tolerance = 0.04 if options else F32_TOLERANCE
        check(f"{label} {', '.join(expected)}", list(found) == list(expected) and
              all(relative_error(found[tap], expected[tap].numpy()) < tolerance for tap in found))


def check_chosen_taps():
    with tempfile.TemporaryDirectory() as folder:
        _, path = save(folder, ReturnsDict)
        _, found, shapes = run(TOOL, folder, path, pixels(2, 32), ["pooled"])
        check("one key of a dict", shapes == {"pooled": "(8)"} and list(found) == ["pooled"])
        done, _, _ = run(TOOL, folder, path, pixels(2, 32), ["pool"])
        check("an unknown key lists those there are", "maps, pooled" in done.stderr)


class PassesOn(torch.nn.Module):
    def forward(self, x):
        return x * 1.0


def check_normalisation():
    images = np.arange(256, dtype=np.uint8).repeat(3 * 4).reshape(1, 32, 32, 3)
    with tempfile.TemporaryDirectory() as folder:
        _, path = save(folder, PassesOn)
        _, found, _ = run(TOOL, folder, path, images, ["output"])
        expected = normalised(images).numpy().reshape(1, -1)
        check("every pixel value is normalised to torchvision's bits",
              np.array_equal(found["output"], expected))


def check_refused(what, path, part, size=32):
    with tempfile.TemporaryDirectory() as folder:
        done, _, _ = run(TOOL, folder, path, pixels(1, size), [])
        check(f"{what} is refused", done.returncode == 1 and part in done.stderr)


def check_bad_files():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.pt")
        check_refused("a missing file", path, "No such file")
        open(path, "wb").close()
        check_refused("an empty file", path, "not a file with something in it")
        with open(path, "w", encoding="ascii") as file:
            file.write("not a network\n")
        check_refused("a text file", path, "is not a TorchScript file")
        for zipped in True, False:
            torch.save(Trunk().state_dict(), path, _use_new_zipfile_serialization=zipped)
            check_refused("a state_dict", path, "give a state_dict as --weights")


def rename_operator(path, old, new):
    """In the code of a TorchScript file."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, data.replace(old, new) if name.endswith(".py") else data)


def check_unknown_operators():
    for new, parts in ((b"torch.scaled_dot_product_attention", ("libtorch", "2.0 or later", "TIMM_FUSED_ATTN")),
                       (b"torch.of_next_year", ("as new as the torch that wrote the file",))):
        with tempfile.TemporaryDirectory() as folder:
            _, path = save(folder, ReturnsTensor)
            rename_operator(path, b"torch.mean", new)
            for part in ("'aten::" + new.decode()[6:] + "'",) + parts:
                check_refused(f"{new.decode()} ({part})", path, part)


def check_bad_modules():
    for module, part in ((NoBatchAxis, "first axis must be the batch"),
                         (ReturnsIntegers, "features are floating-point"),
                         (ReturnsNumber, "returned Int"),
                         (NeedsMask, "forward() needs the argument 'scale' (float)"),
                         (NeedsWord, "forward() needs the argument 'train' (bool)"),
                         (TakesNothing, "forward() takes no argument"),
                         (TakesList, "Expected a value of type 'List[Tensor]' for argument 'x'"),
                         (HasNoForward, "without forward()")):
        with tempfile.TemporaryDirectory() as folder:
            _, path = save(folder, module)
            check_refused(module.__name__, path, part)
    with tempfile.TemporaryDirectory() as folder:
        _, path = save(folder, torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval())
        check_refused("another input size than the network's", path, "(1,3,32,32)")


def check_document():
    """The snippet of the documentation, and the taps that it promises."""
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    code = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("snippet.py", "w", encoding="utf-8") as file:
            file.write(code)  # torch.jit.script reads the source back
        scope = runpy.run_path("snippet.py", run_name="snippet")
        images = pixels(2, 224)
        done, found, shapes = run(TOOL, folder, "./mobilenet.pt", images, [])
        check("the documentation's network", shapes == {"maps": "(576,7,7)", "pooled": "(576)"},
              str(shapes))
        with torch.inference_mode():
            expected = scope["model"](normalised(images))
        check("its features", all(relative_error(found[tap], expected[tap].numpy()) < 1e-4
                                  for tap in found))


torch.manual_seed(3)
for module in ReturnsTensor, ReturnsDict, ReturnsTuple, ReturnsList, Branches, HasDefaults, Nested:
    check_output(module, False)
for module in ReturnsTensor, ReturnsDict:
    check_output(module, True)
check_chosen_taps()
check_normalisation()
check_bad_files()
check_unknown_operators()
check_bad_modules()
check_document()
finish()
