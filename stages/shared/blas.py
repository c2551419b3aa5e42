"""One kind of matrix product on every processor; import this module before numpy.

OpenBLAS, which comes with NumPy and SciPy, chooses its code by the processor, and that decides the
last digits. The code for AVX2 runs on every x86 processor that TensorFlow runs on here.
"""

import os
import platform

if platform.machine() in ("x86_64", "AMD64"):
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
