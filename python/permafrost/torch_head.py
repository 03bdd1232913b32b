"""A model's head as a torch module."""
import torch
from torch import nn

from .model import EPSILON


class Head(nn.Module):
    """(N, ...) -> {target: (N, outputs)}, scores as Model.scores has them."""

    def __init__(self, model):
        super().__init__()
        self.names = [target["name"] for target in model.targets]
        self.unit_length = model.unit_length
        layers = []
        for layer in model.layers:
            layers.append(self._linear(model, layer))
            width, norm = layers[-1].out_features, layer.get("norm", "none")
            if norm != "none":
                layers.append((nn.BatchNorm1d if norm == "batch" else nn.LayerNorm)(width, eps=EPSILON))
                self._fill(layers[-1], model, layer, weight="scale", bias="shift")
            if norm == "batch":
                self._fill(layers[-1], model, layer, running_mean="mean", running_var="variance")
            layers.append(nn.GELU() if layer.get("activation") == "gelu" else nn.ReLU())
        self.hidden = nn.Sequential(*layers)
        self.heads = nn.ModuleList(self._linear(model, target) for target in model.targets)

    @staticmethod
    def _fill(module, model, part, **names):
        with torch.no_grad():
            for name, key in names.items():
                getattr(module, name).copy_(torch.tensor(model._of(part, key)))

    def _linear(self, model, part):
        outputs, inputs = model._of(part, "weight").shape
        linear = nn.Linear(inputs, outputs)
        self._fill(linear, model, part, weight="weight", bias="bias")
        return linear

    def forward(self, x):
        x = x.flatten(1).float()
        if self.unit_length:
            x = nn.functional.normalize(x, eps=1e-30)
        x = self.hidden(x)
        return {name: head(x) for name, head in zip(self.names, self.heads)}
