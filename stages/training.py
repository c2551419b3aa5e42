"""A training loop that compiles: one epoch of mini-batches is one XLA graph.

In: a Keras model, the name of a Keras optimizer, arrays. Out: trained weights and the history that
`model.fit` would report; the mathematics are those of `model.fit` on the same batches.
"""

from collections.abc import Callable, Iterable

from stages.backend import keras, tf

import numpy as np
from keras.src.optimizers.base_optimizer import BaseOptimizer

SUPPORTED = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "lion", "ftrl")
SCORING_BATCH = 256  # rows scored at once: the embedded batch stays within a CPU's cache

Weights = list[np.ndarray]


def make_optimizer(name: str, learning_rate: float) -> keras.Optimizer:
    """Keras's own optimizer, with the `stateless_apply` that the TensorFlow backend turns off.

    Raises ValueError for a name that is not in SUPPORTED.
    """
    if name not in SUPPORTED:
        raise ValueError(f"train.optimizer is {name!r}: choose one of {', '.join(SUPPORTED)}")
    keras_class = type(keras.optimizers.get(name))
    # The backend replaces these for tf.distribute, which wants a tf.Variable where we have tensors.
    methods = ("assign", "assign_add", "assign_sub", "stateless_apply")
    methods += ("_var_key", "_backend_update_step", "_apply_weight_decay")
    general = {method: getattr(BaseOptimizer, method) for method in methods}
    return type(keras_class.__name__, (keras_class,), general)(learning_rate=learning_rate)


def initial_weights(model: keras.Model, seed: int, matrix: np.ndarray) -> Weights:
    """Weights as `model.get_weights()` orders them: `matrix` embeds, Keras draws the rest."""
    keras.utils.set_random_seed(seed)
    drawn = keras.models.clone_model(model)
    drawn.get_layer("embedding").set_weights([matrix])
    return drawn.get_weights()


