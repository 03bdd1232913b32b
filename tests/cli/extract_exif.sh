# --exif and --resize-order: applied and the newest in new caches, as before in those that are there; models take both along.
. "$(dirname "$0")/harness.sh"
fake_backbone
predict --trust net.pt 2> trusted # which models may name from here on
cp -r "$SOURCE/tests/sample/old/." .
rm README.md
rows() { digest_cache "$1" | grep 'features/'; }
# same_rows A B, other_rows A B: of features alone.
same_rows() { checks=$((checks + 1)); [ "$(rows "$1")" = "$(rows "$2")" ] || failed "'$1' and '$2' hold other features"; }
other_rows() { checks=$((checks + 1)); [ "$(rows "$1")" != "$(rows "$2")" ] || failed "'$1' and '$2' hold equal features"; }
old() { extract "$@" --backbone ./net.pt --resize 20 --crop 16 --tap pixels; }
points() { old points.csv --target kind --target spot:keypoints=x,y "$@"; }
as_before='--exif ignore --resize-order pillow12'

# A new cache. Two of the six images are turned, four are resized in another order.
expect 0 old photos -o new.h5
stderr_has '2 of 6 images carry an EXIF rotation: applied'
stderr_lacks 'as Pillow 12'
stderr_lacks 'goes on'
expect 0 old photos -o new.h5 --exif auto
stderr_has 'up to date'
stderr_lacks 'goes on'
expect 0 extract --info new.h5
stdout_has '"exif":"apply"'
stdout_has '"resize_order":"pillow13"'
expect 0 old photos -o before.h5 $as_before
stderr_has '2 of 6 images carry an EXIF rotation: ignored (--exif apply turns them)'
stderr_has 'bilinear as Pillow 12, EXIF rotation ignored'
expect 0 old photos -o turned.h5 --exif apply --resize-order pillow12
expect 0 old photos -o ordered.h5 --exif ignore --resize-order pillow13
expect 0 old photos -o explicit.h5 --exif apply --resize-order pillow13
for pair in new:before new:turned new:ordered before:turned before:ordered; do other_rows "${pair%:*}.h5" "${pair#*:}.h5"; done
same_rows new.h5 explicit.h5

# A shard counts its own images: here only those of the second one are turned.
mkdir -p halves/a halves/b
for n in 1 2; do
  cp photos/a/plain.jpg halves/a/$n.jpg; echo $n >> halves/a/$n.jpg
  cp photos/a/turned.jpg halves/b/$n.jpg; echo $n >> halves/b/$n.jpg
done
expect 0 old halves -o half.h5 --shard 2/2 --dry-run
stderr_has '2 of 2 images carry an EXIF rotation: applied'
expect 0 old halves -o half.h5 --shard 1/2 --dry-run
stderr_lacks 'EXIF rotation'

# Neither passes for the other.
expect 4 old photos -o new.h5 --exif ignore
stderr_has 'preprocess.exif: the cache has "apply", asked for nothing, which means "ignore"'
expect 4 old photos -o new.h5 --resize-order pillow12
stderr_has 'preprocess.resize_order: the cache has "pillow13", asked for nothing, which means "pillow12"'
expect 4 extract --merge no.h5 new.h5 ordered.h5
stderr_has 'preprocess.exif'
expect 4 extract --merge no.h5 new.h5 turned.h5
stderr_has 'preprocess.resize_order'
expect 2 old photos -o no.h5 --exif sideways
stderr_has '--exif'
expect 2 old photos -o no.h5 --resize-order pillow11
# What a run began is gone on with, without the options as well.
expect 0 old photos -o ordered.h5
stderr_has 'ordered.h5 goes on as it began: EXIF rotation is ignored; a new one, or --force, applies it'
expect 0 old photos -o turned.h5
stderr_has "turned.h5 goes on as it began: images are resized in Pillow 12's order; a new one, or --force, resizes in"

