"""Writes the vectors of the schedules of optax, Keras, TensorFlow 1 and Hugging Face, and of some of PyTorch's: the rates that
they give themselves, in float64.

    pip install optax jax keras tensorflow-cpu torch transformers
    python schedules.py [optax] [keras] [tensorflow1] [pytorch] [huggingface]

The format is schedules/1, of README.md. Left out are the cosines of Keras and TensorFlow 1: there π is a float32, so that
they agree to some 1e-6 only; published/schedules.json has figures of them.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")

HERE = Path(__file__).parent
STEPS = [*range(0, 40), 59, 60, 61, 99, 100, 101, 250, 1000]

cosine = dict(init_value=0.01, peak_value=0.5, warmup_steps=7, decay_steps=30, end_value=0.02)
OPTAX = {
    "constant_schedule": [dict(value=0.3)],
    "linear_schedule": [
        dict(init_value=0.1, end_value=0.5, transition_steps=20),
        dict(init_value=0.0, end_value=0.5, transition_steps=20, transition_begin=5),
        dict(init_value=0.5, end_value=0.1, transition_steps=-2, transition_begin=-5),
    ],
    "polynomial_schedule": [
        dict(init_value=0.5, end_value=0.1, power=2.5, transition_steps=20, transition_begin=3),
        dict(init_value=0.5, end_value=0.1, power=0.5, transition_steps=20, transition_begin=-3),
    ],
    "piecewise_constant_schedule": [
        dict(init_value=0.4, boundaries_and_scales={0: 0.5, 10: 0.1, 25: 4.0}),
        dict(init_value=0.4),
    ],
    "exponential_decay": [
        dict(init_value=0.5, transition_steps=7, decay_rate=0.6),
        dict(init_value=0.5, transition_steps=7, decay_rate=0.6, transition_begin=4, staircase=True),
        dict(init_value=0.5, transition_steps=7, decay_rate=0.6, end_value=0.2),
        dict(init_value=0.5, transition_steps=7, decay_rate=1.5, transition_begin=2, end_value=2.0),
        dict(init_value=0.5, transition_steps=7, decay_rate=1.0, end_value=0.1),
        dict(init_value=0.5, transition_steps=7, decay_rate=0.0),
        dict(init_value=0.5, transition_steps=0, decay_rate=0.5),
    ],
    "cosine_decay_schedule": [
        dict(init_value=0.5, decay_steps=30),
        dict(init_value=0.5, decay_steps=30, alpha=0.1, exponent=1.5),
    ],
    "piecewise_interpolate_schedule": [
        dict(interpolate_type="linear", init_value=0.2, boundaries_and_scales={0: 2.0, 10: 1.5, 30: 0.1}),
        dict(interpolate_type="cosine", init_value=0.2, boundaries_and_scales={8: 3.0, 9: 0.5, 35: 0.2}),
    ],
    "linear_onecycle_schedule": [
        dict(transition_steps=33, peak_value=0.5),
        dict(transition_steps=33, peak_value=0.5, pct_start=0.2, pct_final=0.7, div_factor=10.0, final_div_factor=50.0),
    ],
    "cosine_onecycle_schedule": [
        dict(transition_steps=33, peak_value=0.5),
        dict(transition_steps=33, peak_value=0.5, pct_start=0.4, div_factor=10.0, final_div_factor=50.0),
    ],
    "warmup_constant_schedule": [dict(init_value=0.0, peak_value=0.5, warmup_steps=9)],
    "warmup_cosine_decay_schedule": [cosine, {**cosine, "exponent": 2.0, "warmup_steps": 0}, {**cosine, "peak_value": 0.0}],
    "warmup_exponential_decay_schedule": [
        dict(init_value=0.0, peak_value=0.5, warmup_steps=6, transition_steps=5, decay_rate=0.7),
        dict(
            init_value=0.1, peak_value=0.5, warmup_steps=6, transition_steps=5, decay_rate=0.7,
            transition_begin=4, staircase=True, end_value=0.05,
        ),
    ],
    "sgdr_schedule": [dict(cosine_kwargs=[cosine, {**cosine, "peak_value": 0.25, "decay_steps": 60}])],
}

exponential = dict(initial_learning_rate=0.3, decay_steps=8, decay_rate=0.7)
KERAS = {
    "ExponentialDecay": [exponential, {**exponential, "staircase": True}],
    "InverseTimeDecay": [exponential, {**exponential, "staircase": True}],
    "PiecewiseConstantDecay": [dict(boundaries=[5, 20, 60], values=[0.0, 0.3, 0.2, 0.05])],
    "PolynomialDecay": [
        dict(initial_learning_rate=0.3, decay_steps=25),
        dict(initial_learning_rate=0.3, decay_steps=25, end_learning_rate=0.02, power=2.0, cycle=True),
        dict(initial_learning_rate=0.0, decay_steps=25, end_learning_rate=0.2, power=0.5),
    ],
}

decay = dict(learning_rate=0.3, decay_steps=8, decay_rate=0.7)
linear = dict(learning_rate=0.3, decay_steps=30)
TENSORFLOW1 = {
    "exponential_decay": [decay, {**decay, "staircase": True}],
    "natural_exp_decay": [decay, {**decay, "staircase": True}],
    "inverse_time_decay": [decay, {**decay, "staircase": True}],
    "polynomial_decay": [linear, {**linear, "end_learning_rate": 0.01, "power": 2.0, "cycle": True}],
}

RUN = 80
BASE_LR = 0.3
METRICS = [round(-3 + 2.5 * (1 - 0.9**step) + 0.02 * ((step * 7) % 5), 6) for step in range(RUN)]
REWARD = dict(mode="max", factor=0.5, patience=2)
PYTORCH = {
    "SWALR": [
        dict(swa_lr=0.05),
        dict(swa_lr=0.5, anneal_epochs=7, anneal_strategy="linear"),
        dict(swa_lr=0.05, anneal_epochs=1),
        dict(swa_lr=0.05, anneal_epochs=0),
    ],
    # Of metrics below 0, where PyTorch's margin turns around.
    "ReduceLROnPlateau": [
        REWARD,
        {**REWARD, "threshold": 0.02, "cooldown": 2},
        {**REWARD, "mode": "min", "threshold": 0.02},
        {**REWARD, "threshold": 0.02, "threshold_mode": "abs", "min_lr": 0.01},
    ],
}

lengths = dict(num_warmup_steps=8, num_training_steps=60)
cosine_min = {**lengths, "min_lr_rate": 0.1}
stable = dict(num_warmup_steps=8, num_decay_steps=16, num_stable_steps=20)
HUGGINGFACE = {
    "constant": [lengths, {}],
    "get_constant_schedule": [{}],
    "constant_with_warmup": [lengths],
    "get_constant_schedule_with_warmup": [dict(num_warmup_steps=8), dict(num_warmup_steps=0)],
    "linear": [lengths],
    "get_linear_schedule_with_warmup": [
        lengths,
        {**lengths, "num_warmup_steps": 0},
        {**lengths, "num_warmup_steps": 60},
        {**lengths, "num_warmup_steps": 70},
    ],
    "cosine": [lengths, {**lengths, "scheduler_specific_kwargs": dict(num_cycles=1.5)}],
    "get_cosine_schedule_with_warmup": [
        lengths,
        {**lengths, "num_cycles": 0.3},
        {**lengths, "num_cycles": 2.0, "num_warmup_steps": 0},
        {**lengths, "num_warmup_steps": 60},
        {**lengths, "num_warmup_steps": 70},
    ],
    "cosine_with_restarts": [lengths, {**lengths, "scheduler_specific_kwargs": dict(num_cycles=4)}],
    "get_cosine_with_hard_restarts_schedule_with_warmup": [
        lengths,
        {**lengths, "num_cycles": 3},
        {**lengths, "num_cycles": 5, "num_warmup_steps": 0},
        {**lengths, "num_warmup_steps": 60},
        {**lengths, "num_warmup_steps": 70},
    ],
    "polynomial": [lengths],
    "get_polynomial_decay_schedule_with_warmup": [
        lengths,
        {**lengths, "lr_end": 0.01, "power": 2.0},
        {**lengths, "lr_end": 0.0, "power": 0.5, "num_warmup_steps": 0},
        {**lengths, "lr_end": 0.02, "num_warmup_steps": 70},
    ],
    "inverse_sqrt": [lengths, {**lengths, "scheduler_specific_kwargs": dict(timescale=20)}],
    "get_inverse_sqrt_schedule": [
        dict(num_warmup_steps=8),
        dict(num_warmup_steps=0),
        dict(num_warmup_steps=8, timescale=3),
        dict(num_warmup_steps=8, timescale=100),
    ],
    "warmup_stable_decay": [
        {**lengths, "scheduler_specific_kwargs": dict(num_decay_steps=16)},
        {**lengths, "scheduler_specific_kwargs": dict(num_decay_steps=16, num_stable_steps=5)},
    ],
    "get_wsd_schedule": [
        *[
            {**stable, "warmup_type": kind, "decay_type": kind, "min_lr_ratio": least}
            for kind in ["linear", "cosine", "1-sqrt"]
            for least in [0.0, 0.2]
        ],
        {**stable, "num_cycles": 1.5, "min_lr_ratio": 0.1},
        {**stable, "num_warmup_steps": 0},
        {**stable, "num_stable_steps": 0, "decay_type": "linear"},
        {**stable, "num_decay_steps": 0, "min_lr_ratio": 0.1},
        dict(num_warmup_steps=8, num_decay_steps=16, num_training_steps=60),
        dict(num_warmup_steps=8, num_decay_steps=52, num_training_steps=60, decay_type="1-sqrt"),
    ],
    "cosine_with_min_lr": [{**lengths, "scheduler_specific_kwargs": dict(min_lr=0.02)}],
    "get_cosine_with_min_lr_schedule_with_warmup": [
        cosine_min,
        {**lengths, "min_lr": 0.02},
        {**cosine_min, "num_cycles": 1.25, "num_warmup_steps": 0},
        {**cosine_min, "num_warmup_steps": 70},
    ],
    "cosine_warmup_with_min_lr": [
        {**lengths, "scheduler_specific_kwargs": dict(min_lr_rate=0.1, warmup_lr_rate=0.05)},
    ],
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate": [
        cosine_min,
        {**lengths, "min_lr": 0.02, "warmup_lr_rate": 0.2},
        {**cosine_min, "num_cycles": 1.25, "num_warmup_steps": 0},
        {**cosine_min, "num_warmup_steps": 1},
        {**cosine_min, "num_warmup_steps": 1, "warmup_lr_rate": 0.2},
        {**cosine_min, "num_warmup_steps": 2, "warmup_lr_rate": 0.2},
        {**cosine_min, "num_warmup_steps": 70},
    ],
    "reduce_lr_on_plateau": [{**lengths, "scheduler_specific_kwargs": REWARD}],
    "get_reduce_on_plateau_schedule": [{**REWARD, "threshold": 0.02}],
}


def optax_rates():
    import optax

    def rates(name, params):
        schedule = getattr(optax, name)(**params)
        return [float(schedule(step)) for step in STEPS]

    return f"optax {optax.__version__} on JAX, float64", OPTAX, rates


def keras_rates():
    import keras

    keras.config.set_floatx("float64")

    def rates(name, params):
        schedule = getattr(keras.optimizers.schedules, name)(**params)
        return [float(schedule(step)) for step in STEPS]

    return f"Keras {keras.__version__} on JAX, float64", KERAS, rates


def tensorflow1_rates():
    import tensorflow as tf

    def rates(name, params):
        function = getattr(tf.compat.v1.train, name)
        # A Python number would become a float32 first.
        double = {key: tf.constant(value, tf.float64) if isinstance(value, float) else value for key, value in params.items()}
        if name == "polynomial_decay" and "end_learning_rate" not in params:
            double["end_learning_rate"] = tf.constant(0.0001, tf.float64)
        return [float(function(**double, global_step=step)()) for step in STEPS]

    return f"TensorFlow {tf.__version__}, tf.compat.v1.train, float64", TENSORFLOW1, rates


def run(make, reports):
    """The rate of every step of a run."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=BASE_LR)
    scheduler = make(optimizer)
    learning_rates = []
    for step in range(RUN):
        learning_rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step(*([METRICS[step]] if reports else []))
    return dict(
        base_lr=BASE_LR, steps=list(range(RUN)), learning_rates=learning_rates, **(dict(metrics=METRICS) if reports else {})
    )


