#!/usr/bin/env python3
"""Times forward and backward of Gumbel-Rao here and in PyTorch, alternately, and prints a table.

    python bench.py                     # two threads, batch 100, K = 100, 8x4 and 64x8
    python bench.py --no-compile        # without torch.compile, which needs a C++ compiler

A cell is the median over the rounds of a median over the steps, in milliseconds. In a round every
variant runs once, so that a slow minute of the machine slows all of them. PyTorch's Gumbel-Rao is an
autograd function with an analytic backward pass, which is faster than one that autograd derives.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F

import hardgrad.torch

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--batch", type=int, default=100, help="number of rows N")
ap.add_argument("--latents", default="8x4,64x8", help="CxL: categories x variables, comma-separated")
ap.add_argument("--draws", type=int, default=100, help="number of conditional draws K")
ap.add_argument("--tau", type=float, default=1.0)
ap.add_argument("--rounds", type=int, default=9)
ap.add_argument("--steps", type=int, default=30, help="steps of one variant in a round")
ap.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
a = ap.parse_args()


class GumbelRao(torch.autograd.Function):
    """(1/(Kτ)) Σ_k J(softmax(Y_k/τ)) g with Y_k ~ θ + G given D; all draws are in one tensor."""

    @staticmethod
    def forward(ctx, logits):
        gumbel = -torch.empty_like(logits).exponential_().log()
        one_hot = F.one_hot((logits + gumbel).argmax(-1), logits.shape[-1]).to(logits.dtype)
        ctx.save_for_backward(logits, one_hot)
        return one_hot

    @staticmethod
    def backward(ctx, g):
        logits, one_hot = ctx.saved_tensors
        e = torch.empty((a.draws, *logits.shape), dtype=logits.dtype).exponential_()
        log_pi = torch.log_softmax(logits, -1)
        of_d = (one_hot * e).sum(-1, keepdim=True)
        y = -torch.log(torch.where(one_hot.bool(), of_d, e * torch.exp(-log_pi) + of_d))
        q = torch.softmax(y / a.tau, -1)
        product = g * q
        return (product - q * product.sum(-1, keepdim=True)).mean(0) / a.tau


def step(sample, logits, w):
    """One forward and backward pass of f = Σ w D."""

    def run():
        logits.grad = None
        (sample(logits) * w).sum().backward()

    return run


def median_ms(run):
    times = []
    for _ in range(a.steps):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


torch.set_num_threads(a.threads)
hardgrad.set_num_threads(a.threads)
samples = {
    "hardgrad": lambda logits: hardgrad.torch.gumbel_rao(logits, a.tau, draws=a.draws),
    "PyTorch eager": GumbelRao.apply,
}
if not a.no_compile:
    samples["torch.compile"] = None
print(f"PyTorch {torch.__version__}, {a.threads} threads, batch {a.batch}, K = {a.draws}; milliseconds")
print("| latent | " + " | ".join(samples) + " | hardgrad / fastest other |")
print("|---" * (len(samples) + 2) + "|")
for latent in a.latents.split(","):
    categories, variables = map(int, latent.split("x"))
    torch.manual_seed(0)
    logits = torch.randn(a.batch, variables, categories, requires_grad=True)
    w = torch.randn(a.batch, variables, categories)
    if not a.no_compile:
        torch._dynamo.reset()
        samples["torch.compile"] = torch.compile(lambda logits: GumbelRao.apply(logits))
    runs = {name: step(sample, logits, w) for name, sample in samples.items()}
    for run in runs.values():
        for _ in range(5):  # compiles, and starts threads
            run()
    seen = {name: [] for name in runs}
    for _ in range(a.rounds):
        for name, run in runs.items():
            seen[name].append(median_ms(run))
    ms = {name: statistics.median(values) for name, values in seen.items()}
    ratio = ms["hardgrad"] / min(value for name, value in ms.items() if name != "hardgrad")
    print(f"| {latent} | " + " | ".join(f"{value:.2f}" for value in ms.values()) + f" | {ratio:.2f} |", flush=True)
