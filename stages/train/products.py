"""Matrix products that are the same bytes on any processor: sums of small products."""

from stages.train.backend import tf

from stages.train.batches import ROWS

# Eigen cuts a product into blocks by the size of the processor's caches, and that decides the order
# of its sums. Products that are this small came out the same, bit for bit, for caches of 32 to 64
# KiB at the first level, 256 KiB to 4 MiB at the second, 0 to 32 MiB at the third.
INNER = 256  # numbers that a product sums over; its rows are at most ROWS


def part_of(size: int, most: int, unit: int = 1) -> int:
    """The largest divisor of `size` up to `most`, a multiple of `unit` if there is such a one."""
    parts = [part for part in range(1, min(size, most) + 1) if size % part == 0]
    return max([part for part in parts if part % unit == 0] or parts)


def affine(rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, unit: int = 1) -> tf.Tensor:
    """(n, k), (k, units), (units,) float32 -> (n, units): rows kernel + bias.

    It and its gradients are sums of products that have at most ROWS rows and sum over at most
    INNER numbers, whole `unit`s of them where that is possible. n is a multiple of ROWS.
    """
    (n, k), units = rows.shape, kernel.shape[1]
    if n is None:  # Keras' own loop, as in `model.predict`
        return tf.matmul(rows, kernel) + bias
    width, height = part_of(k, INNER, unit), part_of(n, INNER)
    n_parts = k // width
    cuts = [slice(start, start + ROWS) for start in range(0, units, ROWS)]

    def gradient(parts, kernel, upper):
        kernels = tf.reshape(kernel, (n_parts, width, units))

        def to_chunk(chunk):
            chunks = tf.broadcast_to(chunk, (n_parts, *chunk.shape))
            products = tf.matmul(chunks, kernels, transpose_b=True)
            return tf.reshape(tf.transpose(products, (1, 0, 2)), (-1, k))

        to_rows = tf.map_fn(to_chunk, tf.reshape(upper, (-1, min(n, ROWS), units)))
        uppers = tf.reshape(upper, (-1, height, units))
        # XLA splits a sum over rows by the number of cores, but not a product.
        to_bias = tf.linalg.matvec(uppers, tf.ones(uppers.shape[:2]), transpose_a=True)
        uppers = tf.broadcast_to(uppers, (n_parts, *uppers.shape))
        uppers = tf.reshape(uppers, (-1, height, units))
        parts = tf.reshape(parts, (-1, height, width))
        products = [tf.matmul(uppers[..., cut], parts, transpose_a=True) for cut in cuts]
        to_kernel = tf.reshape(tf.concat(products, axis=1), (n_parts, -1, units, width))
        to_kernel = tf.transpose(tf.reduce_sum(to_kernel, axis=1), (0, 2, 1))
        return (
            tf.reshape(to_rows, rows.shape),
            tf.reshape(to_kernel, kernel.shape),
            tf.reduce_sum(to_bias, axis=0),
        )

    @tf.custom_gradient
    def by_parts(rows, kernel, bias):
        parts = tf.transpose(tf.reshape(rows, (n, n_parts, width)), (1, 0, 2))
        kernels = tf.reshape(kernel, (n_parts, width, units))
        if n <= ROWS:
            products = tf.reduce_sum(tf.matmul(parts, kernels), axis=0)
        else:
            products = [
                tf.matmul(kernels[..., cut], parts, transpose_a=True, transpose_b=True)
                for cut in cuts
            ]
            products = tf.transpose(tf.reduce_sum(tf.concat(products, axis=1), axis=0))
        return products + bias, lambda upper: gradient(parts, kernel, upper)

    return by_parts(rows, kernel, bias)
