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


def run(source, target, gradients, left_out):
    """Steps with the gradients from one file to another. Each step leaves some parameters out, as a loss may."""
    tensors, metadata = pytorch_checkpoint.read(source)
    groups = metadata["groups"]
    parameters = [[torch.nn.Parameter(torch.zeros_like(tensors[name])) for name in group["names"]] for group in groups]
    kind = getattr(torch.optim, groups[0]["optimizer"])
    known = inspect.signature(kind).parameters
    config = {key: value for key, value in groups[0]["config"].items() if key in known}
    optimizer = kind([{"params": group} for group in parameters], **config)
    pytorch_checkpoint.load(source, optimizer)
    names = sum([group["names"] for group in groups], [])
    for values, without in zip(gradients, left_out):
        at = 0
        for name, parameter in zip(names, sum(parameters, [])):
            gradient = torch.tensor(values[at : at + parameter.numel()], dtype=torch.float32)
            parameter.grad = None if name in without else gradient.reshape(parameter.shape)
            at += parameter.numel()
        optimizer.step()
    pytorch_checkpoint.save(target, optimizer, metadata, steps=len(gradients))


def main(folder):
    cases = json.loads((folder / "cases.json").read_text())
    gradients, left_out, leg = cases["gradients"], cases["leftOut"], cases["leg"]
    middle = slice(leg, 2 * leg)
    for name in cases["names"]:
        run(folder / f"{name}.handed", folder / f"{name}.returned", gradients[middle], left_out[middle])
        run(folder / f"{name}.start", folder / f"{name}.there", gradients, left_out)


main(pathlib.Path(sys.argv[1]))
