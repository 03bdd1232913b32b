"""Networks of the user's own, for every kind of output that a backbone may have."""
import typing

import torch


class Trunk(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(8)
        self.depthwise = torch.nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.depthwise(torch.relu_(self.norm(self.conv(x))))


class HasTrunk(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = Trunk()


class ReturnsTensor(HasTrunk):
    def forward(self, x):
        return self.trunk(x).mean((2, 3))


class ReturnsDict(HasTrunk):
    def forward(self, x) -> typing.Dict[str, torch.Tensor]:
        y = self.trunk(x)
        return {"maps": y, "pooled": torch.nn.functional.adaptive_avg_pool2d(y, 1)}


class ReturnsTuple(HasTrunk):
    def forward(self, x) -> typing.Tuple[torch.Tensor, torch.Tensor]:
        y = self.trunk(x)
        return y, y.mean((2, 3))


class ReturnsList(HasTrunk):
    def forward(self, x) -> typing.List[torch.Tensor]:
        y = self.trunk(x)
        return [y.amax((2, 3))]
