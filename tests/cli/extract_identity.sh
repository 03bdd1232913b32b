# All that decides the numbers: a run that changes only one of it is refused by name,
# before anything is loaded; a run that changes anything else is not.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 2 1
sleep 2.1 # until the dates can be relied on: then nothing at all is written
expect 0 extract_fake photos -o a.h5
cp a.h5 kept.h5

# refused FIELD HAS ASKED OPTIONS...
refused() {
  field=$1 has=$2 asked=$3; shift 3
  expect 4 env PERMAFROST_PLUGIN=/nonexistent extract photos -o a.h5 "$@"
  stderr_has "'a.h5' holds features of another kind:"
  stderr_has "$field: the cache has $has, asked for $asked"
  stderr_has '--force'
  checks=$((checks + 1))
  [ "$(grep -c ': the cache has' stderr)" -eq "${fields:-1}" ] || failed "only $field should differ"
  cmp -s a.h5 kept.h5 || failed 'a refused run changed the cache'
  absent a.h5.journal
}
same='--backbone ./net.pt'
refused preprocess.resize 20 24 $same --resize 24 --crop 16
refused preprocess.crop 16 18 $same --resize 20 --crop 18
refused preprocess.interpolation '"bilinear"' '"bicubic"' $same --resize 20 --crop 16 --interpolation bicubic
refused preprocess.mean '[0.485,0.456,0.406]' '[0.5,0.456,0.406]' $same --resize 20 --crop 16 --mean .5,.456,.406
refused preprocess.std '[0.229,0.224,0.225]' '[0.229,0.224,0.25]' $same --resize 20 --crop 16 --std .229,.224,.25
refused precision '"fp32"' '"bf16"' $same --resize 20 --crop 16 --precision bf16
refused store '"f16"' '"f32"' $same --resize 20 --crop 16 --store f32
fields=2 refused preprocess.squash false true $same --squash --crop 16
# One byte of the network's file.
printf 'a networK\n' > other.pt
refused backbone.torchscript_sha256 "\"$(sha256sum < net.pt | cut -d' ' -f1)\"" \
  "\"$(sha256sum < other.pt | cut -d' ' -f1)\"" --backbone ./other.pt --resize 20 --crop 16
fields=3 refused backbone.name nothing '"resnet18_w16"' --backbone resnet18_w16 --weights "$WEIGHTS" --resize 20 --crop 16 \
  --mean .485,.456,.406 --std .229,.224,.225
# Several at once, each named; the journal of an unfinished run is asked, too.
fields=2 refused store '"f16"' '"f32"' $same --resize 20 --crop 17 --store f32
stderr_has 'preprocess.crop: the cache has 16, asked for 17'

# What does not decide the numbers.
accepted() { expect 0 env PERMAFROST_PLUGIN=/nonexistent extract "$@" -o a.h5 --resize 20 --crop 16; stderr_has 'up to date'; }
cp net.pt renamed.pt; touch -d 2001-01-01 renamed.pt
accepted photos --backbone ./renamed.pt
accepted photos $same --batch 3 --workers 1 --device cpu --max-bad 7 --sync-seconds 1 --sync-mb 5 -v
cmp -s a.h5 kept.h5 || failed 'an accepted run changed the cache'
cp -r photos elsewhere
accepted elsewhere $same
same_cache a.h5 kept.h5

# Built-in networks: name and weights; which of them ran is told by the fake plugin as well.
builtin='--backbone resnet18_w16 --resize 20 --crop 16'
rm a.h5
expect 0 extract photos -o a.h5 $builtin --weights "$WEIGHTS"
cp a.h5 kept.h5
cp "$WEIGHTS" flipped.safetensors
size=$(stat -c %s flipped.safetensors)
byte=$(tail -c 1 flipped.safetensors | od -An -tu1 | tr -d ' ')
printf "\\$(printf %03o $((byte ^ 1)))" | dd of=flipped.safetensors bs=1 seek=$((size - 1)) conv=notrunc 2> /dev/null
refused backbone.weights_sha256 "\"$(sha256sum < "$WEIGHTS" | cut -d' ' -f1)\"" \
  "\"$(sha256sum < flipped.safetensors | cut -d' ' -f1)\"" $builtin --weights flipped.safetensors
expect 4 extract photos -o a.h5 --backbone resnet18 --weights random:0 --resize 20 --crop 16 --mean 0 --std 1
stderr_has 'backbone.name: the cache has "resnet18_w16", asked for "resnet18"'
# The same file, its dates put back.
cp "$WEIGHTS" copy.safetensors
sleep 2.1
expect 0 extract photos -o b.h5 $builtin --weights copy.safetensors
expect 0 extract photos -o b.h5 $builtin --weights copy.safetensors
stderr_has 'up to date'
cp -p copy.safetensors dates
dd if=flipped.safetensors of=copy.safetensors conv=notrunc 2> /dev/null
touch -r dates copy.safetensors
expect 4 extract photos -o b.h5 $builtin --weights copy.safetensors
stderr_has 'backbone.weights_sha256'
rm b.h5
cp "$WEIGHTS" copy.safetensors
expect 0 extract photos -o a.h5 $builtin --weights copy.safetensors
stderr_has 'up to date'

# A journal of another kind is refused in the same way, and --force drops it.
expect 1 env FAKE_BACKBONE_FAIL_AT=2 extract photos -o b.h5 $same --resize 20 --crop 16 --batch 4
exists b.h5.journal
expect 4 extract photos -o b.h5 $same --resize 20 --crop 17 --batch 4
stderr_has "'b.h5.journal' holds features of another kind:"
stderr_has 'preprocess.crop: the cache has 16, asked for 17'
exists b.h5.journal
expect 4 extract photos -o b.h5 $same --resize 20 --crop 17 --batch 4 --dry-run
stderr_has 'preprocess.crop'
expect 0 extract photos -o b.h5 $same --resize 20 --crop 17 --force
stderr_has 'b.h5: 9 rows, 9 computed'
absent b.h5.journal
done_with
