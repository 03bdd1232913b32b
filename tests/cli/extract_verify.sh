# extract --verify: a sound cache is said to be sound, and what is wrong is named.
. "$(dirname "$0")/harness.sh"
export PERMAFROST_PLUGIN=$BUILD/tests/fake_backbone_plugin.so HDF5_PLUGIN_PATH=$BUILD/lib/hdf5-plugins
photographs photos 10 4
cp photos/train/cat/"$(ls photos/train/cat | head -n 1)" photos/train/tree/again.jpg
echo 'not an image' > photos/val/boat/bad.jpg
echo fake > fake.pt
extract_fake() { extract "$@" --backbone fake.pt --resize 112 --crop 96 --tap mean,pixels; }
expect 0 extract_fake photos -o a.h5

# number FILE OFFSET: the 64-bit number there. flip FILE OFFSET: one bit of that byte.
number() { od -An -tu8 -j "$2" -N 8 "$1" | tr -d ' '; }
flip() {
  old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  printf "\\$(printf %03o $((old ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> dd.log
}
size=$(stat -c %s a.h5)
data=$(number a.h5 $((size - 40)))
count=$(number a.h5 $((size - 32)))
# The first byte of the largest extent, and one in its middle: chunks of pixels.
largest=0
for i in $(seq 0 $((count - 1))); do
  extent=$(number a.h5 $((data + 16 * i + 8)))
  [ "$extent" -gt "$largest" ] || continue
  largest=$extent
  first=$(number a.h5 $((data + 16 * i)))
done

expect 0 extract --verify a.h5
stdout_has 'a.h5 is sound: seal, 43 rows of 2 taps in'
stdout_has '1 target, digests (1 row of images seen before)'
stdout_has '1 image stands under two labels'
[ "$(wc -l < stdout)" = 2 ] || failed 'expected two lines'
stderr_empty
expect 0 extract --verify photos a.h5
stdout_has '44 images of photos'
expect 0 env PERMAFROST_PLUGIN=/nonexistent extract --verify a.h5 --workers 3

# Damaged chunks: all of them, and nothing else.
cp a.h5 chunks.h5
flip chunks.h5 $((first + largest / 2))
flip chunks.h5 $((first + largest - 100))
for workers in 1 2 7; do
  expect 1 extract --verify chunks.h5 --workers $workers
  cp stdout "found.$workers"
  cmp -s found.1 found.$workers || failed 'findings depend on the number of threads'
done
[ "$(grep -c 'of /features/pixels cannot be read: the checksum does not match' stdout)" = 2 ] ||
  failed 'expected two damaged chunks'
stdout_has '(val/tree/'
stdout_lacks '/features/mean'
stderr_has "'chunks.h5': verification found 2 things wrong"

# A cache whose features lie in others.
expect 0 extract_fake photos -o one.h5 --shard 1/2
expect 0 extract_fake photos -o two.h5 --shard 2/2
expect 0 extract --merge --virtual both.h5 one.h5 two.h5
expect 0 extract --verify photos both.h5
stdout_has 'both.h5 is sound: seal, 43 rows of 2 taps'
size2=$(stat -c %s two.h5)
flip two.h5 "$(number two.h5 "$(number two.h5 $((size2 - 40)))")"
expect 1 extract --verify both.h5
stdout_has "two.h5': rows 0 to "
stderr_has 'found 1 thing wrong'

# Anything else of the file.
cp a.h5 meta.h5
flip meta.h5 $((data - 10))
expect 1 extract --verify meta.h5
stdout_has "'meta.h5' is damaged"
# No dataset is listed, or fetched, for a cache that cannot be opened.
expect 1 extract --verify nowhere meta.h5
stdout_has "'meta.h5' is damaged"
stderr_lacks 'nowhere'
cp a.h5 seal.h5
flip seal.h5 $((size - 3))
expect 1 extract --verify seal.h5
stdout_has "'seal.h5' is damaged"
head -c $((size - 1)) a.h5 > short.h5
expect 1 extract --verify short.h5
stdout_has 'the seal at its end is gone'
expect 1 extract --verify nowhere.h5
stdout_empty
stderr_has "'nowhere.h5'"

# Files of other programs: no seal, no digests.
expect 0 make_cache plain.h5 val taps
expect 0 extract --verify plain.h5
stdout_has 'no digests'
expect 1 extract --verify photos plain.h5
stderr_has 'does not say which images'
expect 0 make_cache nan.h5 nan
expect 1 extract --verify nan.h5
stdout_has 'row 33 of /features/avgpool holds numbers that are not finite (class 1/033.jpg)'

if "$PYTHON" -c 'import h5py' 2> /dev/null; then
  edit() { # edit FILE: the Python on standard input changes f
    { echo 'import h5py, numpy as np'; echo "with h5py.File('$1', 'r+') as f:"; echo ' del f.attrs["sealed"]'
      sed 's/^/ /'; } | "$PYTHON" -
  }
  cp a.h5 edited.h5
  edit edited.h5 <<'PY'
f["samples/digest"][3] = f["samples/digest"][7]
f["samples/digest"][5] = 0
f["samples/digest"][6] = 0
f.attrs["identity"] = "none"
PY
  expect 1 extract --verify edited.h5
  stdout_has 'row 5 of /samples/digest is all zeros'
  stdout_has 'rows 3 (train/boat/'
  stdout_has 'of /features/mean differ, but their images are the same by digest'
  [ "$(grep -c 'of /features/pixels differ' stdout)" = 1 ] || failed 'zeros are no digest'
  stdout_has "the attribute 'identity' is not a JSON object"
  cp plain.h5 edited.h5
  edit edited.h5 <<'PY'
f["targets/age"] = np.array([[1, np.inf]] + [[np.nan, 2]] * 399, "f4")
PY
  expect 1 extract --verify edited.h5
  stdout_has 'row 0 of /targets/age has the number inf'
else
  echo 'SKIP: h5py is not there; editing caches'
fi

# The images.
printf x >> photos/train/cat/"$(ls photos/train/cat | head -n 1)"
changed=train/cat/$(ls photos/train/cat | head -n 1)
gone=train/cat/$(ls photos/train/cat | tail -n 1)
mv "photos/$gone" photos/train/cat/zzz.jpg
cp photos/val/cat/"$(ls photos/val/cat | head -n 1)" photos/val/boat/bad.jpg
for workers in 1 3; do
  expect 1 extract --verify photos a.h5 --workers $workers
  stdout_has "$changed is not the image that the cache knows"
  stdout_has 'val/boat/bad.jpg is not the image that the cache knows'
  stdout_has "$gone is in the cache and not in the dataset"
  stdout_has 'train/cat/zzz.jpg is in the dataset and not in the cache'
  stderr_has 'found 4 things wrong'
done
for i in $(seq 30); do cp photos/train/cat/zzz.jpg "photos/val/cat/new$i.jpg"; done
expect 1 extract --verify photos a.h5
stdout_has '... and 11 more of this kind (-v shows all)'
expect 1 extract --verify photos a.h5 -v
stdout_has 'val/cat/new9.jpg is in the dataset'
stderr_has 'found 34 things wrong'

expect 2 extract --verify
stderr_has 'which cache?'
expect 2 extract --verify a b c
expect 2 extract --verify --info a.h5
stderr_has '--info and --verify'
no_leftovers
done_with
