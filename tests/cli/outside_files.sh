# Paths that come out of a file: what they lead to outside is not read, what is no regular file
# is refused at once, and a cache is compared with the SHA-256 that somebody sent.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'python3-h5py is missing'

mkdir box other
echo 'PRIVATE KEY 0123456789' > secret.txt
for i in 1 2 3 4 5 6; do cat secret.txt secret.txt > more.txt; mv more.txt secret.txt; done
"$PYTHON" - << 'END'
import os
import h5py
import numpy as np

ROWS = 40
x = np.arange(ROWS * 16, dtype="float32").reshape(ROWS, 16) / 100


def cache(name, has_paths=True):
    f = h5py.File(f"box/{name}.h5", "w")
    f.attrs["format"] = "permafrost-cache"
    f.attrs["format_version"] = 1
    f["targets/class"] = np.arange(ROWS) % 2
    if has_paths:
        f["samples/path"] = [f"{i}.jpg" for i in range(ROWS)]
    return f


with h5py.File("other/part.h5", "w") as f:
    f["x"], f["y"], f["s"], f["features/a"] = x, np.arange(ROWS) % 2, ["hidden"] * ROWS, x
with h5py.File("box/part.h5", "w") as f:
    f["x"] = x
with cache("storage") as f:
    f.create_dataset("features/a", shape=(ROWS, 16), dtype="u1", external=[("../secret.txt", 0, 640)])
with cache("digests") as f:
    f["features/a"] = x
    f.create_dataset("samples/digest", shape=(ROWS, 16), dtype="u1", external=[(os.path.abspath("secret.txt"), 0, 640)])
with cache("storage_of_part") as f:
    f.create_dataset("hidden", shape=(ROWS, 16), dtype="u1", external=[("../secret.txt", 0, 640)])
    layout = h5py.VirtualLayout(shape=(ROWS, 16), dtype="u1")
    layout[:] = h5py.VirtualSource(".", "hidden", shape=(ROWS, 16))
    f.create_virtual_dataset("features/a", layout)
with cache("group_link") as f:
    f["features"] = h5py.ExternalLink("../other/part.h5", "/features")
with cache("tap_link") as f:
    f.create_group("features")["a"] = h5py.ExternalLink("../other/part.h5", "/x")
with cache("target_link") as f:
    f["features/a"] = x
    f["targets/other"] = h5py.ExternalLink(os.path.abspath("other/part.h5"), "/y")
with cache("way_out", has_paths=False) as f:
    f["features/a"] = x
    f["way"] = h5py.ExternalLink("../other/part.h5", "/")
    f.create_group("samples")["path"] = h5py.SoftLink("/way/s")
with cache("inside") as f:
    f["z"] = x
    f.create_group("features")["a"] = h5py.SoftLink("/z")
os.symlink("../other/part.h5", "box/link.h5")
os.mkfifo("box/pipe.h5")
for name, source in ("absolute", os.path.abspath("other/part.h5")), ("up", "../other/part.h5"), \
        ("linked", "link.h5"), ("piped", "pipe.h5"), ("beside", "part.h5"):
    with cache(name) as f:
        layout = h5py.VirtualLayout(shape=(ROWS, 16), dtype="float32")
        layout[:] = h5py.VirtualSource(source, "x", shape=(ROWS, 16))
        f.create_virtual_dataset("features/a", layout)
END

fit="train --quiet --head linear --epochs 2 --val 0 --target class"
# refused FILE WORDS: by everything that reads caches, and nothing is written.
refused() {
  for command in "extract --info" "extract --verify" "extract --merge out.h5" "$fit -o out.safetensors"; do
    expect 1 timeout 20 $command "box/$1.h5"
    cat stdout stderr > said
    checks=$((checks + 1)); grep -qF -- "$2" said || failed "neither stdout nor stderr has '$2'"
    stdout_lacks 'PRIVATE'
    absent out.h5
    absent out.safetensors
  done
}
refused storage 'the numbers of /features/a are in another file (external storage)'
refused digests 'the numbers of /samples/digest are in another file'
refused storage_of_part 'are in another file (external storage)'
refused group_link '/features is a link into another file'
refused tap_link '/features/a is a link into another file'
refused target_link '/targets/other is a link into another file'
refused way_out '/samples/path is a link to something that is not in this file'
here=$(pwd -P)
for name in absolute up linked; do
  refused $name "a part of it, '$here/other/part.h5', lies outside its folder '$here/box'"
  refused $name "--sources-from $here/other lets"
