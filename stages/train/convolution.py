"""A convolution over words and its maximum over the text, by the distinct words of a batch.

In: embedded words (n_words, dim), texts as positions in them (n, maxlen), a kernel (width, dim,
filters) and a bias as Keras' Conv1D has them. Out: what Conv1D with relu and GlobalMaxPooling1D
after it give, (n, filters), and their gradients.

A filter at a position of a text is a sum of `width` products, each of one word and one slice of the
kernel. So each word is multiplied with each slice once, however often it occurs, and a text looks
up and adds. The maximum passes a gradient to one window a filter and text, so the gradients are
sums over those windows alone.

Where windows of a text are equal at their maximum, the first gets the gradient; Keras shares it out
among them. As to windows of the same words, of padding say, both give the same sums.
"""

from functools import partial

from stages.train.backend import tf

from stages.train.batches import ROWS
from stages.train.products import INNER, part_of


def project(words: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """(n_words, dim), (width, dim, filters) -> (n_words or a few more, width * filters).

    Of each word its product with each slice of the kernel, one slice after the other.
    """
    (n_words, dim), units = words.shape, kernel.shape[0] * kernel.shape[2]
    inner = part_of(dim, INNER)
    slices = tf.reshape(tf.transpose(kernel, (1, 0, 2)), (-1, inner, units))

    def products(rows):
        parts = tf.transpose(tf.reshape(rows, (ROWS, -1, inner)), (1, 0, 2))
        return tf.reduce_sum(tf.matmul(parts, slices), axis=0)

    filled = tf.pad(words, [(0, -n_words % ROWS), (0, 0)])
    return tf.reshape(tf.map_fn(products, tf.reshape(filled, (-1, ROWS, dim))), (-1, units))


def largest(projections: tf.Tensor, ids: tf.Tensor, filters: int) -> tuple[tf.Tensor, tf.Tensor]:
    """(n_words, width * filters), (n, maxlen) -> of each text and filter the largest window.

    Returns its value, (n, filters) float32, and where the first such window starts, int32.
    """
    width = projections.shape[1] // filters
    n_windows = ids.shape[1] - width + 1

    def of_text(text):
        rows = tf.gather(projections, text)
        slices = [rows[i : i + n_windows, i * filters : (i + 1) * filters] for i in range(width)]
        windows = tf.add_n(slices)
        maxima = tf.reduce_max(windows, axis=0)
        starts = tf.where(windows == maxima, tf.range(n_windows)[:, None], n_windows)
        return maxima, tf.reduce_min(starts, axis=0)

    return tf.map_fn(of_text, ids, fn_output_signature=(tf.float32, tf.int32))


def pool(projections: tf.Tensor, bias: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """What `convolve` gives, from the projections of the words; without a gradient."""
    return tf.nn.relu(largest(projections, ids, bias.shape[0])[0] + bias)


def convolve(words: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Conv1D with relu, and GlobalMaxPooling1D: (n, filters). n is a multiple of ROWS."""

    @tf.custom_gradient
    def maxima(words, kernel, bias):
        values, starts = largest(project(words, kernel), ids, bias.shape[0])
        return values + bias, lambda upper: gradients(words, kernel, ids, starts, upper)

    return tf.nn.relu(maxima(words, kernel, bias))


def gradients(
    words: tf.Tensor, kernel: tf.Tensor, ids: tf.Tensor, starts: tf.Tensor, upper: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Those of words, kernel and bias, from those of the maxima (n, filters), which `starts` place.

    Each is summed text after text, or in products of ROWS texts.
    """
    width, dim, filters = kernel.shape
    windows = starts[:, :, None] + tf.range(width)
    chosen = tf.reshape(tf.gather(ids, windows, batch_dims=1), (-1, filters * width))
    shares = tf.repeat(upper, width, axis=1)  # of each word in the chosen windows
    slices = tf.reshape(tf.transpose(kernel, (2, 0, 1)), (filters * width, dim))

    def add_text(summed, text):
        chosen, shares = text
        return tf.tensor_scatter_nd_add(summed, chosen[:, None], shares[:, None] * slices)

    def add_texts(summed, texts):
        chosen, shares = texts
        gather = partial(tf.map_fn, partial(tf.gather, words), fn_output_signature=tf.float32)
        products = tf.matmul(tf.transpose(shares)[:, None], gather(tf.transpose(chosen)))
        return summed + products[:, 0]

    to_words = tf.foldl(add_text, (chosen, shares), tf.zeros(words.shape))
    by_rows = [tf.reshape(of, (-1, ROWS, filters * width)) for of in (chosen, shares)]
    to_kernel = tf.foldl(add_texts, tuple(by_rows), tf.zeros(slices.shape))
    to_kernel = tf.transpose(tf.reshape(to_kernel, (filters, width, dim)), (1, 2, 0))
    uppers = tf.reshape(upper, (-1, ROWS, filters))
    to_bias = tf.linalg.matvec(uppers, tf.ones(uppers.shape[:2]), transpose_a=True)
    return to_words, to_kernel, tf.reduce_sum(to_bias, axis=0)
