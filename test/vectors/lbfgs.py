"""Records runs of torch.optim.LBFGS in float64 on Rosenbrock's function in ten dimensions.

python3 test/vectors/lbfgs.py > test/vectors/pytorch/lbfgs.json
"""

import json

import torch

INITIAL = [-1.2, 1.0] * 5

# Without a search one step a call, and where each ends; with it the losses of all points that are tried.
CASES = [
    (30, {"lr": 0.1, "history_size": 10, "line_search_fn": None}),
    (30, {"lr": 0.2, "history_size": 3, "line_search_fn": None}),
    (25, {"lr": 1, "history_size": 5, "line_search_fn": "strong_wolfe"}),
    (25, {"lr": 0.5, "history_size": 10, "line_search_fn": "strong_wolfe"}),
]


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def record(steps, config):
    x = torch.tensor(INITIAL, dtype=torch.float64).requires_grad_()
    searches = config["line_search_fn"] is not None
    optimizer = torch.optim.LBFGS(
        [x], max_iter=steps if searches else 1, max_eval=1000, tolerance_grad=0, tolerance_change=0, **config
    )
    losses, expected = [], []

    def closure():
        optimizer.zero_grad()
        loss = rosenbrock(x)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(1 if searches else steps):
        optimizer.step(closure)
        expected.append(x.tolist())
    return {"config": config, "steps": steps, "losses": losses, "expected": expected}


def main():
    cases = [record(steps, config) for steps, config in CASES]
    print(json.dumps({"framework": f"pytorch {torch.__version__}", "initial": INITIAL, "cases": cases}))


main()
