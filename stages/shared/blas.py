"""One kind of matrix product on every processor; import this module before numpy.

OpenBLAS, which comes with NumPy and SciPy, chooses its code by the processor and cuts a product by
the number of cores, and both decide the last digits. The code for AVX2 runs on every x86 processor
that TensorFlow runs on here, and on one core: what takes longer has threads of its own.
"""

import os
import platform

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
