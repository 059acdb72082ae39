"""Writes the vectors of optax, Keras and TensorFlow 1: runs of their own optimizers in float64.

    pip install optax jax keras tensorflow-cpu
    python frameworks.py

Of TensorFlow 1 these are the kernels that tf.train and tf.contrib.opt call: the classes round hyperparameters to f32.

The format is that of README.md. Gradients change sign, shrink, hold exact zeros, and are float32-representable; the
rate falls to a quarter in mid-run, so that a rate inside a buffer is told from one outside.
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import optax.contrib
import tensorflow as tf

STEPS = 20
KEPT = (1, 2, 3, 5, 10, 20)
SHAPES = {"w": [2, 3], "b": [5]}
HERE = Path(__file__).parent


def rounded(values):
    return np.asarray(values, dtype=np.float32).astype(np.float64)


def inputs():
    random = np.random.default_rng(20)
    initial = {name: rounded(random.normal(size=shape)) for name, shape in SHAPES.items()}
    gradients = []
    for step in range(STEPS):
        row = {name: random.normal(size=shape) * 0.85**step for name, shape in SHAPES.items()}
        row["w"][0, 0] = 0  # never a gradient
        row["b"][step % 5] = 0  # now and then none
        row["b"][4] = abs(row["b"][4])
        gradients.append({name: rounded(values) for name, values in row.items()})
    return initial, gradients


INITIAL, GRADIENTS = inputs()


def case(name, optimizer, config, rate, run):
    # Schedule-Free weighs its average by the largest rate so far, which is another rule once the rate has fallen; Rprop's
    # rate is its first step size.
    falls = optimizer not in ("schedule_free_sgd", "schedule_free_adamw", "rprop")
    rates = [rate / 4 if falls and step >= STEPS // 2 else rate for step in range(STEPS)]
    parameters = run(rates)
    listed = lambda tensors: {key: np.asarray(value).reshape(-1).tolist() for key, value in tensors.items()}
    return {
        "id": name,
        "optimizer": optimizer,
        "config": {"learning_rate": rate, **config},
        "learning_rates": rates,
        "tensors": SHAPES,
        "initial": listed(INITIAL),
        "gradients": [listed(row) for row in GRADIENTS],
        "expected": {str(step): listed(parameters[step - 1]) for step in KEPT},
    }


# The vectors hold no estimates: Sophia divides by ε alone.
no_curvature = optax.GradientTransformationExtraArgs(
    lambda parameters: optax.EmptyState(),
    lambda updates, state, parameters=None, **_: (jax.tree.map(jnp.zeros_like, updates), state),
)


def of_optax(name, config, rate):
    def run(rates):
        table = jnp.asarray(rates)
        make = getattr(optax, name, None) or getattr(optax.contrib, name)
        falls = rates[-1] != rates[0]
        more = {"hessian_diagonal_fn": no_curvature} if name == "sophia" else {}
        transform = make(learning_rate=(lambda count: table[count]) if falls else rate, **config, **more)
        parameters = {key: jnp.asarray(value) for key, value in INITIAL.items()}
        state = transform.init(parameters)
        after = []
        for row in GRADIENTS:
            updates, state = transform.update({k: jnp.asarray(v) for k, v in row.items()}, state, parameters)
            parameters = optax.apply_updates(parameters, updates)
            after.append(parameters)
        return after

    return run


def of_keras(name, config, rate):
    def run(rates):
        keras.config.set_floatx("float64")
        optimizer = getattr(keras.optimizers, name)(learning_rate=rate, **config)
        variables = {key: keras.Variable(value, dtype="float64") for key, value in INITIAL.items()}
        after = []
        for rate_now, row in zip(rates, GRADIENTS):
            optimizer.learning_rate = rate_now
            optimizer.apply([jnp.asarray(row[key]) for key in variables], list(variables.values()))
            after.append({key: np.array(variable) for key, variable in variables.items()})
        return after

    return run


OPTAX = {
    "sgd": ("sgd", {}, 0.05),
    "sgd_momentum": ("sgd", {"momentum": 0.9}, 0.02),
    "sgd_nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}, 0.02),
    "adagrad": ("adagrad", {}, 0.1),
    "adagrad_from_zero": ("adagrad", {"initial_accumulator_value": 0.0, "eps": 1e-3}, 0.1),
    "rmsprop": ("rmsprop", {}, 0.01),
    "rmsprop_eps_outside": ("rmsprop", {"eps_in_sqrt": False, "eps": 1e-3}, 0.01),
    "rmsprop_initial_scale": ("rmsprop", {"initial_scale": 1.0}, 0.01),
    "rmsprop_bias_correction": ("rmsprop", {"bias_correction": True}, 0.01),
    "rmsprop_centered": ("rmsprop", {"centered": True, "eps": 1e-4}, 0.01),
    "rmsprop_momentum": ("rmsprop", {"momentum": 0.9}, 0.005),
    "rmsprop_nesterov": ("rmsprop", {"momentum": 0.9, "nesterov": True}, 0.005),
    "rmsprop_momentum_bias_correction": ("rmsprop", {"momentum": 0.8, "bias_correction": True}, 0.005),
    "rmsprop_centered_nesterov": (
        "rmsprop",
        {"centered": True, "momentum": 0.9, "nesterov": True, "eps": 1e-3, "initial_scale": 0.5},
        0.005,
    ),
    "adadelta": ("adadelta", {}, 1.0),
    "adadelta_weight_decay": ("adadelta", {"rho": 0.95, "weight_decay": 0.1}, 0.5),
    "adam": ("adam", {}, 0.01),
    "adam_eps_root": ("adam", {"eps_root": 1e-2}, 0.01),
    "adam_nesterov": ("adam", {"nesterov": True}, 0.01),
    "nadam": ("nadam", {"b1": 0.8, "eps_root": 1e-3}, 0.01),
    "adamw": ("adamw", {}, 0.01),
    "adamw_weight_decay": ("adamw", {"weight_decay": 0.1, "b2": 0.99}, 0.01),
    "nadamw": ("nadamw", {"weight_decay": 0.1}, 0.01),
    "amsgrad": ("amsgrad", {"b2": 0.9}, 0.01),
    "amsgrad_eps_root": ("amsgrad", {"b2": 0.95, "eps_root": 1e-3}, 0.01),
    "adamax": ("adamax", {}, 0.01),
    "adamax_eps": ("adamax", {"eps": 0.1, "b2": 0.9}, 0.01),
    "adamaxw": ("adamaxw", {"weight_decay": 0.1}, 0.01),
    "radam": ("radam", {}, 0.01),
    "radam_threshold": ("radam", {"b2": 0.95, "threshold": 4.5, "eps": 1e-3}, 0.01),
    "lion": ("lion", {}, 0.01),
    "lion_weight_decay": ("lion", {"b1": 0.8, "b2": 0.9, "weight_decay": 0.1}, 0.01),
    "sign_sgd": ("sign_sgd", {}, 0.01),
    "signum": ("signum", {"beta": 0.8}, 0.01),
    "adabelief": ("adabelief", {"eps": 1e-8, "eps_root": 1e-8}, 0.01),
    "adabelief_eps_root": ("adabelief", {"b1": 0.8, "eps_root": 1e-3}, 0.01),
    "yogi": ("yogi", {}, 0.01),
    "adan": ("adan", {}, 0.01),
    "adan_weight_decay": ("adan", {"b1": 0.9, "b2": 0.8, "eps_root": 1e-3, "weight_decay": 0.1}, 0.01),
    "novograd": ("novograd", {}, 0.01),
    "novograd_weight_decay": ("novograd", {"b2": 0.9, "weight_decay": 0.1}, 0.01),
    "lars": ("lars", {}, 0.5),
    "lars_weight_decay": ("lars", {"weight_decay": 0.1, "trust_coefficient": 0.02, "eps": 0.1, "momentum": 0.8}, 0.5),
    "lars_nesterov": ("lars", {"weight_decay": 0.1, "trust_coefficient": 0.01, "nesterov": True}, 0.5),
    "lamb": ("lamb", {}, 0.01),
    "lamb_weight_decay": ("lamb", {"b1": 0.8, "b2": 0.95, "eps": 1e-2, "eps_root": 1e-3, "weight_decay": 0.1}, 0.01),
    "fromage": ("fromage", {}, 0.01),
    "fromage_min_norm": ("fromage", {"min_norm": 0.7}, 0.05),
    "ademamix": ("ademamix", {}, 0.01),
    "ademamix_weight_decay": ("ademamix", {"b3": 0.99, "alpha": 2.0, "weight_decay": 0.1}, 0.01),
    "schedule_free_sgd": ("schedule_free_sgd", {}, 0.1),
    "schedule_free_sgd_weight_decay": ("schedule_free_sgd", {"b1": 0.8, "weight_decay": 0.1}, 0.1),
    "schedule_free_adamw": ("schedule_free_adamw", {}, 0.01),
    "schedule_free_adamw_weight_decay": (
        "schedule_free_adamw",
        {"b1": 0.8, "b2": 0.9, "eps": 1e-2, "weight_decay": 0.1},
        0.01,
    ),
    "rprop": ("rprop", {}, 0.01),
    "rprop_bounds": ("rprop", {"eta_minus": 0.4, "eta_plus": 1.3, "min_step_size": 5e-3, "max_step_size": 0.015}, 0.01),
    "sophia": ("sophia", {}, 0.01),
    "sophia_clip": ("sophia", {"b1": 0.9, "eps": 0.5, "clip_threshold": 0.7, "weight_decay": 0.1}, 0.01),
    "prodigy": ("prodigy", {}, 1.0),
    "prodigy_distance": (
        "prodigy",
        {"betas": [0.8, 0.95], "beta3": 0.9, "eps": 0.1, "estim_lr0": 1e-2, "estim_lr_coef": 30.0, "weight_decay": 0.1},
        0.5,
    ),
    "prodigy_safeguard": ("prodigy", {"estim_lr0": 1e-3, "estim_lr_coef": 12.0, "safeguard_warmup": True}, 0.5),
}

KERAS = {
    "SGD": ("SGD", {}, 0.05),
    "SGD_momentum": ("SGD", {"momentum": 0.9}, 0.02),
    "SGD_nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}, 0.02),
    "SGD_weight_decay": ("SGD", {"momentum": 0.9, "weight_decay": 0.1}, 0.02),
    "Adagrad": ("Adagrad", {}, 0.1),
    "Adagrad_epsilon": ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-3}, 0.1),
    "RMSprop": ("RMSprop", {}, 0.01),
    "RMSprop_centered": ("RMSprop", {"centered": True, "epsilon": 1e-4}, 0.01),
    "RMSprop_momentum": ("RMSprop", {"momentum": 0.9}, 0.005),
    "RMSprop_centered_momentum": ("RMSprop", {"centered": True, "momentum": 0.8, "epsilon": 1e-3}, 0.005),
    "Adadelta": ("Adadelta", {}, 1.0),
    "Adam": ("Adam", {}, 0.01),
    "Adam_epsilon": ("Adam", {"epsilon": 1e-2, "beta_1": 0.8}, 0.01),
    "Adam_amsgrad": ("Adam", {"amsgrad": True, "beta_2": 0.9, "epsilon": 1e-3}, 0.01),
    "AdamW": ("AdamW", {}, 0.01),
    "AdamW_weight_decay": ("AdamW", {"weight_decay": 0.1, "beta_2": 0.99}, 0.01),
    "Adamax": ("Adamax", {}, 0.01),
    "Adamax_epsilon": ("Adamax", {"epsilon": 0.1, "beta_2": 0.9}, 0.01),
    "Nadam": ("Nadam", {}, 0.01),
    "Nadam_weight_decay": ("Nadam", {"weight_decay": 0.1, "beta_1": 0.8}, 0.01),
    "Lion": ("Lion", {}, 0.01),
    "Lion_weight_decay": ("Lion", {"beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1}, 0.01),
    "Lamb": ("Lamb", {}, 0.01),
    "Lamb_weight_decay": ("Lamb", {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-2, "weight_decay": 0.1}, 0.1),
    "Ftrl": ("Ftrl", {}, 0.1),
    "Ftrl_regularized": (
        "Ftrl",
        {
            "initial_accumulator_value": 0.5,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.01,
            "beta": 0.3,
        },
        0.1,
    ),
}


def of_tensorflow1(name, config, rate):
    apply, slots = TENSORFLOW1_KERNELS[name]

    def run(rates):
        constant = lambda value: tf.constant(value, tf.float64)
        variables = {key: tf.Variable(value) for key, value in INITIAL.items()}
        kept = {
            key: [tf.Variable(tf.fill(value.shape, constant(start(config)))) for start in slots]
            for key, value in INITIAL.items()
        }
        after = []
        for step, (rate_now, row) in enumerate(zip(rates, GRADIENTS)):
            for key, variable in variables.items():
                handles = [slot.handle for slot in kept[key]]
                apply(variable.handle, handles, constant(rate_now), constant(row[key]), config, constant, step + 1)
            after.append({key: variable.numpy() for key, variable in variables.items()})
        return after

    return run


ops = tf.raw_ops
zero = lambda config: 0.0


def gradient_descent(var, slots, rate, gradient, config, constant, t):
    ops.ResourceApplyGradientDescent(var=var, alpha=rate, delta=gradient)


def momentum(var, slots, rate, gradient, config, constant, t):
    ops.ResourceApplyMomentum(
        var=var,
        accum=slots[0],
        lr=rate,
        grad=gradient,
        momentum=constant(config["momentum"]),
        use_nesterov=config.get("use_nesterov", False),
    )


def adagrad(var, slots, rate, gradient, config, constant, t):
    ops.ResourceApplyAdagrad(var=var, accum=slots[0], lr=rate, grad=gradient)


def rmsprop(var, slots, rate, gradient, config, constant, t):
    ms, mom, mg = slots
    common = dict(
        var=var,
        ms=ms,
        mom=mom,
        lr=rate,
        rho=constant(config.get("decay", 0.9)),
        momentum=constant(config.get("momentum", 0.0)),
        epsilon=constant(config.get("epsilon", 1e-10)),
        grad=gradient,
    )
    if config.get("centered"):
        ops.ResourceApplyCenteredRMSProp(mg=mg, **common)
    else:
        ops.ResourceApplyRMSProp(**common)


def adadelta(var, slots, rate, gradient, config, constant, t):
    ops.ResourceApplyAdadelta(
        var=var,
        accum=slots[0],
        accum_update=slots[1],
        lr=rate,
        rho=constant(config.get("rho", 0.95)),
        epsilon=constant(config.get("epsilon", 1e-8)),
        grad=gradient,
    )


def adam_arguments(config, constant, t):
    beta1, beta2 = config.get("beta1", 0.9), config.get("beta2", 0.999)
    return dict(
        beta1_power=constant(beta1**t),
        beta1=constant(beta1),
        beta2=constant(beta2),
        epsilon=constant(config.get("epsilon", 1e-8)),
    ), constant(beta2**t)


def adam(var, slots, rate, gradient, config, constant, t, nesterov=False):
    arguments, beta2_power = adam_arguments(config, constant, t)
    m, v = slots
    ops.ResourceApplyAdam(
        var=var, m=m, v=v, lr=rate, grad=gradient, beta2_power=beta2_power, use_nesterov=nesterov, **arguments
    )


def nadam(*arguments):
    adam(*arguments, nesterov=True)


def adamax(var, slots, rate, gradient, config, constant, t):
    arguments, _ = adam_arguments(config, constant, t)
    m, v = slots
    ops.ResourceApplyAdaMax(var=var, m=m, v=v, lr=rate, grad=gradient, **arguments)


def ftrl(var, slots, rate, gradient, config, constant, t):
    accum, linear = slots
    ops.ResourceApplyFtrlV2(
        var=var,
        accum=accum,
        linear=linear,
        grad=gradient,
        lr=rate,
        l1=constant(config.get("l1_regularization_strength", 0.0)),
        l2=constant(config.get("l2_regularization_strength", 0.0)),
        l2_shrinkage=constant(config.get("l2_shrinkage_regularization_strength", 0.0)),
        lr_power=constant(config.get("learning_rate_power", -0.5)),
    )


TENSORFLOW1_KERNELS = {
    "GradientDescent": (gradient_descent, []),
    "Momentum": (momentum, [zero]),
    "Adagrad": (adagrad, [lambda config: config.get("initial_accumulator_value", 0.1)]),
    "RMSProp": (rmsprop, [lambda config: 1.0, zero, zero]),
    "Adadelta": (adadelta, [zero, zero]),
    "Adam": (adam, [zero, zero]),
    "Nadam": (nadam, [zero, zero]),
    "AdaMax": (adamax, [zero, zero]),
    "Ftrl": (ftrl, [lambda config: config.get("initial_accumulator_value", 0.1), zero]),
}

TENSORFLOW1 = {
    "GradientDescent": ("GradientDescent", {}, 0.05),
    "Momentum": ("Momentum", {"momentum": 0.9}, 0.02),
    "Momentum_nesterov": ("Momentum", {"momentum": 0.9, "use_nesterov": True}, 0.02),
    "Adagrad": ("Adagrad", {}, 0.1),
    "RMSProp": ("RMSProp", {}, 0.01),
    "RMSProp_epsilon": ("RMSProp", {"decay": 0.8, "epsilon": 1e-2}, 0.01),
    "RMSProp_momentum": ("RMSProp", {"momentum": 0.9}, 0.005),
    "RMSProp_centered": ("RMSProp", {"centered": True, "epsilon": 1e-4}, 0.01),
    "RMSProp_centered_momentum": ("RMSProp", {"centered": True, "momentum": 0.8, "epsilon": 1e-3}, 0.005),
    "Adadelta": ("Adadelta", {}, 1.0),
    "Adadelta_epsilon": ("Adadelta", {"rho": 0.8, "epsilon": 1e-3}, 0.5),
    "Adam": ("Adam", {}, 0.01),
    "Adam_epsilon": ("Adam", {"epsilon": 1e-2, "beta1": 0.8, "beta2": 0.95}, 0.01),
    "Nadam": ("Nadam", {}, 0.01),
    "Nadam_epsilon": ("Nadam", {"epsilon": 1e-2, "beta1": 0.8, "beta2": 0.95}, 0.01),
    "AdaMax": ("AdaMax", {}, 0.01),
    "AdaMax_epsilon": ("AdaMax", {"epsilon": 0.1, "beta2": 0.9}, 0.01),
    "Ftrl": ("Ftrl", {}, 0.1),
    "Ftrl_regularized": (
        "Ftrl",
        {
            "initial_accumulator_value": 0.5,
            "l1_regularization_strength": 0.05,
            "l2_regularization_strength": 0.1,
            "l2_shrinkage_regularization_strength": 0.01,
        },
        0.1,
    ),
}


def write(framework, version, table, maker):
    cases = []
    for name, (optimizer, config, rate) in table.items():
        run = maker(optimizer, config, rate)
        cases.append(case(f"{framework}/{name}", optimizer, config, rate, run))
    content = {
        "format": "optimizer-trajectories/1",
        "framework": framework,
        "source": f"{framework} {version}, float64",
        "cases": cases,
    }
    path = HERE / framework / "optimizers" / f"{framework}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n")
    print(path.name, len(cases))


write("optax", optax.__version__, OPTAX, of_optax)
write("keras", keras.__version__, KERAS, of_keras)
write("tensorflow1", tf.__version__, TENSORFLOW1, of_tensorflow1)
