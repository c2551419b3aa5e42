"""A training loop that compiles: one epoch of mini-batches is one XLA graph.

In: a Keras model, the name of a Keras optimizer, arrays. Out: trained weights, and the history that
`model.fit` would report. The mathematics are Keras's own: its layers, its loss, its optimizers.

One thing differs from `model.fit` on TensorFlow: an embedding row's gradient is summed over its
occurrences in the batch before an optimizer squares it, as the optimizers are defined, and as Keras
does on JAX and PyTorch and Keras 2 did. Keras 3 on TensorFlow sums the squares of the occurrences.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import repeat
from threading import Lock

from stages.backend import keras, tf

import numpy as np
from keras.src.optimizers.base_optimizer import BaseOptimizer
from scipy.sparse import csr_array

from stages.model import ROWS, above_look_up, has, look_up, look_up_gradient

SUPPORTED = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "adadelta", "adamax", "lion")
# With a zero gradient, these leave a weight as it is and multiply its accumulators by rho or 1.
ROW_BY_ROW = ("sgd", "rmsprop", "adagrad", "adadelta")
SCORING_BATCH = ROWS  # so many embedded reviews stay within a CPU's cache
WIDTH_STEP = 128  # widths are multiples of it, so that they seldom change from epoch to epoch
MEASURES = ("loss", "accuracy", "val_loss", "val_accuracy")

SEEDING = Lock()  # Keras draws from one generator for the whole process

Weights = list[np.ndarray]
History = list[dict[str, float]]
Batches = dict[str, np.ndarray]


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


def prepare(model: keras.Model, x: np.ndarray) -> np.ndarray | csr_array:
    """What does not depend on the order of the reviews: for a mean, `token_shares`."""
    x = np.asarray(x, np.int32)
    return token_shares(x, model.get_layer("embedding").input_dim) if has(model, "mean") else x


def token_shares(x: np.ndarray, num_words: int) -> csr_array:
    """(n, maxlen) int32 -> (n, num_words) float32: each word's share of a review's real tokens."""
    real = x != 0
    n_real = real.sum(axis=1)
    shares = np.repeat(1 / np.maximum(n_real, 1), n_real).astype(np.float32)
    bounds = np.concatenate([[0], np.cumsum(n_real)]).astype(np.int32)
    table = csr_array((shares, x[real], bounds), shape=(len(x), num_words))
    table.sum_duplicates()
    return table


def drop_words(
    rate: float, generator: np.random.Generator, reviews: np.ndarray | csr_array
) -> np.ndarray | csr_array:
    """Leave out each word of what `prepare` returned with probability `rate`.

    Of a mean, a word goes with all its occurrences in a review, and the mean is that of the words
    that stay (Iyyer et al., "Deep unordered composition rivals syntactic methods for text
    classification", ACL 2015, 1681-1691, section 3.2).
    """
    if not rate:
        return reviews
    if isinstance(reviews, np.ndarray):
        return np.where(generator.random(reviews.shape, np.float32) < rate, 0, reviews)
    kept = reviews.copy()
    kept.data[generator.random(kept.nnz, np.float32) < rate] = 0
    kept.eliminate_zeros()
    kept.data /= np.repeat(kept.sum(axis=1), np.diff(kept.indptr))
    return kept


def in_batches(values: np.ndarray, batch_size: int) -> np.ndarray:
    """(n, ...) -> (batches, at least batch_size, ...), one batch at least.

    Zeros fill the last one, and make the size of each a multiple of ROWS.
    """
    n_batches = max(-(-len(values) // batch_size), 1)
    filled = np.zeros((n_batches * batch_size, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    batches = filled.reshape(n_batches, batch_size, *values.shape[1:])
    spare = [(0, 0), (0, -batch_size % ROWS), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(batches, spare)


def stacked(rows: list[np.ndarray], width: int, filler: int = 0) -> np.ndarray:
    """Rows of several lengths -> (len(rows), width); too narrow a width makes room to spare.

    The next epoch then most likely fits too: at another width it would be compiled again.
    """
    longest = max(map(len, rows))
    if longest > width:
        width = -(-longest * 5 // 4 // WIDTH_STEP) * WIDTH_STEP
    filled = np.full((len(rows), width), filler, rows[0].dtype)
    for whole, part in zip(filled, rows, strict=True):
        whole[: len(part)] = part
    return filled


def cut(
    reviews: np.ndarray | csr_array, y: np.ndarray, batch_size: int, width: int = WIDTH_STEP
) -> Batches:
    """Reviews from `prepare`, labels and weights, batch by batch; what fills up weighs nothing.

    `ids` is (batches, batch_size, maxlen), or (batches, width) with a `share` of a `review` each.
    """
    weight = np.ones(len(y), np.float32)
    batches = {"labels": in_batches(y, batch_size), "weight": in_batches(weight, batch_size)}
    if isinstance(reviews, np.ndarray):
        return batches | {"ids": in_batches(reviews, batch_size)}
    review = np.repeat(np.arange(len(y), dtype=np.int32) % batch_size, np.diff(reviews.indptr))
    columns = {"ids": reviews.indices, "share": reviews.data, "review": review}
    bounds = reviews.indptr[batch_size:-1:batch_size]
    return batches | {k: stacked(np.split(v, bounds), width) for k, v in columns.items()}


def compact(ids: np.ndarray, num_words: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids (batches, ...) -> the distinct ids of each batch (batches, width), and `ids` among them.

    `num_words` fills up the distinct ids: XLA clamps what is read there, drops what is written.
    """
    present, position = np.zeros(num_words, bool), np.empty(num_words, np.int32)
    distinct, positions = [], np.empty_like(ids)
    for batch, positions_in_batch in zip(ids, positions, strict=True):
        present[batch] = True
        rows = np.flatnonzero(present)
        present[rows] = False
        position[rows] = np.arange(len(rows))
        positions_in_batch[:] = position[batch]
        distinct.append(rows)
    return stacked(distinct, width, num_words).astype(np.int32), positions


def compile_fit(
    model: keras.Model, optimizer_name: str, learning_rate: float, batch_size: int
) -> Callable[..., tuple[Weights, History]]:
    """Returns `fit`, compiled at its first call, and again only for arrays of another shape.

    Threads may call it at once.

    The optimizers ROW_BY_ROW update only those rows of the embedding matrix that a batch holds, and
    make up for the batches that a row has missed when it occurs again or the epoch ends. The others
    move every row with every batch, by the momentum it has: a pass over the matrix each time.
    """
    embedding, head = model.get_layer("embedding"), above_look_up(model)
    flat = has(model, "flatten")
    row_by_row = embedding.trainable and optimizer_name in ROW_BY_ROW
    optimizer = make_optimizer(optimizer_name, learning_rate, head.trainable_variables)
    rho = getattr(optimizer, "rho", 1.0)

    @cache
    def table_optimizer(n_rows: int) -> keras.Optimizer:
        rows = keras.Variable(np.zeros((n_rows, embedding.output_dim), np.float32))
        return make_optimizer(optimizer_name, learning_rate, [rows])

    def make_up(accumulators, batches):
        return [a * rho ** tf.cast(batches, tf.float32)[:, None] for a in accumulators]

    def score(features, layers, batch):
        """Sums over the batch: loss, number of correct predictions."""
        probability = head.stateless_call(layers, [], features)[0]
        loss = keras.losses.binary_crossentropy(batch["labels"][:, None], probability)
        correct = tf.cast(tf.equal(probability[:, 0] > 0.5, batch["labels"] > 0.5), tf.float32)
        return tf.linalg.matvec([loss, correct], batch["weight"])

    def train_batch(i, batch, matrices, last, counters, layers, slots, sums):
        """`matrices`: the embedding matrix, its accumulators; `last`: the batch that held a row."""
        local = matrices
        if row_by_row:
            local = [tf.gather(matrix, batch["rows"]) for matrix in matrices]
            local[1:] = make_up(local[1:], i - 1 - tf.gather(last, batch["rows"]))
        features, n_rows = look_up(local[0], batch, flat), local[0].shape[0]
        with tf.GradientTape() as tape:
            tape.watch([features, *layers])
            batch_sums = score(features, layers, batch)
            loss = batch_sums[0] / tf.reduce_sum(batch["weight"])
        upper, *gradients = tape.gradient(loss, [features, *layers])
        layers, slots = optimizer.stateless_apply(slots, gradients, layers)
        if embedding.trainable:
            gradient = look_up_gradient(upper, batch, n_rows)
            [table], variables = table_optimizer(n_rows).stateless_apply(
                [*counters, *local[1:]], [gradient], local[:1]
            )
            counters, local = variables[:2], [table, *variables[2:]]
        if row_by_row:
            parts = zip([*matrices, last], [*local, tf.fill([n_rows], i)], strict=True)
            *local, last = [
                tf.tensor_scatter_nd_update(whole, batch["rows"][:, None], part)
                for whole, part in parts
            ]
        return local, last, counters, layers, slots, sums + batch_sums

    @tf.function(jit_compile=True, autograph=False)
    def epoch(state, batches, validation):
        def over(data, step, start):
            n_batches = data["labels"].shape[0]
            return tf.while_loop(
                lambda i, _: i < n_batches,
                lambda i, now: (i + 1, step(i, {k: v[i] for k, v in data.items()}, now)),
                (0, start),
            )[1]

        matrices, *rest = state
        start = matrices, tf.fill([embedding.input_dim], -1), *rest, tf.zeros(2)
        trained = over(batches, lambda i, batch, now: train_batch(i, batch, *now), start)
        matrices, last, counters, layers, slots, sums = trained
        if row_by_row:
            matrices[1:] = make_up(matrices[1:], batches["labels"].shape[0] - 1 - last)
        val_sums = over(
            validation,
            lambda _, batch, now: now + score(look_up(matrices[0], batch, flat), layers, batch),
            tf.zeros(2),
        )
        means = [sums / tf.reduce_sum(batches["weight"])]
        means += [val_sums / tf.reduce_sum(validation["weight"])]
        return (matrices, counters, layers, slots), tf.concat(means, axis=0)

    def start(initial: Weights):
        """Embedding matrix and accumulators; its counters; the other weights; their optimizer's."""
        table, *layers = map(tf.constant, initial)
        variables = table_optimizer(1).variables if embedding.trainable else []
        accumulators = [tf.fill(table.shape, v[0, 0]) for v in variables[2:]]
        counters, slots = (
            [tf.convert_to_tensor(v) for v in vs] for vs in (variables[:2], optimizer.variables)
        )
        return [table, *accumulators], counters, layers, slots

    widths = {"ids": WIDTH_STEP, "rows": WIDTH_STEP if row_by_row else embedding.input_dim}

    def fit(
        initial: Weights,
        x: np.ndarray,
        y: np.ndarray,
        x_val: np.ndarray,
        y_val: np.ndarray,
        orders: Iterable[np.ndarray],
        on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
        drop: Callable[[np.ndarray | csr_array], np.ndarray | csr_array] = lambda reviews: reviews,
        rates: Iterable[float] = repeat(learning_rate),
    ) -> tuple[Weights, History]:
        """Trains one epoch per order, from `initial` weights and a fresh optimizer.

        x (n, maxlen) int32, y (n,) 0 or 1; each of `orders` is a permutation (n,) int of the rows.
        `on_epoch` gets each row of the history: loss, accuracy, val_loss, val_accuracy, the latter
        two NaN without validation reviews. `drop` leaves out words, anew in each epoch; `rates`
        are the learning rates of the epochs.
        """
        reviews, y, y_val = prepare(model, x), np.float32(y), np.float32(y_val)
        validation = cut(prepare(model, x_val), y_val, SCORING_BATCH)
        validation = tf.nest.map_structure(tf.constant, validation)
        state, history = start(initial), []
        for order, rate in zip(orders, rates, strict=False):
            for optimizer_state in state[1], state[3]:
                optimizer_state[1:2] = [tf.constant(rate, tf.float32)] * len(optimizer_state[1:2])
            batches = cut(drop(reviews[order]), y[order], batch_size, widths["ids"])
            widths["ids"] = batches["ids"].shape[1]
            if row_by_row:
                rows, batches["ids"] = compact(batches["ids"], embedding.input_dim, widths["rows"])
                batches["rows"], widths["rows"] = rows, rows.shape[1]
            if embedding.trainable:
                table_optimizer(widths["rows"])  # `epoch` can't create its variables when traced
            state, means = epoch(state, tf.nest.map_structure(tf.constant, batches), validation)
            history.append(dict(zip(MEASURES, means.numpy().tolist(), strict=True)))
            on_epoch(history[-1])
        return [w.numpy() for w in (state[0][0], *state[2])], history

    return fit


def compile_predict(model: keras.Model) -> Callable[[Weights, np.ndarray], np.ndarray]:
    """Returns `predict(weights, x)`: (n, maxlen) int32 -> probabilities (n,) float32."""
    head, flat = above_look_up(model), has(model, "flatten")

    @tf.function(jit_compile=True, autograph=False)
    def score(table, layers, batches):
        def score_batch(batch):
            return head.stateless_call(layers, [], look_up(table, batch, flat))[0][:, 0]

        return tf.map_fn(score_batch, batches, fn_output_signature=tf.float32)

    def predict(weights: Weights, x: np.ndarray) -> np.ndarray:
        no_labels = np.zeros(len(x), np.float32)
        table, *layers = map(tf.constant, weights)
        batches = cut(prepare(model, x), no_labels, SCORING_BATCH)
        return score(table, layers, batches).numpy().reshape(-1)[: len(x)]

    return predict
