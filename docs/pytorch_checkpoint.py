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

# Numbers that torch keeps for each parameter, and the file once for all that have taken the same steps.
MEMORY = ("mu_product", "eta", "mu")


def read(path):
    """The file's tensors by name, all float32, and its metadata, with the groups parsed."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    if metadata.get("format") != "webgpu-optim-pytorch" or metadata.get("format_version") not in ("1", "2"):
        raise ValueError(f"{path} is not of format webgpu-optim-pytorch, version 1 or 2")
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


def counts(group):
    """By name, what is counted for a parameter: `step` and the numbers of MEMORY."""
    cohorts = group.get("cohorts") or [{**group, "names": group["names"]}]
    return {
        name: {key: cohort[key] for key in ("step", *MEMORY) if key in cohort}
        for cohort in cohorts
        for name in cohort["names"]
    }


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
        counted = counts(group)
        for name, index in zip(group["names"], target["params"]):
            count = counted[name]["step"]
            if count == 0 and kind != "Adagrad":
                # As torch has it: states begin with the first gradient.
                continue
            keys = {key: f"{name}.{key}" for key in STATES[kind]}
            states = {key: tensors[full].clone() for key, full in keys.items() if full in tensors}
            if kind == "Rprop":
                # The one class that counts in plain numbers.
                states["step"] = count
            elif kind != "SGD":
                states["step"] = torch.tensor(float(count))
            states.update({key: torch.tensor(counted[name][key]) for key in MEMORY if key in counted[name]})
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

    Parameters may have taken different numbers of steps, or none: those that torch keeps nothing of begin anew. A rate that
    was edited beside `initial_lr` is the rate of the next step.

    metadata: what `load` gave: names, schedules and the rest that torch does not keep.
    steps: steps taken since `load`; needed for SGD, which does not count them.
    """
    tensors = {}
    groups = []
    for group, own in zip(metadata["groups"], optimizer.param_groups):
        keys = [*group["config"], *(["initial_lr"] if "initial_lr" in own else [])]
        config = {key: own[key] for key in keys if key in own}
        config = {key: float(value) if key in ("lr", "initial_lr") else value for key, value in config.items()}
        before = counts(group)
        after = {}
        for name, parameter in zip(group["names"], own["params"]):
            tensors[name] = parameter
            count = {}
            for key, value in optimizer.state.get(parameter, {}).items():
                if key == "step":
                    count["step"] = int(value)
                elif key in MEMORY:
                    count[key] = float(value)
                elif value is not None:
                    tensors[f"{name}.{key}"] = value
            if "step" not in count:
                count["step"] = 0
                if type(optimizer).__name__ == "SGD" and (not own["momentum"] or f"{name}.momentum_buffer" in tensors):
                    if steps is None:
                        raise ValueError("SGD counts no steps: pass how many were taken since load")
                    count["step"] = before[name]["step"] + steps
            after[name] = {**{key: value for key, value in before[name].items() if key in MEMORY}, **count}
        # The schedules go on with the run, which some parameters may have missed.
        new = [after[name]["step"] - before[name]["step"] for name in after]
        run = group["step"] + (max([0, *new]) if steps is None else steps)
        cohorts = {}
        for name, count in after.items():
            cohorts.setdefault(tuple(sorted(count.items())), []).append(name)
        entry = {key: value for key, value in group.items() if key not in (*MEMORY, "cohorts")}
        entry = {**entry, "config": config, "step": run, **dict(next(iter(cohorts), ()))}
        if len(cohorts) > 1 or entry["step"] != run:
            entry["cohorts"] = [{"names": names, **dict(count)} for count, names in cohorts.items()]
        groups.append({**entry, "step": run})
    version = "2" if any("cohorts" in group for group in groups) else "1"
    write(path, tensors, {**metadata, "format_version": version, "groups": groups})
