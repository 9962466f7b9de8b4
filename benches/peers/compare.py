#!/usr/bin/env python3
"""Times one training step here and in PyTorch, alternately, and prints the README's table.

    python3 -m venv torch && torch/bin/pip install torch        # about a minute, 5 GB
    cargo build --release --example step_time
    cargo build --release --example step_time --features gemm --target-dir target/gemm    # for the column "gemm"
    python3 benches/peers/compare.py --python torch/bin/python

Each cell is the median over the rounds of a process's median step, in milliseconds. A round runs every program once, so that a slow
period of the machine affects all of them. "fastest" is the fastest of PyTorch's variants: eager or compiled, default or fused Adam.
"eager" is eager with its default Adam. Ratios are ratios of medians. PyTorch uses one fixed batch, this crate a new batch in each step.
"""
import argparse, json, statistics, subprocess, sys

ap = argparse.ArgumentParser()
ap.add_argument("--python", default="torch/bin/python", help="a Python with PyTorch")
ap.add_argument("--ours", default="target/release/examples/step_time")
ap.add_argument("--gemm", default="target/gemm/release/examples/step_time", help="step_time with the feature gemm; empty to leave it out")
ap.add_argument("--threads", default="2,1")
ap.add_argument("--latents", default="8x4,16x12,64x8,10x30")
ap.add_argument("--estimators", default="st,stgs,gst,reinmax,gumbel-rao,reinmax-rao")
ap.add_argument("--taus", default="1.0", help="temperatures of the Gumbel-Rao estimators; the others use 1")
ap.add_argument("--rounds", type=int, default=3)
ap.add_argument("--steps", type=int, default=70)
ap.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes a minute per cell")
ap.add_argument("--jsonl", help="append every measurement to this file")
a = ap.parse_args()


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    line = json.loads(done.stdout.strip().splitlines()[-1])
    if a.jsonl:
        with open(a.jsonl, "a") as out:
            print(json.dumps({"command": command, **line}), file=out)
    return line


def measure(threads, latent, estimator, tau):
    """Medians over the rounds of every program, by name."""
    options = ["--threads", threads, "--latent", latent, "--estimator", estimator, "--tau", tau, "--steps", str(a.steps)]
    torch = [a.python, __file__.replace("compare.py", "torch_step.py"), *options]
    seen = {}
    for _ in range(a.rounds):
        for name, binary in [("ours", a.ours), ("gemm", a.gemm)]:
            if binary:
                seen.setdefault(name, []).append(run([binary, *options])["step_ms"])
        for name, extra in [("eager", [])] + ([] if a.no_compile else [("compiled", ["--compile"])]):
            line = run(torch + extra)
            seen.setdefault(name, []).append(line["adam_ms"])
            seen.setdefault(name + " fused", []).append(line["adam_fused_ms"])
    return {name: statistics.median(values) for name, values in seen.items()}


peers = ["eager", "eager fused"] + ([] if a.no_compile else ["compiled", "compiled fused"])
columns = ["ours"] + (["gemm"] if a.gemm else []) + peers
print("| threads | latent | estimator | " + " | ".join(columns) + " | ours / fastest | ours / eager |" + (" gemm / fastest |" if a.gemm else ""))
print("|---" * (len(columns) + 5 + bool(a.gemm)) + "|")
for threads in a.threads.split(","):
    for latent in a.latents.split(","):
        for estimator in a.estimators.split(","):
            for tau in a.taus.split(",") if "rao" in estimator else ["1.0"]:
                ms = measure(threads, latent, estimator, tau)
                fastest = min(ms[p] for p in peers)
                ratios = [ms["ours"] / fastest, ms["ours"] / ms["eager"]] + ([ms["gemm"] / fastest] if a.gemm else [])
                name = f"{estimator}, τ = {tau}" if "rao" in estimator else estimator
                cells = [f"{ms[c]:.2f}" for c in columns] + [f"{r:.2f}" for r in ratios]
                print(f"| {threads} | {latent} | {name} | " + " | ".join(cells) + " |", flush=True)
