"""Moves an optimizer between webgpu-optim and torch.optim, by a safetensors file. Needs torch alone.

The file is written in the page by `optimizer.save({ format: "pytorch" })`; `load` reads it into a torch optimizer of the
same class over the same parameters, and `save` writes it back for `optimizer.load(bytes)`. See docs/pytorch.md.
"""

import ctypes
import json
import struct
import sys

import torch

if sys.byteorder != "little":
    raise ImportError("safetensors files are little-endian, and this machine is not")

STATES = {
    "SGD": ["momentum_buffer"],
    "Adagrad": ["sum"],
    "RMSprop": ["square_avg", "grad_avg", "momentum_buffer"],
    "Adadelta": ["square_avg", "acc_delta"],
    "Adam": ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    "AdamW": ["exp_avg", "exp_avg_sq", "max_exp_avg_sq"],
    "Adamax": ["exp_avg", "exp_inf"],
    "NAdam": ["exp_avg", "exp_avg_sq"],
    "RAdam": ["exp_avg", "exp_avg_sq"],
    "Rprop": ["prev", "step_size"],
    "ASGD": ["ax"],
}

# Numbers that torch keeps for each parameter and the file for each group.
MEMORY = ("mu_product", "eta", "mu")


def read(path):
    """The file's tensors by name, all float32, and its metadata, with the groups parsed."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    if metadata.get("format") != "webgpu-optim-pytorch" or metadata.get("format_version") != "1":
        raise ValueError(f"{path} is not of format webgpu-optim-pytorch 1")
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{name} is {entry['dtype']}, not F32")
        start, end = entry["data_offsets"]
        values = torch.frombuffer(bytearray(data[start:end]), dtype=torch.float32) if end > start else torch.empty(0)
        tensors[name] = values.reshape(entry["shape"])
    return tensors, {**metadata, "groups": json.loads(metadata["groups"])}


def write(path, tensors, metadata):
    """Writes tensors by name, as float32, and metadata."""
    header = {"__metadata__": {**metadata, "groups": json.dumps(metadata["groups"])}}
    values = {name: tensors[name].detach().to("cpu", torch.float32).contiguous() for name in sorted(tensors)}
    position = 0
    for name, tensor in values.items():
        end = position + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in values.values():
            file.write(ctypes.string_at(tensor.data_ptr(), 4 * tensor.numel()) if tensor.numel() else b"")


def to_state_dict(tensors, metadata, optimizer):
    """Input of `optimizer.load_state_dict`. Groups and parameters of the file are the optimizer's, in its order."""
    kind = type(optimizer).__name__
    result = optimizer.state_dict()
    groups = metadata["groups"]
    if len(groups) != len(result["param_groups"]):
        raise ValueError(f"the file has {len(groups)} groups, the optimizer {len(result['param_groups'])}")
    result["state"] = {}
    for group, target in zip(groups, result["param_groups"]):
        if group["optimizer"] != kind:
            raise ValueError(f"the file is of {group['optimizer']}, not of {kind}")
        if len(group["names"]) != len(target["params"]):
            raise ValueError(f"the file has parameters {group['names']}, the optimizer {len(target['params'])}")
        for key, value in group["config"].items():
            # Older releases lack some keys, all of them switches that are off by default.
            if key in target or key == "initial_lr":
                target[key] = tuple(value) if isinstance(value, list) else value
            elif value:
                raise ValueError(f"this release's {kind} has no '{key}'")
        for name, index in zip(group["names"], target["params"]):
            if group["step"] == 0 and kind in ("SGD", "Rprop", "ASGD"):
                # Their states begin with the first gradient, or with the rate of the first step.
                continue
            keys = {key: f"{name}.{key}" for key in STATES[kind]}
            states = {key: tensors[full].clone() for key, full in keys.items() if full in tensors}
            if kind == "Rprop":
                # The one class that counts in plain numbers.
                states["step"] = group["step"]
            elif kind != "SGD":
                states["step"] = torch.tensor(float(group["step"]))
            states.update({key: torch.tensor(group[key]) for key in MEMORY if key in group})
            result["state"][index] = states
    return result


def load(path, optimizer):
    """Loads a file into a torch optimizer and its parameters; gives the metadata, which `save` needs."""
    tensors, metadata = read(path)
    state = to_state_dict(tensors, metadata, optimizer)
    pairs = [
        (name, parameter)
        for group, own in zip(metadata["groups"], optimizer.param_groups)
        for name, parameter in zip(group["names"], own["params"])
    ]
    for name, parameter in pairs:
        if name in tensors and tensors[name].shape != parameter.shape:
            raise ValueError(f"{name} has shape {list(tensors[name].shape)}, not {list(parameter.shape)}")
    optimizer.load_state_dict(state)
    with torch.no_grad():
        for name, parameter in pairs:
            if name in tensors:
                parameter.copy_(tensors[name])
    return metadata


def save(path, optimizer, metadata, steps=None):
    """Writes a torch optimizer and its parameters to a file.

    metadata: what `load` gave: names, schedules and the rest that torch does not keep.
    steps: steps taken since `load`; needed for SGD, which does not count them.
    """
    tensors = {}
    groups = []
    for group, own in zip(metadata["groups"], optimizer.param_groups):
        config = {key: own[key] for key in group["config"] if key in own}
        config = {key: float(value) if key in ("lr", "initial_lr") else value for key, value in config.items()}
        counts = set()
        memory = {}
        for name, parameter in zip(group["names"], own["params"]):
            tensors[name] = parameter
            for key, value in optimizer.state.get(parameter, {}).items():
                if key == "step":
                    counts.add(int(value))
                elif key in MEMORY:
                    memory[key] = float(value)
                elif value is not None:
                    tensors[f"{name}.{key}"] = value
        if not counts:
            if steps is None:
                raise ValueError("SGD counts no steps: pass how many were taken since load")
            counts = {group["step"] + steps}
        if len(counts) > 1:
            raise ValueError(f"the parameters of a group have taken different numbers of steps: {counts}")
        groups.append({**group, **memory, "config": config, "step": counts.pop()})
    write(path, tensors, {**metadata, "groups": groups})
