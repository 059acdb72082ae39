"""The side of the hand-over that runs in PyTorch.

Usage: there.py FOLDER. For each case of FOLDER/cases.json it writes the file after the middle leg from the first one's, and
the file after all legs from the start's.
"""

import inspect
import json
import pathlib
import sys

import torch

docs = pathlib.Path(__file__).resolve().parents[2] / "docs"
sys.path.insert(0, str(docs))
sys.dont_write_bytecode = True
import pytorch_checkpoint  # noqa: E402

# One thread: a fixed order of sums, and the machine stays usable.
torch.set_num_threads(1)


def run(source, target, gradients):
    """Steps with the gradients from one file to another."""
    tensors, metadata = pytorch_checkpoint.read(source)
    groups = metadata["groups"]
    parameters = [[torch.nn.Parameter(torch.zeros_like(tensors[name])) for name in group["names"]] for group in groups]
    kind = getattr(torch.optim, groups[0]["optimizer"])
    known = inspect.signature(kind).parameters
    config = {key: value for key, value in groups[0]["config"].items() if key in known}
    optimizer = kind([{"params": group} for group in parameters], **config)
    pytorch_checkpoint.load(source, optimizer)
    for values in gradients:
        at = 0
        for parameter in sum(parameters, []):
            gradient = torch.tensor(values[at : at + parameter.numel()], dtype=torch.float32)
            parameter.grad = gradient.reshape(parameter.shape)
            at += parameter.numel()
        optimizer.step()
    pytorch_checkpoint.save(target, optimizer, metadata, steps=len(gradients))


def main(folder):
    cases = json.loads((folder / "cases.json").read_text())
    gradients, leg = cases["gradients"], cases["leg"]
    for name in cases["names"]:
        run(folder / f"{name}.handed", folder / f"{name}.returned", gradients[leg : 2 * leg])
        run(folder / f"{name}.start", folder / f"{name}.there", gradients)


main(pathlib.Path(sys.argv[1]))
