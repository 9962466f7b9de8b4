#!/usr/bin/env python3
"""Trains the paper's VAE with Gumbel-Rao in PyTorch on the CPU, as an independent check of this crate's training runs.

    python3 -m venv torch && torch/bin/pip install torch numpy
    torch/bin/python benches/peers/torch_gumbel_rao.py --data data/mnist > gumbel_rao.jsonl     # half an hour on one idle core

Prints a line of JSON per epoch: train and test loss in nats per image. The estimator has the arithmetic of the published code: weights
e^theta that are not normalised, 1e-20 inside the logarithm, and one sample D for all conditional draws.
"""
import argparse, gzip, json, math, pathlib, time
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

ap = argparse.ArgumentParser()
ap.add_argument("--data", default="data/mnist", help="directory of MNIST's .gz files")
ap.add_argument("--latent", default="8x4", help="CxL")
ap.add_argument("--tau", type=float, default=0.5)
ap.add_argument("--draws", type=int, default=100)
ap.add_argument("--lr", type=float, default=5e-4)
ap.add_argument("--epochs", type=int, default=160)
ap.add_argument("--seed", type=int, default=0)
ap.add_argument("--threads", type=int, default=1)
a = ap.parse_args()
C, L = map(int, a.latent.split("x"))
torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)


def images(name):
    raw = gzip.open(pathlib.Path(a.data) / f"{name}-images-idx3-ubyte.gz").read()
    pixels = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)
    return torch.from_numpy(pixels.copy()).float() / 255


class Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits):
        D = torch.distributions.OneHotCategorical(logits=logits).sample()
        ctx.save_for_backward(logits, D)
        return D

    @staticmethod
    def backward(ctx, g):
        logits, D = ctx.saved_tensors
        weights = logits.exp()
        E = torch.empty((a.draws,) + logits.shape).exponential_()
        of_sample = (E * D).sum(-1, keepdim=True) / weights.sum(-1, keepdim=True)
        Y = -((E / weights) * (1 - D) + of_sample + 1e-20).log()
        s = torch.softmax(Y / a.tau, -1)
        gs = g * s
        return (gs - s * gs.sum(-1, keepdim=True)).mean(0) / a.tau


def mlp(*dims):
    layers = []
    for i, (m, n) in enumerate(zip(dims, dims[1:])):
        layers += [nn.Linear(m, n)] + ([nn.ReLU()] if i + 2 < len(dims) else [])
    return nn.Sequential(*layers)


encoder, decoder = mlp(784, 512, 256, C * L), mlp(C * L, 256, 512, 784)
adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=a.lr, fused=True)


def loss_of(x):
    logits = encoder(x).view(-1, L, C)
    D = Sample.apply(logits)
    bce = F.binary_cross_entropy_with_logits(decoder(D.view(-1, L * C)), x, reduction="sum")
    log_pi = torch.log_softmax(logits, -1)
    return (bce + (log_pi.exp() * log_pi).sum()) / len(x) + L * math.log(C)


train, test = images("train"), images("t10k")
for epoch in range(1, a.epochs + 1):
    start, total = time.time(), 0.0
    for batch in torch.randperm(len(train)).split(100):
        loss = loss_of(train[batch])
        adam.zero_grad()
        loss.backward()
        adam.step()
        total += loss.item() * len(batch)
    with torch.no_grad():
        test_loss = sum(loss_of(x).item() * len(x) for x in test.split(100)) / len(test)
    seconds = round(time.time() - start, 1)
    print(json.dumps({"epoch": epoch, "train": total / len(train), "test": test_loss, "seconds": seconds}), flush=True)
