"""Writes weights.safetensors, a small VAE's as PyTorch has them, and weights.json, what its networks give.

    python make_weights.py                      # needs torch and safetensors
    python make_weights.py check FILE SIZES     # loads a file that `train_vae --export-weights` wrote, e.g. 784,512,256,32
"""
import json
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Vae(nn.Module):
    def __init__(self, sizes):
        super().__init__()

        def layers(s):
            return nn.ModuleList(nn.Linear(a, b) for a, b in zip(s, s[1:]))

        self.encoder, self.decoder = layers(sizes), layers(sizes[::-1])

    @staticmethod
    def run(layers, x):
        for layer in layers[:-1]:
            x = torch.relu(layer(x))
        return layers[-1](x)


def check(file, sizes):
    vae = Vae([int(n) for n in sizes.split(",")])
    print(vae.load_state_dict(load_file(file)))  # strict: every name and shape
    codes = torch.eye(vae.decoder[0].in_features)[:1]
    with torch.no_grad():
        print("decoder at the first unit vector, first five:", vae.run(vae.decoder, codes)[0, :5].tolist())


if sys.argv[1:2] == ["check"]:
    check(*sys.argv[2:])
    sys.exit()

torch.manual_seed(0)
vae = Vae([5, 4, 6])
save_file(vae.state_dict(), "weights.safetensors")
x, z = torch.rand(3, 5), torch.rand(3, 6)
with torch.no_grad():
    logits, pixels = vae.run(vae.encoder, x), vae.run(vae.decoder, z)
numbers = {"x": x, "z": z, "logits": logits, "pixels": pixels}
with open("weights.json", "w") as f:
    json.dump({name: value.flatten().tolist() for name, value in numbers.items()} | {"torch": torch.__version__}, f)
