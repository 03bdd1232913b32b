# Tap `input` alone: no weights are needed, looked for or named, by any program; other taps, fine-tuning and
# merging find them later.
. "$(dirname "$0")/harness.sh"
fake_backbone
export HOME="$WORK" && unset TORCH_HOME XDG_CACHE_HOME # no published weights
cp -r "$SOURCE/tests/sample/old/photos" .
mkdir weights
cp "$WEIGHTS" weights/mine.safetensors
sha256=$(sha256sum < "$WEIGHTS" | cut -c1-64)
# pixels ...: tap `input`, without a plugin; features ...: other taps.
pixels() { PERMAFROST_PLUGIN=/nonexistent extract "$@" --tap input --backbone resnet18_w16 --resize 20 --crop 16; }
features() { extract "$@" --backbone resnet18_w16 --resize 20 --crop 16; }
rows() { digest_cache "$1" | grep 'features/input'; }
same_rows() { checks=$((checks + 1)); [ "$(rows "$1")" = "$(rows "$2")" ] || failed "'$1' and '$2' hold other pixels"; }
names_none() { expect 0 extract --info "$1"; stdout_lacks weights; }
names() { expect 0 extract --info "$1"; stdout_has "\"weights_sha256\":\"$sha256\""; }

# Every built-in network, as it prepares images; V1's way where there are two.
for network in resnet18 resnet50 vgg11_bn; do
  expect 0 env PERMAFROST_PLUGIN=/nonexistent extract photos -o $network.h5 --tap input --backbone $network
  stderr_has "$network (pixels alone, no weights are needed); resize 256, centre crop 224"
  names_none $network.h5
  stdout_has "backbone: {\"name\":\"$network\"}"
done
expect 1 extract photos -o x.h5 --tap input,layer3
stderr_has 'no weights for resnet18 '
expect 2 extract photos -o x.h5 --tap inputs --backbone resnet18_w16 --weights random:0
expect 0 pixels photos -o none.h5 --dry-run
absent none.h5

