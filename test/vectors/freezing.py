"""Records runs of torch.optim in float64 whose tensors are left out for some steps, thaw, or join late.

python3 test/vectors/freezing.py > test/vectors/pytorch/freezing.json
"""

import json
import math
import random

import torch

STEPS = 18
SHAPES = {"w": [2, 3], "b": [3], "a": [5], "c": [4]}
JOINS = {"c": 8}


def left_out(name, t):
    """Whether step t, from 1, has no gradient of a tensor."""
    return {"w": 5 <= t <= 9, "b": t <= 4 or t % 3 == 0, "a": False, "c": t in (11, 12)}[name]


CASES = {
    "adam": ("Adam", {"lr": 0.1, "betas": [0.9, 0.99], "weight_decay": 0.01}),
    "adamw": ("AdamW", {"lr": 0.1, "betas": [0.9, 0.99], "weight_decay": 0.1}),
    "amsgrad": ("Adam", {"lr": 0.1, "betas": [0.8, 0.9], "amsgrad": True}),
    "adamax": ("Adamax", {"lr": 0.1, "betas": [0.9, 0.99]}),
    "radam": ("RAdam", {"lr": 0.1, "betas": [0.9, 0.9]}),
    "adagrad": ("Adagrad", {"lr": 0.1, "lr_decay": 0.2}),
    "momentum": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1}),
    "asgd": ("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.75, "t0": 3}),
    "rprop": ("Rprop", {"lr": 0.1}),
}


def f32(value):
    return torch.tensor(value, dtype=torch.float32).item()


def values(seed, count):
    source = random.Random(seed)
    return [f32(source.gauss(0, 1)) for _ in range(count)]


def main():
    cases = []
    for identity, (kind, config) in CASES.items():
        sizes = {name: math.prod(shape) for name, shape in SHAPES.items()}
        initial = {name: values(f"{identity} {name}", size) for name, size in sizes.items()}
        tensors = {
            name: torch.tensor(initial[name], dtype=torch.float64).reshape(SHAPES[name]).requires_grad_()
            for name in SHAPES
        }
        settings = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
        optimizer = getattr(torch.optim, kind)([tensors[name] for name in SHAPES if name not in JOINS], **settings)
        rates, gradients, expected = [], [], []
        for t in range(1, STEPS + 1):
            for name, first in JOINS.items():
                if t == first:
                    if kind == "Adagrad":
                        optimizer.state[tensors[name]] = {
                            "step": torch.tensor(0.0),
                            "sum": torch.zeros_like(tensors[name]),
                        }
                    optimizer.param_groups[0]["params"].append(tensors[name])
            # Rprop takes its rate but once.
            rate = config["lr"] if kind == "Rprop" else config["lr"] * 0.95 ** (t - 1)
            optimizer.param_groups[0]["lr"] = rate
            step = {}
            for name, tensor in tensors.items():
                out = left_out(name, t) or t < JOINS.get(name, 0)
                step[name] = None if out else values(f"{identity} {name} {t}", sizes[name])
                tensor.grad = None if out else torch.tensor(step[name], dtype=torch.float64).reshape(SHAPES[name])
            optimizer.step()
            rates.append(rate)
            gradients.append(step)
            expected.append({name: tensor.detach().flatten().tolist() for name, tensor in tensors.items()})
        cases.append(
            {
                "id": identity,
                "optimizer": kind,
                "config": config,
                "learning_rates": rates,
                "joins": JOINS,
                "tensors": SHAPES,
                "initial": initial,
                "gradients": gradients,
                "expected": expected,
            }
        )
    print(json.dumps({"format": "frozen-trajectories/1", "framework": f"pytorch {torch.__version__}", "cases": cases}))


main()
