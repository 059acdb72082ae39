"""Writes the vectors of the schedules of optax, Keras and TensorFlow 1: the rates that they give themselves, in float64.

    pip install optax jax keras tensorflow-cpu
    python schedules.py [optax] [keras] [tensorflow1]

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


def write(framework, source, schedules, rates):
    cases = [
        dict(
            id=f"{framework}/schedule/{name}-{index}",
            schedule=name,
            params=params,
            steps=STEPS,
            learning_rates=rates(name, params),
        )
        for name, variants in schedules.items()
        for index, params in enumerate(variants)
    ]
    path = HERE / framework / "schedules" / f"{framework}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dict(format="schedules/1", framework=framework, source=source, cases=cases)
    path.write_text(json.dumps(content) + "\n")


frameworks = dict(optax=optax_rates, keras=keras_rates, tensorflow1=tensorflow1_rates)
for framework in sys.argv[1:] or frameworks:
    write(framework, *frameworks[framework]())