# A cache of before: up to date, and it says why it stays as it is.
cp points.h5 kept.h5
expect 0 points -o points.h5
stderr_has "points.h5 goes on as it began: EXIF rotation is ignored, and images are resized in Pillow 12's order;"
stderr_has 'up to date'
expect 4 points -o points.h5 --exif apply
stderr_has 'preprocess.exif: the cache has nothing, which means "ignore", asked for "apply"'
expect 4 points -o points.h5 --resize-order pillow13
stderr_has 'preprocess.resize_order: the cache has nothing, which means "pillow12", asked for "pillow13"'
checks=$((checks + 1)); cmp -s points.h5 kept.h5 || failed 'a cache of before was changed'
expect 0 points -o points.h5 $as_before
stderr_lacks 'goes on'
# An image more is computed as the others were; the result is that of a run that asks for it.
cp photos/a/turned.jpg photos/b/another.jpg; printf 'more' >> photos/b/another.jpg
echo photos/b/another.jpg,b,7,8 >> points.csv
expect 0 points -o points.h5
stderr_has '1 of 1 image to compute carries an EXIF rotation: ignored, as in the rows that are there'
saw_one() { checks=$((checks + 1)); tail -n 1 images | grep -qx 1 || failed 'not one image was computed'; }
saw_one
expect 0 points -o fresh.h5 $as_before
same_cache points.h5 fresh.h5
expect 0 extract --verify points.csv points.h5
expect 0 extract --merge merged.h5 points.h5 fresh.h5
# --force begins anew.
expect 0 points -o points.h5 --force
stderr_has 'EXIF rotation: applied'
other_rows points.h5 fresh.h5

# The journal of a run of before.
rm photos/b/another.jpg
expect 0 old photos -o unfinished.h5 --dry-run
stderr_has "unfinished.h5.journal goes on as it began: EXIF rotation is ignored, and images are resized in Pillow 12's order;"
expect 4 old photos -o unfinished.h5 --exif apply
stderr_has 'preprocess.exif'
expect 0 old photos -o unfinished.h5
stderr_has 'resuming: 4 of 6 images'
same_rows unfinished.h5 before.h5

# Models of before see images as their features were made.
for model in kind spot; do
  expect 0 predict $model.safetensors photos --backbone ./net.pt
  checks=$((checks + 1)); cmp -s stdout $model.csv || failed "predict $model.safetensors sees other images"
  stderr_has "2 of 6 images carry an EXIF rotation: ignored, as in the model's features"
done
expect 0 predict kind.safetensors kept.h5
expect 4 predict kind.safetensors new.h5
stderr_has '"resize_order":"pillow13"'
# And those of today.
expect 0 train kept.h5 --target kind --val 0 -o again.safetensors
expect 0 old photos -o new32.h5 --store f32
expect 0 train new32.h5 --val 0 -o new.safetensors
expect 0 predict new.safetensors new32.h5
cut -d, -f2- stdout > cached
expect 0 predict new.safetensors photos
stderr_has "2 of 6 images carry an EXIF rotation: applied, as in the model's features"
cut -d, -f2- stdout > computed
checks=$((checks + 1)); cmp -s cached computed || failed 'predict turns images otherwise than extract did'
expect 4 predict new.safetensors before.h5
sed 's/\\"exif\\":\\"apply\\"/\\"exif\\":\\"aside\\"/; s/\\"digest\\"/\\"former\\"/' new.safetensors > later.safetensors # as a later version may write it
expect 1 predict later.safetensors photos
stderr_has '"exif"'

# Points are in the frame of the image as a viewer shows it: a dark spot at one place of the turned image is found there.
cat > spots.py <<'P'
import sys
from PIL import Image, ImageOps
print("path,x,y")
for orientation in range(1, 9):
    for n, (x, y) in enumerate([(8, 40), (25, 36), (14, 55), (20, 48)]):
        shown = Image.new("RGB", (36, 90), "white")
        shown.paste((0, 0, 0), (x - 4, y - 4, x + 4, y + 4))
        exif = Image.Exif()
        exif[0x0112] = orientation
        # Laid down so that a viewer shows it upright.
        back = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
                6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}.get(orientation)
        stored = shown.transpose(back) if back is not None else shown
        stored.save(f"{orientation}{n}.png", exif=exif)
        assert ImageOps.exif_transpose(Image.open(f"{orientation}{n}.png")).tobytes() == shown.tobytes()
        print(f"{orientation}{n}.png,{x},{y}")
P
"$PYTHON" spots.py > spots.csv 2> /dev/null || skip 'the rest needs Pillow'
expect 0 old spots.csv -o spots.h5 --target spot:keypoints=x,y --views 3
stderr_has '28 of 32 images carry an EXIF rotation: applied'
expect 0 old spots.csv -o spots.h5 --target spot:keypoints=x,y --force
expect 0 train spots.h5 --val 0 -o spots.safetensors
expect 0 predict spots.safetensors ./*.png
# Images of all orientations look the same once turned, and so do the points that are predicted.
checks=$((checks + 1))
[ "$(sed 1d stdout | cut -d, -f2- | sort -u | wc -l)" -eq 4 ] || failed 'turned images are not equal'
done_with
