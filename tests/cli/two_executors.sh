# Networks that the engine and libtorch run in turns: what a cache says of its rows, and what --verify takes for
# equal; the engine's memory in the first lines.
. "$(dirname "$0")/harness.sh"
needs_torch
unset PERMAFROST_PLUGIN PF_ENGINE
cp -r "$SOURCE/tests/sample/old/." .
run() { extract "$@" --backbone resnet18_w16 --weights "$WEIGHTS" --resize 70 --crop 64 --compress none; }
by_libtorch() { PF_ENGINE=libtorch run "$@"; }
lines() { for line; do grep -qE -- "$line" stdout || failed "stdout lacks '$line'"; checks=$((checks + 1)); done; }
says() { expect 0 extract --info "$1"; shift; lines "$@"; }

# ---- memory ----

mkdir left && mv photos/b/* left
expect 0 run photos -o a.h5 --tap avgpool,layer3,input --dry-run
stderr_has ' decoding threads), '
stderr_has ' MB for the network (packed weights '
expect 0 by_libtorch photos -o a.h5 --tap avgpool,layer3,input
stderr_has 'runs on libtorch'
stderr_lacks 'for the network'

# ---- rows of each ----

says a.h5 '^runtime     layer3: 3 rows by libtorch [^;]*$' '^runtime     avgpool: 3 rows by libtorch [^;]*$'
stdout_lacks 'runtime     input'
stdout_lacks 'runtime_rows'
# --verify tells of rows only where several runtimes have computed them.
expect 0 extract --verify a.h5
stdout_has 'a.h5 is sound'
stdout_lacks 'runtime '
mv left/* photos/b
expect 0 run photos -o a.h5 --tap avgpool,layer3,input
says a.h5 '^runtime     layer3: 3 rows by libtorch .*; 3 by C engine, [^;]*$'
# Nothing to do: nothing changes. A tap more is of who computes it, for all rows.
expect 0 by_libtorch photos -o a.h5 --tap avgpool,layer3,input
stderr_has 'up to date'
expect 0 by_libtorch photos -o a.h5 --tap avgpool,layer3,input,layer4
says a.h5 '^runtime     layer3: 3 rows by libtorch .*; 3 by C engine, [^;]*$' '^runtime     layer4: 6 rows by libtorch [^;]*$'
expect 0 extract --verify photos a.h5
lines '^runtime     layer3: 3 rows by libtorch .*; 3 by C engine, [^;]*$' \
  '^runtime     avgpool: 3 rows by libtorch .*; 3 by C engine, [^;]*$' '^runtime     layer4: 6 rows by libtorch [^;]*$'
[ "$(grep -c '^runtime ' stdout)" = 3 ] || failed '--verify: one line for each tap that a network computes'
# Of which of the two the rows are that stay is not known.
rm photos/a/plain.jpg
cp photos/a/tall.jpg photos/a/new.jpg; printf new >> photos/a/new.jpg
expect 0 run photos -o a.h5 --tap avgpool,layer3,input,layer4
says a.h5 '^runtime     layer3: 5 rows by libtorch .* or C engine, [^;]*; 1 by C engine, [^;]*$' \
  '^runtime     layer4: 5 rows by libtorch [^;]*; 1 by C engine, [^;]*$'
rm photos/a/new.jpg
expect 0 run photos -o a.h5 --tap avgpool,layer3,input,layer4
says a.h5 '^runtime     layer3: 5 rows by libtorch .* or C engine, [^;]*$'

# A run that was not finished goes on with another executor.
echo 'no image' > photos/b/zz.jpg
expect 3 by_libtorch photos -o b.h5 --tap avgpool --max-bad 0 --batch 1 --workers 1
rm photos/b/zz.jpg
cp photos/a/tall.jpg photos/b/zzz.jpg; printf more >> photos/b/zzz.jpg
expect 0 run photos -o b.h5 --tap avgpool
stderr_has 'resuming: 5 of 6 images'
says b.h5 '^runtime     avgpool: 5 rows by libtorch .*; 1 by C engine, [^;]*$'

# An old cache counts nothing: its rows are of the runtime that it names.
says maps.h5 '^runtime     layer3: 6 rows by fake$'

# ---- --verify ----

# The same images computed by both, in one cache.
for store in f16 f32; do
  expect 0 by_libtorch photos -o one.$store.h5 --tap avgpool,input --store $store
  expect 0 run photos -o two.$store.h5 --tap avgpool,input --store $store
  expect 0 extract --merge --force $store.h5 one.$store.h5 two.$store.h5
  says $store.h5 '^runtime     avgpool: 6 rows by libtorch .*; 6 by C engine, [^;]*$'
  expect 0 extract --verify $store.h5
  stdout_has '(6 rows of images seen before; in '
  stdout_has ' their features differ by rounding)'
done

# Rotations, from the pixels on and behind a cut, where the map whose size they take is not computed.
dinov3() { extract photos -q "$@" --backbone dinov3_vits16 --weights random:0 --resize 32 --crop 32 --tap blocks.10,cls --store f32; }
dinov3_by_libtorch() { PF_ENGINE=libtorch dinov3 "$@"; }
expect 0 dinov3_by_libtorch -o rotated.h5
expect 0 dinov3 -o ours.h5
expect 0 extract --merge --force rotations.h5 rotated.h5 ours.h5
expect 0 extract --verify rotations.h5
stdout_has ' their features differ by rounding)'
expect 0 train ours.h5 -q --val 0 --epochs 1 --finetune blocks.11 -o turned.safetensors
expect 0 predict turned.safetensors ours.h5 -q
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'h5py is not there'
# edit FILE TAP FACTOR: row 3 becomes a multiple of row 9, which is of the same image.
edit() {
  "$PYTHON" - "$@" <<'PY'
import h5py, sys
file, tap, factor = sys.argv[1:]
with h5py.File(file, "r+") as f:
    del f.attrs["sealed"]
    row = f["features"][tap][9]
    f["features"][tap][3] = (row.astype("f8") * float(factor)).astype(row.dtype)
PY
}
for store in f16 f32; do
  factor=1.0005
  [ $store = f16 ] || factor=1.000005
  cp $store.h5 near.h5
  edit near.h5 avgpool $factor
  expect 0 extract --verify near.h5
  cp $store.h5 far.h5
  edit far.h5 avgpool 1.01
  expect 1 extract --verify far.h5
  stdout_has 'of /features/avgpool differ, but their images are the same by digest'
  stderr_has 'found 1 thing wrong'
  # Pixels are the same, whoever runs the network.
  cp $store.h5 far.h5
  edit far.h5 input 0.999
  expect 1 extract --verify far.h5
  stdout_has 'of /features/input differ'
done

# ---- a cache whose rows are not counted, or wrongly ----

# provenance FILE PYTHON...: each of the statements changes p, in a copy of its own: 1.FILE, 2.FILE, ...
provenance() {
  "$PYTHON" - "$@" <<'PY'
import h5py, json, shutil, sys
for i, statement in enumerate(sys.argv[2:], 1):
    copy = f"{i}.{sys.argv[1]}"
    shutil.copy(sys.argv[1], copy)
    with h5py.File(copy, "r+") as f:
        del f.attrs["sealed"]
        p = json.loads(f.attrs["provenance"])
        exec(statement)
        f.attrs["provenance"] = json.dumps(p)
PY
}
provenance one.f16.h5 'del p["runtime_rows"]'
expect 0 run photos -o 1.one.f16.h5 --tap avgpool,input
stderr_has 'up to date'
cp photos/b/zzz.jpg photos/b/zzzz.jpg; printf more >> photos/b/zzzz.jpg
expect 0 run photos -o 1.one.f16.h5 --tap avgpool,input
mv 1.one.f16.h5 old.h5
says old.h5 '^runtime     avgpool: 6 rows by libtorch .*; 1 by C engine, [^;]*$'
of='p["runtime_rows"]["avgpool"]'
provenance old.h5 "${of}[0]['rows'] = 5" "${of}[0]['rows'] = 1e300" "${of}[0]['runtimes'] = 3" \
  "${of}[0]['runtimes'] = [None]" "${of}[0]['runtimes'] = ['x'] * 1001" "$of = {'rows': 7}" 'p["runtime_rows"] = 7' \
  'p.clear()'
for i in 1 2 3 4 5 6 7; do says $i.old.h5 '^runtime     avgpool: 7 rows by libtorch .* or C engine, [^;]*$'; done
says 8.old.h5 '^runtime     avgpool: 7 rows by what was not noted$'
no_leftovers
done_with
