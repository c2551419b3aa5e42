"""A training loop that compiles: one epoch of mini-batches is one XLA graph.

In: a Keras model, the name of a Keras optimizer, arrays. Out: trained weights, and the history that
`model.fit` would report. The mathematics are Keras's own: its layers, its loss, its optimizers.

One thing differs from `model.fit` on TensorFlow: an embedding row's gradient is summed over its
occurrences in the batch before an optimizer squares it, as the optimizers are defined, and as Keras
does on JAX and PyTorch and Keras 2 did. Keras 3 on TensorFlow sums the squares of the occurrences.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import repeat
from threading import Lock

from stages.train.backend import keras, tf

import numpy as np
from keras.src.optimizers.base_optimizer import BaseOptimizer
from scipy.sparse import csr_array

from stages.shared.history import MEASURES
from stages.train.batches import SCORING_BATCH, WIDTH_STEP, Batches, compact, cut, prepare
from stages.train.network import Head

SUPPORTED = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "lion")
# With a zero gradient, these leave a weight as it is and multiply its accumulators by rho or 1.
ROW_BY_ROW = ("sgd", "rmsprop", "adagrad", "adadelta")
RATE = 1  # where an optimizer's variables have the learning rate

SEEDING = Lock()  # Keras draws from one generator for the whole process

Weights = list[np.ndarray]
History = list[dict[str, float]]


def make_optimizer(name: str, learning_rate: float, variables: list) -> keras.Optimizer:
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
    optimizer = type(keras_class.__name__, (keras_class,), general)(learning_rate=learning_rate)
    optimizer.build(variables)
    return optimizer


def initial_weights(model: keras.Model, seed: int, matrix: np.ndarray) -> Weights:
    """Weights as `model.get_weights()` orders them: `matrix` embeds, Keras draws the rest."""
    with SEEDING:
        keras.utils.set_random_seed(seed)
        drawn = keras.models.clone_model(model)
    drawn.get_layer("embedding").set_weights([matrix])
    return drawn.get_weights()


def with_rate(variables: list[tf.Tensor], rate: float) -> list[tf.Tensor]:
    """Set the learning rate among the variables of an optimizer, if it has any."""
    if not variables:
        return []
    return [*variables[:RATE], tf.constant(rate, tf.float32), *variables[RATE + 1 :]]


def over(data: dict[str, tf.Tensor], step: Callable, start: object) -> object:
    """Call `step(i, batch, now)` for each batch; `now` is what the call before returned."""
    n_batches = data["labels"].shape[0]
    return tf.while_loop(
        lambda i, _: i < n_batches,
        lambda i, now: (i + 1, step(i, {k: v[i] for k, v in data.items()}, now)),
        (0, start),
    )[1]


class Loop:
    """Trains a model: `fit` compiles at its first call, and again only for arrays of another shape.

    Threads may call it at once.

    The optimizers ROW_BY_ROW update only those rows of the embedding matrix that a batch holds, and
    make up for the batches that a row has missed when it occurs again or the epoch ends. The others
    move every row with every batch, by the momentum it has: a pass over the matrix each time.
    """

    def __init__(self, model: keras.Model, optimizer: str, learning_rate: float, batch_size: int):
        self.embedding, self.head = model.get_layer("embedding"), Head(model)
        self.row_by_row = self.embedding.trainable and optimizer in ROW_BY_ROW
        self.name, self.learning_rate, self.batch_size = optimizer, learning_rate, batch_size
        self.optimizer = make_optimizer(optimizer, learning_rate, self.head.variables)
        self.rho = getattr(self.optimizer, "rho", 1.0)
        self.table_optimizer = cache(self.make_table_optimizer)
        self.epoch = tf.function(self.trace_epoch, jit_compile=True, autograph=False)
        self.widths = {"ids": WIDTH_STEP, "words": WIDTH_STEP, "held out": WIDTH_STEP}

    def make_table_optimizer(self, n_rows: int) -> keras.Optimizer:
        """The optimizer of so many rows of the embedding matrix."""
        rows = keras.Variable(np.zeros((n_rows, self.embedding.output_dim), np.float32))
        return make_optimizer(self.name, self.learning_rate, [rows])

    def make_up(self, accumulators: list, batches: tf.Tensor) -> list:
        """Change accumulators, row by row, as so many batches without a gradient would."""
        return [a * self.rho ** tf.cast(batches, tf.float32)[:, None] for a in accumulators]

    def score(self, features, layers, batch):
        """Sums over the batch: loss, number of correct predictions."""
        probability = self.head.probability(features, layers)
        if probability.shape[1] == 1:
            loss = keras.losses.binary_crossentropy(batch["labels"][:, None], probability)
            correct = tf.equal(probability[:, 0] > 0.5, batch["labels"] > 0.5)
        else:
            labels = tf.cast(batch["labels"], tf.int32)
            loss = keras.losses.sparse_categorical_crossentropy(labels, probability)
            correct = tf.equal(tf.argmax(probability, axis=1, output_type=tf.int32), labels)
        return tf.linalg.matvec([loss, tf.cast(correct, tf.float32)], batch["weight"])

    def train_batch(self, i, batch, matrices, last, counters, layers, slots, sums):
        """`matrices`: the embedding matrix, its accumulators; `last`: the batch that held a row."""
        local = matrices
        if self.row_by_row:
            local = [tf.gather(matrix, batch["rows"]) for matrix in matrices]
            local[1:] = self.make_up(local[1:], i - 1 - tf.gather(last, batch["rows"]))
        embedded, n_rows = self.head.look_up(local[0], batch), local[0].shape[0]
        with tf.GradientTape() as tape:
            tape.watch([embedded, *layers])
            features = self.head.trained_features(embedded, layers, batch)
            batch_sums = self.score(features, layers, batch)
            loss = batch_sums[0] / tf.reduce_sum(batch["weight"])
        upper, *gradients = tape.gradient(loss, [embedded, *layers])
        layers, slots = self.optimizer.stateless_apply(slots, gradients, layers)
        if self.embedding.trainable:
            gradient = self.head.look_up_gradient(upper, batch, n_rows)
            [table], variables = self.table_optimizer(n_rows).stateless_apply(
                [*counters, *local[1:]], [gradient], local[:1]
            )
            counters, local = variables[:2], [table, *variables[2:]]
        if self.row_by_row:
            parts = zip([*matrices, last], [*local, tf.fill([n_rows], i)], strict=True)
            *local, last = [
                tf.tensor_scatter_nd_update(whole, batch["rows"][:, None], part)
                for whole, part in parts
            ]
        return local, last, counters, layers, slots, sums + batch_sums

    def trace_epoch(self, state, batches, validation):
        """One epoch: the state after it, and the means of MEASURES."""
        matrices, *rest = state
        start = matrices, tf.fill([self.embedding.input_dim], -1), *rest, tf.zeros(2)
        trained = over(batches, lambda i, batch, now: self.train_batch(i, batch, *now), start)
        matrices, last, counters, layers, slots, sums = trained
        if self.row_by_row:
            matrices[1:] = self.make_up(matrices[1:], batches["labels"].shape[0] - 1 - last)

        source = self.head.source(matrices[0], layers)

        def validate(_, batch, now):
            return now + self.score(self.head.features(source, layers, batch), layers, batch)

        val_sums = over(validation, validate, tf.zeros(2))
        means = [sums / tf.reduce_sum(batches["weight"])]
        means += [val_sums / tf.reduce_sum(validation["weight"])]
        return (matrices, counters, layers, slots), tf.concat(means, axis=0)

    def start(self, initial: Weights):
        """Embedding matrix and accumulators; its counters; the other weights; their optimizer's."""
        table, *layers = map(tf.constant, initial)
        variables = self.table_optimizer(1).variables if self.embedding.trainable else []
        accumulators = [tf.fill(table.shape, v[0, 0]) for v in variables[2:]]
        counters, slots = (
            [tf.convert_to_tensor(v) for v in of]
            for of in (variables[:2], self.optimizer.variables)
        )
        return [table, *accumulators], counters, layers, slots

    def cut(self, texts: np.ndarray | csr_array, y: np.ndarray) -> Batches:
        """Cut an epoch into batches, and name the rows of the embedding matrix that each holds."""
        batches = cut(texts, y, self.batch_size, self.widths["ids"])
        self.widths["ids"] = batches["ids"].shape[1]
        n_rows = self.embedding.input_dim
        if self.row_by_row or self.head.convolved:
            words, batches["ids"] = compact(batches["ids"], n_rows, self.widths["words"])
            self.widths["words"] = words.shape[1]
            batches["rows" if self.row_by_row else "words"] = words
            if self.row_by_row:
                n_rows = words.shape[1]  # not `widths`, which other threads write too
        if self.embedding.trainable:
            self.table_optimizer(n_rows)  # its variables can't be created by a trace
        return tf.nest.map_structure(tf.constant, batches)

    def epochs(
        self,
        initial: Weights,
        x: np.ndarray,
        y: np.ndarray,
        x_val: np.ndarray,
        y_val: np.ndarray,
        orders: Iterable[np.ndarray],
        drop: Callable[[np.ndarray | csr_array], np.ndarray | csr_array] = lambda texts: texts,
        rates: Iterable[float] | None = None,
    ) -> Iterator[tuple[dict[str, float], Callable[[], Weights]]]:
        """Train one epoch per order, from `initial` weights and a fresh optimizer.

        x (n, maxlen) int32, y (n,) numbers of labels; each of `orders` is a permutation (n,) int of
        the rows. `drop` leaves out words, anew in each epoch; `rates` are the learning rates of the
        epochs, else always the same. After each epoch it yields the row of its history (loss,
        accuracy, val_loss, val_accuracy, the latter two NaN without validation texts), and a
        function that gives the weights that it has then.
        """
        num_words = self.embedding.input_dim
        texts, held_out = (prepare(part, num_words, self.head.averaged) for part in (x, x_val))
        y, y_val = np.float32(y), np.float32(y_val)
        batches = cut(held_out, y_val, SCORING_BATCH, self.widths["held out"])
        self.widths["held out"] = batches["ids"].shape[1]
        validation = tf.nest.map_structure(tf.constant, batches)
        state = self.start(initial)
        for order, rate in zip(orders, rates or repeat(self.learning_rate), strict=False):
            matrices, counters, layers, slots = state
            state = matrices, with_rate(counters, rate), layers, with_rate(slots, rate)
            batches = self.cut(drop(texts[order]), y[order])
            state, means = self.epoch(state, batches, validation)
            row = dict(zip(MEASURES, means.numpy().tolist(), strict=True))
            yield row, partial(weights_of, state)

    def fit(
        self, *data, on_epoch: Callable[[dict[str, float]], None] = lambda row: None, **more
    ) -> tuple[Weights, History]:
        """Train to the end what `epochs` takes; `on_epoch` gets each row of the history."""
        history, weights = [], list
        for row, weights_now in self.epochs(*data, **more):
            history.append(row)
            on_epoch(row)
            weights = weights_now
        return weights(), history


def weights_of(state) -> Weights:
    """The weights in the state of a training, as `model.get_weights()` orders them."""
    [table, *_], _, layers, _ = state
    return [weight.numpy() for weight in (table, *layers)]