# Up to date, and with one image more; also with dates that tell nothing; --verify.
expect 0 pixels photos -o none.h5
names_none none.h5
expect 0 pixels photos -o none.h5
stderr_has 'up to date'
touch photos/a/*
expect 0 pixels photos -o none.h5
stderr_has 'up to date'
cp photos/a/plain.jpg photos/b/more.jpg; printf more >> photos/b/more.jpg
expect 0 pixels photos -o none.h5
stderr_has '1 new, 6 reused'
names_none none.h5
expect 0 extract --verify photos none.h5
rm photos/b/more.jpg
expect 0 pixels photos -o none.h5

# Weights that are named are read and noted, and make the same pixels.
expect 1 pixels photos -o named.h5 --weights nowhere.safetensors
expect 0 pixels photos -o named.h5 --weights weights/mine.safetensors
names named.h5
stdout_has "weights_path: $WORK/weights/mine.safetensors"
same_rows none.h5 named.h5
# A cache with such a note, as all were before, goes on with it, wherever the file is now.
cp named.h5 old.h5
mv weights gone
expect 0 pixels photos -o old.h5
stderr_has 'up to date'
cp photos/a/plain.jpg photos/b/more.jpg; printf more >> photos/b/more.jpg
expect 0 pixels photos -o old.h5
stderr_has '1 new, 6 reused'
names old.h5
extract --info named.h5 | grep 'provenance  weights_' > of_before
grep -F -f of_before stdout | cmp -s - of_before || failed 'other weights are noted than before'
expect 4 pixels photos -o old.h5 --weights random:0
stderr_has 'backbone.weights_sha256'
expect 1 features photos -o old.h5 --tap input,layer3
stderr_has "'old.h5' was made with the weights '$WORK/weights/mine.safetensors' (SHA-256 $sha256)"
expect 0 features photos -o old.h5 --tap layer3 --weights gone/mine.safetensors
names old.h5
# Beside features pixels need them again: an image that is new gets all taps.
mv gone away
expect 1 pixels photos -o old.h5
stderr_has 'not to be had there any more'
mv away gone
rm photos/b/more.jpg
expect 4 env PERMAFROST_PLUGIN=/nonexistent extract photos -o named.h5 --tap input --backbone resnet18 --resize 20 --crop 16
stderr_has 'backbone.name: the cache has "resnet18_w16", asked for "resnet18"'

# Caches without them take any: named ones are noted, other taps are of those from then on.
cp none.h5 noted.h5
expect 0 pixels photos -o noted.h5 --weights gone/mine.safetensors
stderr_has '0 new, 6 reused'
names noted.h5
cp none.h5 grown.h5
expect 1 features photos -o grown.h5 --tap layer3
stderr_has 'has no published weights'
expect 0 features photos -o grown.h5 --tap layer3 --weights gone/mine.safetensors
names grown.h5
stdout_has layer3
same_rows none.h5 grown.h5
expect 4 features photos -o grown.h5 --tap layer2 --weights random:0
expect 4 features photos -o none.h5 --tap layer3 --weights gone/mine.safetensors --interpolation bicubic
stderr_has 'preprocess.interpolation'
stderr_lacks weights_sha256

# Unfinished: the journal goes on, also that of a cache; but it takes no features, whose weights it could not tell.
# stopped RUN CACHE ARGUMENTS...: ends early at an image that is damaged, and keeps the rows of the others.
stopped() {
  run=$1 cache=$2; shift 2
  head -c 300 photos/a/plain.jpg > photos/b/zz.jpg
  expect 3 "$run" photos -o "$cache.h5" --max-bad 0 --workers 1 --batch 1 "$@"
  rm photos/b/zz.jpg
  exists "$cache.h5.journal"
}
stopped pixels cut
expect 4 features photos -o cut.h5 --tap input,layer3 --weights gone/mine.safetensors --dry-run
expect 4 features photos -o cut.h5 --tap input,layer3 --weights gone/mine.safetensors
stderr_has "'cut.h5.journal' holds pixels of an unfinished run that needed no weights"
stderr_has '--tap input and without --weights'
expect 0 pixels photos -o cut.h5
stderr_has 'resuming: 6 of 6 images'
same_cache cut.h5 none.h5
expect 0 features photos -o cut.h5 --tap input,layer3 --weights gone/mine.safetensors
same_cache cut.h5 grown.h5
# One that was begun with weights, as all were before.
stopped pixels begun --weights gone/mine.safetensors
mv gone away
expect 0 pixels photos -o begun.h5
stderr_has 'resuming: 6 of 6 images'
names begun.h5
mv away gone
# One of features beside a cache of pixels: of its own weights, and of no other.
cp none.h5 more.h5
FAKE_BACKBONE_FAIL_AT=3 expect 1 features photos -o more.h5 --tap layer3 --weights gone/mine.safetensors --batch 1
exists more.h5.journal
expect 0 pixels photos -o more.h5
stderr_has 'up to date'
stderr_has 'more.h5.journal stays: it holds rows of tap layer3'
names_none more.h5
expect 4 features photos -o more.h5 --tap layer3 --weights random:0
stderr_has 'backbone.weights_sha256'
expect 0 features photos -o more.h5 --tap layer3 --weights gone/mine.safetensors
same_cache more.h5 grown.h5

# Shards, of which one notes weights.
expect 0 pixels photos -o part1.h5 --shard 1/2
expect 0 pixels photos -o part2.h5 --shard 2/2 --weights gone/mine.safetensors
expect 0 pixels photos -o part3.h5 --shard 2/2 --weights random:0
for how in '' --virtual; do
  expect 0 extract --merge $how "joined$how.h5" part1.h5 part2.h5
  names_none "joined$how.h5"
  same_rows "joined$how.h5" none.h5
  expect 0 extract --merge $how --force "turned$how.h5" part2.h5 part1.h5
done
expect 4 extract --merge x.h5 part2.h5 part3.h5
stderr_has 'backbone.weights_sha256'

# A head on the pixels themselves, and what it says of images and of caches.
export PERMAFROST_PLUGIN=/nonexistent
train_head() { train "$1" --val 0 --epochs 3 -q -o "$2"; }
expect 0 train_head none.h5 head.safetensors
expect 0 predict head.safetensors none.h5
sort stdout > expected
for cache in named noted grown joined--virtual; do
  expect 0 predict head.safetensors $cache.h5
  sort stdout | cmp -s - expected || failed "$cache: other predictions"
done
expect 0 predict head.safetensors photos
cut -d, -f1,2 stdout | sed 's|photos/||' | sort > of_images
cut -d, -f1,2 expected | cmp -s - of_images || failed 'images: other predictions'
expect 2 predict head.safetensors photos --weights random:0
stderr_has 'takes the pixels themselves, and no weights'
expect 0 train_head named.h5 old_head.safetensors # its weights are not where it says
expect 0 predict old_head.safetensors photos
expect 0 predict old_head.safetensors none.h5
expect 4 predict old_head.safetensors photos --weights random:0
fake_backbone

# Fine-tuned from the pixels on: weights are named then, and the model notes them. (Crops are of the three numbers
# that the network of this test takes.)
pixel() { extract photos -o "$@" --backbone resnet18_w16 --resize 4 --crop 1; }
expect 0 pixel none.h5 --tap input --force
expect 0 pixel named.h5 --tap input --force --weights gone/mine.safetensors
expect 0 pixel grown.h5 --tap input,layer3 --force --weights gone/mine.safetensors
tune() { train none.h5 --finetune all --val 0 --epochs 2 --batch 3 "$@"; }
expect 1 tune -o tuned.safetensors
stderr_has 'resnet18_w16 has no published weights'
expect 0 tune -o tuned.safetensors --weights gone/mine.safetensors
stderr_has "weights: gone/mine.safetensors, sha256 $(printf %.8s "$sha256"); the cache of pixels names none"
grep -aqF "$sha256" tuned.safetensors || failed 'the model does not note its weights'
expect 0 predict tuned.safetensors photos
expect 4 predict tuned.safetensors photos --weights random:0
for cache in none named grown; do expect 0 predict tuned.safetensors $cache.h5; done
expect 4 predict tuned.safetensors none.h5 --weights random:0
expect 0 tune -o more.safetensors --weights gone/mine.safetensors --init tuned.safetensors
expect 4 tune -o more.safetensors --weights random:0 --init tuned.safetensors
stderr_has 'belongs to another network'
expect 0 train named.h5 --finetune all --val 0 --epochs 2 --batch 3 --weights gone/mine.safetensors -o other.safetensors
expect 4 train named.h5 --finetune all --val 0 --epochs 2 --weights random:0 -o x.safetensors
expect 0 predict other.safetensors none.h5
# Its checkpoint is of those weights.
code=0; FAKE_SUFFIX_DIE_AT=3 tune -o cut.safetensors --weights gone/mine.safetensors > log 2>&1 || code=$?
exists cut.safetensors.checkpoint
expect 4 tune -o cut.safetensors --weights random:0 --resume
stderr_has 'is of another run'
expect 0 tune -o cut.safetensors --weights gone/mine.safetensors --resume
stderr_has 'going on after epoch 1'
mv gone away
expect 1 predict tuned.safetensors photos
stderr_has "was made with the weights '$WORK/gone/mine.safetensors' (SHA-256 $sha256)"
done_with