done
refused piped "box/pipe.h5' is a named pipe, not a file"
for name in inside beside; do
  expect 0 extract --info box/$name.h5
  expect 0 $fit -o out.safetensors box/$name.h5
  rm out.safetensors
done

# ---- --sources-from ----

for name in absolute up linked; do
  expect 0 extract --info --sources-from other box/$name.h5
  expect 0 extract --verify --sources-from "$here" box/$name.h5
  expect 1 extract --verify --sources-from box box/$name.h5
  expect 0 $fit -o model.safetensors --sources-from other box/$name.h5
  expect 0 predict --sources-from other model.safetensors box/$name.h5
  expect 1 predict model.safetensors box/$name.h5
  stderr_has 'lies outside its folder'
done
expect 1 $fit -o out.safetensors --sources-from nowhere box/up.h5
stderr_has "--sources-from 'nowhere'"

# ---- pipes and devices, where a file names a path or is one ----

mkfifo pipe
expect 1 timeout 20 extract --info pipe
stderr_has "'pipe' is a named pipe, not a file"
expect 1 timeout 20 extract --info /dev/zero
stderr_has "'/dev/zero' is a device, not a file"
expect 1 timeout 20 extract --info box
stderr_has "'box' is a folder, not a file"
expect 1 timeout 20 predict pipe box/inside.h5
stderr_has "'pipe' is a named pipe, not a file"
mkfifo pipe.csv
ln -s /dev/zero zero.csv
expect 1 timeout 20 extract pipe.csv -o out.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
stderr_has "'pipe.csv' is a named pipe, not a file"
expect 1 timeout 20 sh -c '[ -n "${PF_SANITIZE:-}" ] || ulimit -v 4000000; exec "$@"' - extract zero.csv -o out.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
stderr_has "'zero.csv' is a device, not a file"
mkdir cifar photos
printf 'P6 8 8 255\n%0192d' 1 > photos/1.ppm
expect 1 timeout 20 extract photos -o out.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --exclude pipe
stderr_has "'pipe' is a named pipe, not a file"
head -c 6146 /dev/zero > cifar/data_batch_1.bin
mkfifo cifar/batches.meta.txt
expect 1 timeout 20 extract cifar -o out.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
stderr_has "'batches.meta.txt' is a named pipe, not a file"
expect 1 timeout 20 extract cifar -o out.h5 --backbone resnet18_w16 --weights pipe
stderr_has "a named pipe, not a file"
rm cifar/batches.meta.txt
mkfifo cifar/test_batch.bin
expect 1 timeout 20 extract cifar -o out.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
stderr_has "is a named pipe, not a file"
expect 1 timeout 20 extract cifar -o out.h5 --backbone ./pipe
stderr_has "a named pipe, not a file"
absent out.h5

# ---- --signature ----

(cd box && sha256sum beside.h5 inside.h5 > sums)
(cd box && sha256sum < inside.h5 > one)
expect 0 extract --verify box/inside.h5 --signature box/sums
expect 0 extract --verify box/inside.h5 --signature box/one
expect 1 extract --verify box/beside.h5 --signature box/one
stderr_has "'box/one' says $(cut -c 1-64 box/one): it is another file"
cp box/inside.h5 box/renamed.h5
expect 1 extract --verify box/renamed.h5 --signature box/sums
stderr_has "has no SHA-256 of 'renamed.h5'"
printf 'x' >> box/inside.h5
expect 1 extract --verify box/inside.h5 --signature box/sums
stderr_has 'it is another file'
expect 1 extract --verify box/inside.h5 --signature nowhere
expect 2 extract --info box/inside.h5 --signature box/sums
stderr_has '--signature goes with --verify'
done_with
