# Whole runs over CIFAR's pickles and idx files: equal to other versions of the same images, which are
# known again by their content.
. "$(dirname "$0")/harness.sh"
fake_backbone
"$PYTHON" -c 'import numpy' 2> /dev/null || skip 'no numpy'

"$PYTHON" - << 'END'
import gzip, os, pickle, struct
import numpy as np
numbers = np.random.default_rng(5)
for folder in ("binary", "pickles", "mnist", "packed"):
    os.mkdir(folder)
names = ["kind%d" % i for i in range(10)]
open("binary/batches.meta.txt", "w").write("\n".join(names) + "\n")
pickle.dump({"label_names": names}, open("pickles/batches.meta", "wb"))
for batch in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
    data, labels = numbers.integers(0, 256, (4, 3072), dtype=np.uint8), [1, 9, 0, 3]
    pickle.dump({"data": data, "labels": labels}, open(f"pickles/{batch}", "wb"), protocol=4)
    open(f"binary/{batch}.bin", "wb").write(b"".join(bytes([y]) + x.tobytes() for x, y in zip(data, labels)))
for side, rows in (("train", 9), ("t10k", 5)):
    for what, array in (("images-idx3", numbers.integers(0, 256, (rows, 28, 28), dtype=np.uint8)),
                        ("labels-idx1", np.arange(rows, dtype=np.uint8))):
        content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
        open(f"mnist/{side}-{what}-ubyte", "wb").write(content)
        gzip.open(f"packed/{side}-{what}-ubyte.gz", "wb").write(content)
END

expect 0 extract_fake binary -o cifar.h5
saw 24
expect 0 extract_fake pickles -o cifar.h5
stderr_has 'CIFAR-10 pickles, 24 images (20 train, 4 test)'
saw 0
expect 0 extract --info cifar.h5
stdout_has '9 kind9: 6'

expect 0 extract_fake mnist -o mnist.h5
stderr_has "idx files, as MNIST's, 14 images (9 train, 5 test)"
saw 14
expect 0 extract_fake packed -o mnist.h5
saw 0
expect 0 extract_fake packed/t10k-labels-idx1-ubyte.gz -o mnist.h5
stderr_has 'up to date'
expect 0 extract --verify packed mnist.h5
absent packed/train-images-idx3-ubyte

# An output that is one of the inputs; what predict cannot name; no room for what is unpacked.
expect 1 extract_fake mnist -o mnist/train-images-idx3-ubyte
expect 0 make_cache known.h5
expect 0 train known.h5 -o known.safetensors --epochs 1
expect 2 predict known.safetensors mnist
stderr_has 'whose images are no files of their own'
TMPDIR=$WORK/nowhere expect 1 extract_fake packed -o other.h5
stderr_has "temporary file in '$WORK/nowhere' (TMPDIR)"
done_with
