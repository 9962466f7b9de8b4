#!/usr/bin/env python3
"""Writes optimizers.json: float64 trajectories of torch.optim.Adam, AdamW and RAdam on explicit gradients, and learning
rates of torch.optim.lr_scheduler.SequentialLR([LinearLR, CosineAnnealingLR]).

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

# Optimizer, lr, betas, eps, weight decay, number of the schedule or None for a constant lr.
CASES = [
    ("adam", 1e-3, (0.9, 0.999), 1e-8, 0.0, None),
    ("adam", 5e-4, (0.9, 0.999), 1e-8, 0.0, None),
    ("adam", 3e-2, (0.9, 0.999), 1e-8, 0.0, None),
    ("adam", 2e-3, (0.8, 0.95), 1e-4, 0.0, None),
    ("radam", 1e-3, (0.9, 0.999), 1e-8, 0.0, None),
    ("radam", 5e-4, (0.9, 0.999), 1e-8, 0.0, None),
    ("radam", 3e-2, (0.9, 0.999), 1e-8, 0.0, None),
    ("radam", 2e-3, (0.8, 0.95), 1e-4, 0.0, None),
    # rho_inf = 2 / (1 - 0.6) - 1 = 4 < 5: RAdam never switches to the rectified update.
    ("radam", 2e-3, (0.8, 0.6), 1e-8, 0.0, None),
    ("adamw", 1e-3, (0.9, 0.999), 1e-8, 1e-2, None),
    ("adamw", 3e-2, (0.8, 0.95), 1e-4, 0.5, None),
    ("adamw", 2e-3, (0.9, 0.999), 1e-8, 0.0, None),
    ("adamw", 1e-2, (0.9, 0.999), 1e-8, 0.1, 1),
    ("radam", 1e-2, (0.9, 0.999), 1e-8, 0.0, 1),
]

# lr, warm-up, factor of the first rate, total, least rate.
SCHEDULES = [
    (5e-4, 10, 1e-3, 500, 0.0),
    (1e-2, 5, 1 / 3, 30, 1e-4),
    (1.0, 0, 1.0, 7, 0.0),
    (2e-3, 1, 0.5, 2, 1e-3),
]


def scheduler(opt, warm_up, start_factor, total, min_lr):
    make = torch.optim.lr_scheduler
    cosine = make.CosineAnnealingLR(opt, T_max=total - warm_up, eta_min=min_lr)
    if warm_up == 0:
        return cosine
    linear = make.LinearLR(opt, start_factor=start_factor, end_factor=1.0, total_iters=warm_up)
    return make.SequentialLR(opt, [linear, cosine], milestones=[warm_up])


def rates(lr, *settings):
    """The rate of each of `total` epochs, and the one after the last."""
    opt = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, out = scheduler(opt, *settings), []
    for _ in range(settings[2] + 1):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        schedule.step()
    return out


def plain_rates(lr, warm_up, start_factor, total, min_lr):
    """The closed forms of PyTorch's documentation."""
    out = [lr * (start_factor + (1 - start_factor) * t / warm_up) for t in range(warm_up)]
    span = total - warm_up
    return out + [min_lr + (lr - min_lr) / 2 * (1 + math.cos(math.pi * t / span)) for t in range(span + 1)]


def first_rectified_step(beta2):
    """The first step whose rho_t > 5 in RAdam, or None within STEPS."""
    inf = 2 / (1 - beta2) - 1
    for t in range(1, STEPS + 1):
        if inf - 2 * t * beta2**t / (1 - beta2**t) > 5.0:
            return t
    return None


def plain(name, lrs, betas, eps, decay, grads):
    """The update rules in plain Python floats, to check that the text in `layout` describes what torch does."""
    p, (b1, b2) = list(INITIAL), betas
    m, v, out = [0.0] * len(p), [0.0] * len(p), []
    for t, (lr, g) in enumerate(zip(lrs, grads), 1):
        c1, c2 = 1 - b1**t, 1 - b2**t
        inf = 2 / (1 - b2) - 1
        rho = inf - 2 * t * b2**t / c2
        for i in range(len(p)):
            m[i] = b1 * m[i] + (1 - b1) * g[i]
            v[i] = b2 * v[i] + (1 - b2) * g[i] ** 2
            if name == "adamw":
                p[i] *= 1 - lr * decay
            if name in ("adam", "adamw"):
                p[i] -= lr * (m[i] / c1) / (math.sqrt(v[i]) / math.sqrt(c2) + eps)
            elif rho > 5.0:
                r = math.sqrt((rho - 4) * (rho - 2) * inf / ((inf - 4) * (inf - 2) * rho))
                p[i] -= lr * (m[i] / c1) * r * math.sqrt(c2) / (math.sqrt(v[i]) + eps)
            else:
                p[i] -= lr * m[i] / c1
        out.append(list(p))
    return out


