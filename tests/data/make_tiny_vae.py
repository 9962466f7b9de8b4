#!/usr/bin/env python3
"""Writes tiny_vae.json: float64 loss, gradients and five Adam steps of a tiny VAE with one-hot latents.

Made with torch 2.15.0, numpy 2.4.6 (CPU, one thread). From the root of the repository:

    python3 -m venv torch && torch/bin/pip install torch==2.15.0 numpy
    torch/bin/python tests/data/make_tiny_vae.py

Encoder 12-7-5-(L*C), decoder (L*C)-5-7-12, ReLU between layers, C = 3 categories, L = 2 latents, a batch of 4.
The loss is the mean over the batch of the binary cross-entropy summed over pixels plus
KL = sum pi log pi + L log C. The same batch and the same Gumbel noise are used at each step.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

# The first seed from 0 up whose inputs pass every assertion below: margins at kinks and ties, few dead units, latents that
# choose differently, estimators that differ. No seed tried on the way failed a comparison with `by_hand`.
SEED = 872
PIXELS, C, L, B = 12, 3, 2, 4
ENCODER, DECODER = (PIXELS, 7, 5, L * C), (L * C, 5, 7, PIXELS)
STEPS, LR = 5, 1e-3
ESTIMATORS = [("st", 1.3), ("stgs", 0.5), ("reinmax", 1.3)]


def vjp(q, g):
    """J(q) g = q * (g - <q, g>), J the Jacobian of softmax at the probabilities q."""
    return q * (g - (q * g).sum(-1, keepdim=True))


class Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx, theta, noise, estimator, tau):
        D = F.one_hot((theta + noise).argmax(-1), C).to(theta.dtype)
        ctx.save_for_backward(theta, noise, D)
        ctx.estimator, ctx.tau = estimator, tau
        return D

    @staticmethod
    def backward(ctx, g):
        theta, noise, D = ctx.saved_tensors
        tau = ctx.tau
        if ctx.estimator == "st":
            d = vjp(torch.softmax(theta / tau, -1), g) / tau
        elif ctx.estimator == "stgs":
            d = vjp(torch.softmax((theta + noise) / tau, -1), g) / tau
        else:
            d = 2 * vjp((torch.softmax(theta / tau, -1) + D) / 2, g) - vjp(torch.softmax(theta, -1), g) / 2
        return d, None, None, None


def make_inputs():
    gen = torch.Generator().manual_seed(SEED)
    params = {}
    for net, dims in (("encoder", ENCODER), ("decoder", DECODER)):
        for i, (m, n) in enumerate(zip(dims, dims[1:])):
            bound = 1 / math.sqrt(m)
            # [out][in], as in torch.nn.Linear.
            params[f"{net}.{i}.weight"] = (torch.rand(n, m, generator=gen) * 2 - 1) * bound
            params[f"{net}.{i}.bias"] = (torch.rand(n, generator=gen) * 2 - 1) * bound
    x = torch.rand(B, PIXELS, generator=gen)
    x = torch.where(x < 0.3, 0.0, torch.where(x > 0.8, 1.0, x))
    noise = -torch.log(-torch.log(torch.rand(B, L, C, generator=gen)))
    return params, x, noise


def mlp(p, net, h, pre):
    for i in range(3):
        h = F.linear(h, p[f"{net}.{i}.weight"], p[f"{net}.{i}.bias"])
        if i < 2:
            pre.append(h.detach())
            h = F.relu(h)
    return h


def forward(p, x, noise, estimator, tau):
    pre = []
    theta = mlp(p, "encoder", x, pre).view(B, L, C)
    D = Sample.apply(theta, noise, estimator, tau)
    out = mlp(p, "decoder", D.view(B, L * C), pre)
    bce = F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(1).mean()
    lp = torch.log_softmax(theta, -1)
    kl = (lp.exp() * lp).sum((1, 2)).mean() + L * math.log(C)
    return {"loss": bce + kl, "bce": bce, "kl": kl, "theta": theta, "D": D, "out": out, "pre": pre}


def by_hand(p, x, noise, estimator, tau):
    """Loss and gradients in numpy, without autograd and with each Jacobian written out, to check the values above."""
    p = {k: v.detach().numpy() for k, v in p.items()}
    x, noise = x.numpy(), noise.numpy()

    def softmax(z):
        e = np.exp(z - z.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def run(net, h):
        hs, zs = [h], []
        for i in range(3):
            z = hs[-1] @ p[f"{net}.{i}.weight"].T + p[f"{net}.{i}.bias"]
            zs.append(z)
            hs.append(np.maximum(z, 0) if i < 2 else z)
        return hs, zs

    grads = {}

    def back(net, hs, zs, d):
        for i in (2, 1, 0):
            if i < 2:
                d = d * (zs[i] > 0)
            grads[f"{net}.{i}.weight"], grads[f"{net}.{i}.bias"] = d.T @ hs[i], d.sum(0)
            d = d @ p[f"{net}.{i}.weight"]
        return d

    eh, ez = run("encoder", x)
    th = eh[-1].reshape(B, L, C)
    D = np.eye(C)[(th + noise).argmax(-1)]
    dh, dz = run("decoder", D.reshape(B, L * C))
    o = dh[-1]
    pi = softmax(th)
    bce = (np.logaddexp(0, o) - x * o).sum(1).mean()
    kl = (pi * np.log(pi)).sum((1, 2)).mean() + L * np.log(C)
    g = back("decoder", dh, dz, (1 / (1 + np.exp(-o)) - x) / B).reshape(B, L, C)
    d = np.zeros_like(th)
    for b in range(B):
        for l in range(L):
            def jac(q):
                return np.diag(q) - np.outer(q, q)

            t, n = th[b, l], noise[b, l]
            if estimator == "st":
                m = jac(softmax(t / tau)) / tau
            elif estimator == "stgs":
                m = jac(softmax((t + n) / tau)) / tau
            else:
                m = 2 * jac((softmax(t / tau) + D[b, l]) / 2) - jac(softmax(t)) / 2
            d[b, l] = m @ g[b, l] + jac(pi[b, l]) @ np.log(pi[b, l]) / B
    back("encoder", eh, ez, d.reshape(B, L * C))
    return bce + kl, grads


def flat(t, name):
    """Row-major [in][out] for a weight (the transpose of PyTorch's [out][in]); a bias as it is."""
    t = t.detach()
    return (t.T if name.endswith("weight") else t).contiguous().flatten().tolist()


def train(start, x, noise, estimator, tau):
    p = {k: torch.nn.Parameter(v.clone()) for k, v in start.items()}
    opt = torch.optim.Adam(p.values(), lr=LR, foreach=False)
    result = {"estimator": estimator, "tau": tau}
    losses, indices = [], []
    for s in range(STEPS):
        opt.zero_grad()
        r = forward(p, x, noise, estimator, tau)
        # No value may hang on a rounding error: no tie in an argmax, no pre-activation at the kink of a ReLU.
        top = (r["theta"] + noise).detach().topk(2, -1).values
        assert (top[..., 0] - top[..., 1]).min() > 1e-2
        assert min(h.abs().min().item() for h in r["pre"]) > 1e-3
        r["loss"].backward()
        want, grads = by_hand(p, x, noise, estimator, tau)
        assert math.isclose(r["loss"].item(), want, rel_tol=1e-13)
        for k, v in p.items():
            np.testing.assert_allclose(v.grad.numpy(), grads[k], rtol=1e-10, atol=1e-14)
        losses.append(r["loss"].item())
        indices.append(r["D"].argmax(-1).tolist())
        if s == 0:
            # A unit of the network that no row of the batch reaches would leave its column untested.
            dead = [(h > 0).any(0).logical_not().sum().item() for h in r["pre"]]
            assert sum(dead) <= 3 and all(d <= 1 for d in dead), dead
            assert set(sum(indices[0], [])) == set(range(C))
            # Equal choices in both latents would hide a swap of the latents.
            assert sum(a != b for a, b in indices[0]) >= 3
            result |= {
                "loss": losses[0],
                "bce": r["bce"].item(),
                "kl": r["kl"].item(),
                "one_hot": indices[0],
                "gradients": {k: flat(v.grad, k) for k, v in p.items()},
            }
        opt.step()
    result |= {
        "adam_losses": losses,
        "adam_one_hot": indices,
        "adam_parameters": {k: flat(v, k) for k, v in p.items()},
    }
    return result


def train_all(params, x, noise):
    results = [train(params, x, noise, e, t) for e, t in ESTIMATORS]
    first = [r["gradients"]["encoder.0.weight"] for r in results]
    for i in range(3):
        for j in range(i):
            assert max(abs(a - b) for a, b in zip(first[i], first[j])) > 1e-3, "the estimators must differ"
    return results


def main():
    params, x, noise = make_inputs()
    r = forward(params, x, noise, "st", 1.0)
    results = train_all(params, x, noise)
    data = {
        "made_with": f"torch {torch.__version__.split('+')[0]}, float64, make_tiny_vae.py",
        "layout": (
            "All arrays of a parameter are flat. A weight is row-major [in][out], the transpose of PyTorch's [out][in]: "
            "layer i computes h W + b. `parameters`, `gradients` and `adam_parameters` map the same names "
            "(encoder.0.weight [12][7], encoder.0.bias [7], encoder.1 7 to 5, encoder.2 5 to 6, decoder.0 6 to 5, decoder.1 5 to 7, "
            "decoder.2 7 to 12). x is [B][pixels]; gumbel and theta are [B][L][C], category last: encoder output l * C + c is latent l, "
            "category c, and the decoder reads the one-hot sample in the same order; one_hot is [B][L], the chosen category "
            "argmax(theta + gumbel). theta and decoder_logits [B][pixels] are the forward pass at the initial parameters. "
            "loss = bce + kl, each a mean over the batch; bce is summed over pixels, kl = sum pi log pi + L log C, pi at temperature 1. "
            "Each estimator starts anew from `parameters`; adam_losses[s] and adam_one_hot[s] are before update s + 1, "
            "adam_parameters after the last one. Adam: betas 0.9, 0.999, eps 1e-8."
        ),
        "pixels": PIXELS, "categories": C, "latents": L, "batch": B,
        "encoder": ENCODER, "decoder": DECODER,
        "adam_lr": LR, "adam_steps": STEPS,
        "parameters": {k: flat(v, k) for k, v in params.items()},
        "x": x.tolist(), "gumbel": noise.tolist(),
        "theta": r["theta"].tolist(), "decoder_logits": r["out"].tolist(),
        "estimators": results,
    }
    text = dump(data) + "\n"
    assert json.loads(text) == json.loads(json.dumps(data))
    pathlib.Path(__file__).with_name("tiny_vae.json").write_text(text)


def dump(v, indent=0):
    """JSON with one line for each array."""
    pad = " " * (indent + 2)
    if isinstance(v, dict):
        return "{\n" + ",\n".join(f"{pad}{json.dumps(k)}: {dump(w, indent + 2)}" for k, w in v.items()) + "\n" + " " * indent + "}"
    if isinstance(v, list) and v and isinstance(v[0], dict):
        return "[\n" + ",\n".join(pad + dump(w, indent + 2) for w in v) + "\n" + " " * indent + "]"
    return json.dumps(v)


if __name__ == "__main__":
    main()
