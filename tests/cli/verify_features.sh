# extract --verify DATASET CACHE.h5: rows are computed again, and compared with what is stored.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'h5py is missing'
photographs photos 14 1
cp "$WEIGHTS" weights.safetensors
make() { expect 0 extract photos -q -o "$@" --backbone resnet18_w16 --weights weights.safetensors --resize 64 --crop 64 --compress none; }
# edit FILE TAP ROW FACTOR: one number of that row becomes a multiple of itself, and the seal is taken off.
edit() {
  "$PYTHON" - "$@" <<'PY'
import h5py, sys
file, tap, row, factor = sys.argv[1:]
with h5py.File(file, "r+") as f:
    if "sealed" in f.attrs:
        del f.attrs["sealed"]
    values = f["features"][tap][int(row)]
    largest = abs(values.astype("f8")).argmax()
    values.reshape(-1)[largest] *= float(factor)
    f["features"][tap][int(row)] = values
PY
}

for store in f16 f32; do
  make c.h5 --force --tap layer3,avgpool,input --views 2 --store $store
  expect 0 extract --verify photos c.h5
  stdout_has '32 of 45 rows computed again, within 1e-05 of each row'
  stderr_empty
  expect 0 extract --verify photos c.h5 --recompute-all
  stdout_has '45 of 45 rows computed again'
  # As far as runtimes differ, and further.
  cp c.h5 near.h5
  factor=1.0004
  [ $store = f16 ] || factor=1.000005
  edit near.h5 avgpool 20 $factor
  expect 0 extract --verify photos near.h5 --recompute-all
  edit near.h5 avgpool 20 1.01
  edit near.h5 layer3 3 1.01
  expect 1 extract --verify photos near.h5 --recompute-all
  stdout_has 'row 20 of /features/avgpool ('
  stdout_has 'row 3 of /features/layer3 ('
  stdout_has ') differs from what the network gives: by 0.0'
  stderr_has 'found 2 things wrong'
done
# Pixels are the same to the last bit.
edit c.h5 input 7 0.99
expect 1 extract --verify photos c.h5 --recompute-all
stdout_has 'row 7 of /features/input ('

# Other weights than the cache's, and none.
make d.h5
mv weights.safetensors moved.safetensors
expect 0 extract --verify photos d.h5
stderr_has 'no row is computed again: '
stdout_has 'd.h5 is sound'
stdout_lacks 'computed again'
expect 1 extract --verify photos d.h5 --recompute-all
stderr_has 'which are not to be had there any more'
stdout_lacks sound
expect 0 extract --verify photos d.h5 --weights moved.safetensors
stdout_has '32 of 45 rows computed again'
"$PYTHON" - <<'PY'
data = bytearray(open("moved.safetensors", "rb").read())
data[-5] ^= 1
open("other.safetensors", "wb").write(data)
PY
expect 4 extract --verify photos d.h5 --weights other.safetensors --recompute-all
stderr_has 'was made with the SHA-256 '

expect 2 extract --verify d.h5 --recompute-all
stderr_has '--recompute-all goes with --verify DATASET CACHE.h5'
expect 2 extract photos -o x.h5 --recompute-all
done_with