def pytorch_rates():
    import torch
    from torch.optim.swa_utils import SWALR

    def rates(name, params):
        schedule = SWALR if name == "SWALR" else getattr(torch.optim.lr_scheduler, name)
        return run(lambda optimizer: schedule(optimizer, **params), name == "ReduceLROnPlateau")

    return f"PyTorch {torch.__version__}, float64", PYTORCH, rates


def huggingface_rates():
    import transformers
    from transformers import optimization

    def rates(name, params):
        schedule = getattr(optimization, name, None) or (
            lambda optimizer, **kwargs: optimization.get_scheduler(name, optimizer, **kwargs)
        )
        return run(lambda optimizer: schedule(optimizer, **params), "plateau" in name)

    return f"transformers {transformers.__version__}, float64", HUGGINGFACE, rates


def write(framework, source, schedules, rates):
    cases = [
        dict(
            id=f"{framework}/schedule/{name}-{index}",
            schedule=name,
            params=params,
            **(given if isinstance(given, dict) else dict(steps=STEPS, learning_rates=given)),
        )
        for name, variants in schedules.items()
        for index, params in enumerate(variants)
        for given in [rates(name, params)]
    ]
    path = HERE / framework / "schedules" / f"{framework}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(format="schedules/1", framework=framework, source=source, cases=cases)
    path.write_text(json.dumps(content) + "\n")


frameworks = dict(
    optax=optax_rates,
    keras=keras_rates,
    tensorflow1=tensorflow1_rates,
    pytorch=pytorch_rates,
    huggingface=huggingface_rates,
)
for framework in sys.argv[1:] or frameworks:
    write(framework, *frameworks[framework]())