def compile_fit(
    model: keras.Model, optimizer_name: str, learning_rate: float, batch_size: int
) -> Callable[..., tuple[Weights, list[dict[str, float]]]]:
    """Returns `fit`, compiled at its first call and again only for arrays of another shape."""
    optimizer = make_optimizer(optimizer_name, learning_rate)
    trained, frozen = model.trainable_variables, model.non_trainable_variables
    optimizer.build(trained)
    slots = optimizer.variables

    def score(trained_values, frozen_values, tokens, labels):
        probability, _ = model.stateless_call(trained_values, frozen_values, tokens)
        loss = keras.losses.binary_crossentropy(labels[:, None], probability)
        correct = tf.equal(probability[:, 0] > 0.5, labels > 0.5)
        return loss, tf.cast(correct, tf.float32)

    def batch_of(tokens, labels, rows):
        """Rows numbered -1 fill the last batch: they weigh nothing."""
        weight = tf.cast(rows >= 0, tf.float32)
        rows = tf.maximum(rows, 0)
        return tf.gather(tokens, rows), tf.gather(labels, rows), weight

    def step(trained_values, slot_values, frozen_values, tokens, labels, weight):
        with tf.GradientTape() as tape:
            tape.watch(trained_values)
            losses, correct = score(trained_values, frozen_values, tokens, labels)
            loss = tf.reduce_sum(losses * weight) / tf.reduce_sum(weight)
        gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, trained_values)]
        trained_values, slot_values = optimizer.stateless_apply(
            slot_values, gradients, trained_values
        )
        totals = tf.stack([tf.reduce_sum(losses * weight), tf.reduce_sum(correct * weight)])
        return trained_values, slot_values, totals

    @tf.function(jit_compile=True)
    def epoch(trained_values, slot_values, frozen_values, x, y, order, x_val, y_val, val_order):
        def train_batch(i, trained_values, slot_values, totals):
            batch = batch_of(x, y, order[i])
            trained_values, slot_values, batch_totals = step(
                trained_values, slot_values, frozen_values, *batch
            )
            return i + 1, trained_values, slot_values, totals + batch_totals

        def validate_batch(i, totals):
            tokens, labels, weight = batch_of(x_val, y_val, val_order[i])
            losses, correct = score(trained_values, frozen_values, tokens, labels)
            batch_totals = [tf.reduce_sum(losses * weight), tf.reduce_sum(correct * weight)]
            return i + 1, totals + tf.stack(batch_totals)

        _, trained_values, slot_values, totals = tf.while_loop(
            lambda i, *_: i < order.shape[0],
            train_batch,
            (0, trained_values, slot_values, tf.zeros(2)),
        )
        _, val_totals = tf.while_loop(
            lambda i, _: i < val_order.shape[0], validate_batch, (0, tf.zeros(2))
        )
        return trained_values, slot_values, totals / len(y), val_totals / len(y_val)

    def fit(
        initial: Weights,
        x: np.ndarray,
        y: np.ndarray,
        x_val: np.ndarray,
        y_val: np.ndarray,
        orders: Iterable[np.ndarray],
        on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    ) -> tuple[Weights, list[dict[str, float]]]:
        """Trains one epoch per order, from `initial` weights and a fresh optimizer.

        x (n, maxlen) int32, y (n,) 0 or 1; each of `orders` is a permutation (n,) int of the rows.
        `on_epoch` gets each row of the history: loss, accuracy, val_loss, val_accuracy.
        """
        value_of = {v.path: tf.constant(w) for v, w in zip(model.weights, initial, strict=True)}
        trained_values = [value_of[v.path] for v in trained]
        frozen_values = [value_of[v.path] for v in frozen]
        slot_values = [tf.convert_to_tensor(v.value) for v in slots]
        data = tf.constant(x, tf.int32), tf.constant(y, tf.float32)
        validation = tf.constant(x_val, tf.int32), tf.constant(y_val, tf.float32)
        val_order = in_batches(np.arange(len(y_val)), SCORING_BATCH)
        history = []
        for order in orders:
            trained_values, slot_values, train_means, val_means = epoch(
                trained_values, slot_values, frozen_values,
                *data, in_batches(order, batch_size), *validation, val_order,
            )  # fmt: skip
            names = ("loss", "accuracy", "val_loss", "val_accuracy")
            history.append(dict(zip(names, map(float, [*train_means, *val_means]))))
            on_epoch(history[-1])
        value_of |= {v.path: value for v, value in zip(trained, trained_values)}
        return [value_of[v.path].numpy() for v in model.weights], history

    return fit


def compile_predict(model: keras.Model) -> Callable[[Weights, np.ndarray], np.ndarray]:
    """Returns `predict(weights, x)`: (n, maxlen) int32 -> probabilities (n,) float32."""
    trained, frozen = model.trainable_variables, model.non_trainable_variables

    @tf.function(jit_compile=True)
    def score(trained_values, frozen_values, x):
        return tf.map_fn(
            lambda batch: model.stateless_call(trained_values, frozen_values, batch)[0][:, 0],
            x,
            fn_output_signature=tf.float32,
        )

    def predict(weights: Weights, x: np.ndarray) -> np.ndarray:
        value_of = {v.path: tf.constant(w) for v, w in zip(model.weights, weights, strict=True)}
        batches = np.asarray(x, np.int32)[
            np.maximum(in_batches(np.arange(len(x)), SCORING_BATCH), 0)
        ]
        values = [[value_of[v.path] for v in group] for group in (trained, frozen)]
        return score(*values, batches).numpy().reshape(-1)[: len(x)]

    return predict


def in_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Row numbers (n,) -> (batches, batch_size) int32; the last batch is filled up with -1."""
    batches = np.full(-(-len(order) // batch_size) * batch_size, -1, np.int32)
    batches[: len(order)] = order
    return batches.reshape(-1, batch_size)
