#!/usr/bin/env python3
"""Writes optimizers.json: float64 trajectories of torch.optim.Adam and torch.optim.RAdam on explicit gradients.

Made with torch 2.15.0, numpy 2.4.6 (CPU, one thread). From the root of the repository:

    python3 -m venv torch && torch/bin/pip install torch==2.15.0 numpy
    torch/bin/python tests/data/make_optimizers.py

The gradients do not depend on the parameters: a reader needs only `initial`, `gradients` and each case's settings, and
compares with that case's `parameters` (the values after each step).
"""
import json
import math
import pathlib

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

STEPS = 30
INITIAL = [0.5, -1.25, 0.0, 3.0, -0.01, 100.0, 1e-6]


def gradients():
    """One column for each parameter; what each one is for is in COLUMNS."""
    noise = torch.randn(STEPS, 3, generator=torch.Generator().manual_seed(20240607))
    rows = []
    for s in range(STEPS):
        a, b, c = noise[s].tolist()
        rows.append([
            a,
            0.0 if s % 3 == 1 else b,
            0.0,
            1e4 * c,
            1e-9 * (1.0 if s % 2 == 0 else -0.5),
            (1e6 if s == 0 else 1e-3),
            0.0 if s < 10 else 0.25,
        ])
    return rows


COLUMNS = [
    "standard normal",
    "standard normal, exactly 0 on steps 2, 5, 8, ... (counting from 1)",
    "always 0: the parameter must not move",
    "1e4 times a standard normal",
    "1e-9 and -0.5e-9 in turn, below eps = 1e-8: shows where eps is added",
    "1e6 on step 1, then 1e-3: a spike that the second moment remembers",
    "0 for steps 1 to 10, then 0.25",
]

CASES = [
    ("adam", 1e-3, (0.9, 0.999), 1e-8),
    ("adam", 5e-4, (0.9, 0.999), 1e-8),
    ("adam", 3e-2, (0.9, 0.999), 1e-8),
    ("adam", 2e-3, (0.8, 0.95), 1e-4),
    ("radam", 1e-3, (0.9, 0.999), 1e-8),
    ("radam", 5e-4, (0.9, 0.999), 1e-8),
    ("radam", 3e-2, (0.9, 0.999), 1e-8),
    ("radam", 2e-3, (0.8, 0.95), 1e-4),
    # rho_inf = 2 / (1 - 0.6) - 1 = 4 < 5: RAdam never switches to the rectified update.
    ("radam", 2e-3, (0.8, 0.6), 1e-8),
]


def first_rectified_step(beta2):
    """The first step whose rho_t > 5 in RAdam, or None within STEPS."""
    inf = 2 / (1 - beta2) - 1
    for t in range(1, STEPS + 1):
        if inf - 2 * t * beta2**t / (1 - beta2**t) > 5.0:
            return t
    return None


def plain(name, lr, betas, eps, grads):
    """The update rules in plain Python floats, to check that the text in `layout` describes what torch does."""
    p, (b1, b2) = list(INITIAL), betas
    m, v, out = [0.0] * len(p), [0.0] * len(p), []
    for t, g in enumerate(grads, 1):
        c1, c2 = 1 - b1**t, 1 - b2**t
        inf = 2 / (1 - b2) - 1
        rho = inf - 2 * t * b2**t / c2
        for i in range(len(p)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
            if name == "adam":
                p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i]) / math.sqrt(c2) + eps)
            elif rho > 5.0:
                r = math.sqrt((rho - 4) * (rho - 2) * inf / ((inf - 4) * (inf - 2) * rho))
                p[i] -= lr * (m[i] / c1) * r * math.sqrt(c2) / (math.sqrt(v[i]) + eps)
            else:
                p[i] -= lr * m[i] / c1
        out.append(list(p))
    return out


def run(name, lr, betas, eps, grads):
    p = torch.nn.Parameter(torch.tensor(INITIAL))
    make = {"adam": torch.optim.Adam, "radam": torch.optim.RAdam}[name]
    opt = make([p], lr=lr, betas=betas, eps=eps, foreach=False)
    out = []
    for g in grads:
        p.grad = torch.tensor(g)
        opt.step()
        out.append(p.detach().tolist())
    for a, b in zip(out, plain(name, lr, betas, eps, grads)):
        for x, y in zip(a, b):
            assert math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-15), (name, lr, x, y)
    return out


def rows(values, indent):
    pad = " " * indent
    return "[\n" + ",\n".join(pad + "  " + json.dumps(r) for r in values) + "\n" + pad + "]"


def main():
    grads = gradients()
    cases = []
    for name, lr, betas, eps in CASES:
        out = run(name, lr, betas, eps, grads)
        assert all(r[2] == 0.0 for r in out)
        head = {
            "optimizer": name,
            "lr": lr,
            "beta1": betas[0],
            "beta2": betas[1],
            "eps": eps,
            "first_rectified_step": first_rectified_step(betas[1]) if name == "radam" else None,
        }
        cases.append("    " + json.dumps(head)[:-1] + ', "parameters": ' + rows(out, 4) + "}")
    layout = (
        "gradients[s][i] is the gradient of parameter i at step s + 1 and cases[k].parameters[s][i] its value after that step; "
        "every case starts from `initial` with zero moments. No weight decay, no amsgrad. first_rectified_step (RAdam) counts from 1; "
        "null: never, or not RAdam. With m, v the moments, c1 = 1 - beta1^t, c2 = 1 - beta2^t: "
        "Adam p -= lr (m / c1) / (sqrt(v) / sqrt(c2) + eps); "
        "RAdam p -= lr (m / c1) r sqrt(c2) / (sqrt(v) + eps) once rho_t > 5, before that p -= lr m / c1."
    )
    text = "{\n" + ",\n".join([
        '  "made_with": ' + json.dumps(f"torch {torch.__version__.split('+')[0]}, float64, make_optimizers.py"),
        '  "layout": ' + json.dumps(layout),
        '  "columns": ' + json.dumps(COLUMNS),
        f'  "steps": {STEPS}',
        '  "initial": ' + json.dumps(INITIAL),
        '  "gradients": ' + rows(grads, 2),
        '  "cases": [\n' + ",\n".join(cases) + "\n  ]",
    ]) + "\n}\n"
    json.loads(text)
    pathlib.Path(__file__).with_name("optimizers.json").write_text(text)


if __name__ == "__main__":
    main()