def run(name, lrs, betas, eps, decay, grads):
    p = torch.nn.Parameter(torch.tensor(INITIAL))
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}[name]
    opt = make([p], lr=lrs[0], betas=betas, eps=eps, weight_decay=decay, foreach=False)
    out = []
    for lr, g in zip(lrs, grads):
        opt.param_groups[0]["lr"] = lr
        p.grad = torch.tensor(g)
        opt.step()
        out.append(p.detach().tolist())
    for a, b in zip(out, plain(name, lrs, betas, eps, decay, grads)):
        for x, y in zip(a, b):
            assert math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-15), (name, lrs[0], x, y)
    return out


def rows(values, indent):
    pad = " " * indent
    return "[\n" + ",\n".join(pad + "  " + json.dumps(r) for r in values) + "\n" + pad + "]"


def main():
    grads = gradients()
    schedules = []
    for settings in SCHEDULES:
        found = rates(*settings)
        for a, b in zip(found, plain_rates(*settings), strict=True):
            assert math.isclose(a, b, rel_tol=0, abs_tol=1e-12 * settings[0]), (settings, a, b)
        schedules.append(found)
    cases = []
    for name, lr, betas, eps, decay, schedule in CASES:
        assert schedule is None or SCHEDULES[schedule][0] == lr
        lrs = [lr] * STEPS if schedule is None else schedules[schedule][:STEPS]
        out = run(name, lrs, betas, eps, decay, grads)
        assert all(r[2] == 0.0 for r in out)
        head = {
            "optimizer": name,
            "lr": lr,
            "beta1": betas[0],
            "beta2": betas[1],
            "eps": eps,
            "weight_decay": decay,
            "schedule": schedule,
            "first_rectified_step": first_rectified_step(betas[1]) if name == "radam" else None,
        }
        cases.append("    " + json.dumps(head)[:-1] + ', "parameters": ' + rows(out, 4) + "}")
    layout = (
        "gradients[s][i] is the gradient of parameter i at step s + 1 and cases[k].parameters[s][i] its value after that step; "
        "every case starts from `initial` with zero moments. No amsgrad. schedule: index into `schedules`, whose rates[s] is the lr of step s + 1; null: lr throughout. first_rectified_step (RAdam) counts from 1; "
        "null: never, or not RAdam. With m, v the moments, c1 = 1 - beta1^t, c2 = 1 - beta2^t: "
        "Adam p -= lr (m / c1) / (sqrt(v) / sqrt(c2) + eps); AdamW the same after p *= 1 - lr weight_decay; "
        "RAdam p -= lr (m / c1) r sqrt(c2) / (sqrt(v) + eps) once rho_t > 5, before that p -= lr m / c1."
    )
    names = ["lr", "warm_up", "start_factor", "total", "min_lr"]
    schedules = [dict(zip(names, settings)) | {"rates": found} for settings, found in zip(SCHEDULES, schedules)]
    text = "{\n" + ",\n".join([
        '  "made_with": ' + json.dumps(f"torch {torch.__version__.split('+')[0]}, float64, make_optimizers.py"),
        '  "layout": ' + json.dumps(layout),
        '  "columns": ' + json.dumps(COLUMNS),
        f'  "steps": {STEPS}',
        '  "initial": ' + json.dumps(INITIAL),
        '  "gradients": ' + rows(grads, 2),
        '  "schedules": ' + rows(schedules, 2),
        '  "cases": [\n' + ",\n".join(cases) + "\n  ]",
    ]) + "\n}\n"
    json.loads(text)
    pathlib.Path(__file__).with_name("optimizers.json").write_text(text)


if __name__ == "__main__":
    main()
