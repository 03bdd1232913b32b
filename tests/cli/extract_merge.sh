# --shard and --merge, on a backbone that costs nothing: shards joined are the single run;
# what does not fit together is refused by name; virtual caches move, and never show rows
# that are not there.
. "$(dirname "$0")/harness.sh"
export PERMAFROST_PLUGIN="$BUILD/tests/fake_backbone_plugin.so"
echo network > net.pt

# images FOLDER FIRST COUNT CLASS...: noise of 64 x 64 pixels, dealt out to the classes in turn.
images() {
  "$PYTHON" - "$@" <<'PYTHON'
import os, random, sys
folder, first, count, *classes = sys.argv[1:]
first, count = int(first), int(count)
for i in range(first, first + count):
    path = f"{folder}/{classes[(i - first) * len(classes) // count]}/{i:04}.ppm"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(b"P6 64 64 255\n" + random.Random(i).randbytes(3 * 64 * 64))
    os.utime(path, (1.6e9 + i, 1.6e9 + i))
PYTHON
}

# A row of tap `pixels` has 24 KB, and a chunk 16 rows.
fake_extract() { extract "$@" --backbone net.pt --tap mean,pixels --resize 64 --crop 64; }
same_datasets() {
  checks=$((checks + 1))
  digest_cache "$1" | tail -n +2 > left.txt; digest_cache "$2" | tail -n +2 > right.txt
  diff left.txt right.txt > stdout || failed "$1 and $2 differ"
}

# ---- shards ----

images photos 0 96 ant bee cat
expect 0 fake_extract photos -o single.h5 --split val=0.25
for k in 1 2 3; do
  expect 0 fake_extract photos -o part$k.h5 --split val=0.25 --shard $k/3
  stderr_has "shard $k of 3"
done
expect 0 extract --info part2.h5
stdout_has 'rows        32'
stdout_has 'provenance  shard: [2,3]'
stdout_has 'provenance  dataset_rows: 96'
stdout_has '3 classes'
expect 0 extract --merge merged.h5 part1.h5 part2.h5 part3.h5
stderr_has 'merged.h5: 96 rows of 3 caches'
stderr_has '6 chunks moved, 1 encoded again'
stderr_lacks 'another input'
same_datasets single.h5 merged.h5
expect 0 extract --info merged.h5
stdout_lacks 'shard'
stdout_lacks 'dataset_rows'

# In whatever order they are named; and once more over what a merge has made.
expect 0 extract --merge merged.h5 part3.h5 part1.h5 part2.h5
same_datasets single.h5 merged.h5
no_leftovers
# What was extracted is not replaced: the output might have been forgotten.
expect 1 extract --merge part1.h5 part2.h5 part3.h5
stderr_has "'part1.h5' is there already, and was extracted"
expect 2 extract --merge part1.h5 part1.h5 part2.h5
stderr_has 'is the output and an input'
ln -s part1.h5 link.h5
expect 2 extract --merge out.h5 part1.h5 link.h5
stderr_has 'are one file'
expect 0 extract --merge -o forced.h5 part3.h5 part2.h5 part1.h5
cp part1.h5 replaced.h5
expect 0 extract --merge --force -o replaced.h5 part3.h5 part2.h5 part1.h5
same_datasets single.h5 replaced.h5
# The merged cache is one like any other.
expect 0 fake_extract photos -o merged.h5 --split val=0.25
stderr_has 'up to date'
expect 0 extract --merge --virtual thin.h5 part1.h5 part2.h5 part3.h5
expect 0 fake_extract photos -o thin.h5 --split val=0.25
stderr_has 'up to date'
rm photos/ant/0005.ppm
expect 0 fake_extract photos -o merged.h5 --split val=0.25
stderr_has '95 rows'
expect 1 extract --merge merged.h5 part1.h5 part2.h5 part3.h5
stderr_has 'was extracted'
images photos 0 96 ant bee cat

# One missing, one twice, of another size.
expect 1 extract --merge out.h5 part1.h5 part3.h5
stderr_has 'missing: 2.'
stderr_has '--shard K/3'
expect 1 extract --merge out.h5 part2.h5
stderr_has 'missing: 1, 3.'
absent out.h5
expect 0 extract --merge out.h5 part3.h5 part1.h5 --force
stderr_has '64 rows of 2 caches'
cp part2.h5 twice.h5
expect 1 extract --merge other.h5 part1.h5 part2.h5 twice.h5 part3.h5
stderr_has "'part2.h5' and 'twice.h5' are both shard 2 of 3"
expect 0 extract --merge --force other.h5 part1.h5 part2.h5 twice.h5 part3.h5
stderr_has '32 rows are of images that another input has too'
rm other.h5
expect 1 env PF_FAKE_DISK_FREE=1000000 extract --merge other.h5 part1.h5 part2.h5 part3.h5
stderr_has "'other.h5': the disk has 1.0 MB free; the features alone are about 1."
expect 0 env PF_FAKE_DISK_FREE=2200000 extract --merge other.h5 part1.h5 part2.h5 part3.h5
expect 1 env PF_FAKE_DISK_FREE=2200000 extract --merge other.h5 part1.h5 part2.h5 part3.h5 --compress none
stderr_has 'the features alone are about 2.4 MB'
rm other.h5
# One listing in two shards and in three: every image twice.
for k in 1 2; do expect 0 fake_extract photos -o two$k.h5 --split val=0.25 --shard $k/2; done
expect 0 extract --merge other.h5 two1.h5 two2.h5 part1.h5 part2.h5 part3.h5
stderr_has '96 rows are of images that another input has too'
# Two datasets of as many images, in as many shards.
images birds 200 96 ant bee cat
for k in 1 2; do expect 0 fake_extract birds -o birds$k.h5 --split val=0.25 --shard $k/2; done
expect 0 fake_extract birds -o birds.h5 --split val=0.25
expect 1 extract --merge other.h5 two1.h5 birds2.h5
stderr_has "'two1.h5' and 'birds2.h5' are shards of two listings"
expect 1 extract --merge other.h5 two1.h5 birds2.h5 two2.h5
stderr_has "'birds2.h5' is shard 2 of 2 of a dataset of 96 images; missing: 1"
expect 0 extract --merge other.h5 birds2.h5 two2.h5 birds1.h5 two1.h5
stderr_lacks 'another input'
expect 0 extract --merge wanted.h5 birds.h5 single.h5
same_datasets wanted.h5 other.h5
rm other.h5
expect 0 fake_extract photos -o half.h5 --split val=0.25 --shard 1/2
expect 1 extract --merge other.h5 part1.h5 part2.h5 half.h5 part3.h5
stderr_has "'half.h5' is shard 1 of 2"
absent other.h5
expect 2 fake_extract photos -o other.h5 --shard 1/97
stderr_has 'has only 96 images'
for shard in 0/3 4/3 1 a/b 1/0 1/3x -1/3; do
  expect 2 fake_extract photos -o other.h5 --shard $shard
  stderr_has '--shard: expected K/N'
done

# Bad images at the shards' ends: rows do not end where chunks do any more.
images bad 0 96 ant bee cat
for i in ant/0000 ant/0031 bee/0032 cat/0095; do echo 'no image' > bad/$i.ppm; done
expect 0 fake_extract bad -o single_bad.h5
for k in 1 2 3; do expect 0 fake_extract bad -o bad$k.h5 --shard $k/3; done
expect 0 extract --merge merged_bad.h5 bad2.h5 bad1.h5 bad3.h5
stderr_has '92 rows of 3 caches, 4 rejected'
same_datasets single_bad.h5 merged_bad.h5
expect 3 fake_extract bad -o other.h5 --shard 1/3 --max-bad 1

# ---- caches that are no shards ----

images more 200 40 bee dog
expect 0 fake_extract more -o more.h5
expect 0 extract --merge both.h5 merged_bad.h5 more.h5
stderr_has '132 rows of 2 caches'
expect 0 extract --info both.h5
stdout_has '0 ant: 30'
stdout_has '1 bee: 51'
stdout_has '2 cat: 31'
stdout_has '3 dog: 20'
mkdir flat; cp more/*/* flat
expect 0 fake_extract flat -o flat.h5
expect 0 extract --merge both.h5 flat.h5 more.h5
stderr_has "'flat.h5' has no target 'class': its rows are unlabelled"
expect 0 extract --info both.h5
stdout_has '2 classes, 40 rows unlabelled'
# gzip stays gzip.
expect 0 fake_extract more -o gzip.h5 --compress gzip
expect 0 extract --merge both.h5 gzip.h5 flat.h5
expect 0 extract --info both.h5
stdout_has 'gzip, fletcher32'
expect 0 extract --merge both.h5 gzip.h5 --compress gzip:9
stderr_has '; 0 chunks moved'
expect 0 extract --merge both.h5 gzip.h5 --compress gzip
stderr_lacks '; 0 chunks moved'
expect 0 extract --merge both.h5 gzip.h5 flat.h5 --compress none
expect 0 extract --info both.h5
stdout_lacks 'gzip, fletcher32'

# Another identity, other taps.
expect 0 extract more -o crop.h5 --backbone net.pt --tap mean,pixels --resize 64 --crop 32
expect 4 extract --merge out.h5 --force more.h5 crop.h5
stderr_has "'more.h5'"
stderr_has "'crop.h5'"
stderr_has 'preprocess.crop'
expect 0 extract more -o taps.h5 --backbone net.pt --tap mean --resize 64 --crop 64
expect 4 extract --merge out.h5 --force more.h5 taps.h5
stderr_has "tap 'pixels'"
expect 0 extract more -o order.h5 --backbone net.pt --tap pixels,mean --resize 64 --crop 64
expect 0 extract --merge out.h5 --force more.h5 order.h5
expect 1 extract --merge out.h5 more.h5 nowhere.h5
stderr_has 'nowhere.h5'
expect 2 extract --merge out.h5
stderr_has 'which caches'

# ---- virtual ----

mkdir set
for k in 1 2 3; do cp part$k.h5 set/part$k.h5; done
expect 0 extract --merge --virtual set/all.h5 set/part3.h5 set/part2.h5 set/part1.h5
stderr_has 'set/all.h5: 96 rows of 3 caches'
stderr_has 'virtual'
same_datasets single.h5 set/all.h5
expect 0 extract --info set/all.h5
stdout_has 'virtual     32 rows in part1.h5'
stdout_has '            32 rows in part3.h5'
expect 0 extract --verify set/all.h5
stdout_has 'set/all.h5 is sound: seal, 96 rows of 2 taps'
# The folder moves as a whole, and may be read from anywhere.
mv set moved
same_datasets single.h5 moved/all.h5
(cd moved && expect 0 extract --info all.h5)
# Elsewhere than its sources; over a virtual one; of both kinds; without.
mkdir up
expect 0 extract --merge --virtual up/all.h5 moved/part1.h5 part2.h5 moved/part3.h5
stderr_has "refers to files outside its folder, which are read with --sources-from $(pwd -P) only"
expect 1 extract --info up/all.h5
stderr_has "lies outside its folder '$(pwd -P)/up'"
expect 0 extract --info --sources-from . up/all.h5
stdout_has '32 rows in ../moved/part1.h5'
expect 0 extract --verify --sources-from . up/all.h5
expect 0 extract --merge up/whole.h5 --sources-from . up/all.h5
same_datasets single.h5 up/whole.h5
expect 0 extract --merge --virtual --sources-from . up/all.h5 moved/part1.h5 part2.h5 moved/part3.h5
expect 2 extract --info --sources-from
expect 1 extract --info --sources-from nowhere up/all.h5
stderr_has "--sources-from 'nowhere'"
expect 0 extract --merge --virtual over.h5 moved/all.h5 more.h5
expect 0 extract --info over.h5
stdout_has 'virtual     32 rows in moved/part1.h5'
stdout_has '            40 rows in more.h5'
expect 0 extract --merge whole.h5 moved/all.h5 more.h5
stderr_has '136 rows of 2 caches'
same_datasets whole.h5 over.h5
expect 0 extract --merge whole.h5 moved/all.h5
stderr_has '6 chunks moved, 1 encoded again'
same_datasets single.h5 whole.h5
expect 2 extract --merge --force moved/part2.h5 moved/all.h5 more.h5
stderr_has "what the virtual cache 'moved/all.h5' refers to"

# train and predict see one cache in three files.
mkdir one two three
cp single.h5 one/photos.h5
cp merged_bad.h5 two/photos.h5 # of other rows
expect 0 extract --merge --force two/photos.h5 part1.h5 part2.h5 part3.h5
ln part1.h5 part2.h5 part3.h5 three
expect 0 extract --merge --virtual three/photos.h5 three/part1.h5 three/part2.h5 three/part3.h5
stderr_lacks 'sources-from'
for folder in one two three; do
  (cd $folder && expect 0 train photos.h5 -o model.safetensors --tap pixels --epochs 3 --json train.json &&
    expect 0 predict model.safetensors photos.h5 && mv stdout predicted.csv) || exit 1
done
for folder in two three; do
  checks=$((checks + 2))
  same_head one/model.safetensors $folder/model.safetensors || failed "$folder: another model"
  cmp one/predicted.csv $folder/predicted.csv > stdout || failed "$folder: other predictions"
done

# Missing, changed, damaged: named by every program, and nothing is made up.
refused() {
  expect 1 extract --info moved/all.h5; stderr_has "$1"; stderr_has 'part2.h5'
  expect 1 train moved/all.h5 -o x.safetensors --tap pixels; stderr_has "$1"
  expect 1 predict one/model.safetensors moved/all.h5; stderr_has "$1"; stdout_lacks '.ppm'
  expect 1 extract --merge x.h5 moved/all.h5; stderr_has "$1"
  expect 1 fake_extract photos -o moved/all.h5 --split val=0.25; stderr_has "$1"
  expect 1 extract --verify moved/all.h5; stdout_has "$1"
  absent x.h5; absent x.safetensors
}
mv moved/part2.h5 .away.h5
refused 'is not there'
cp part3.h5 moved/part2.h5
refused 'has been written again since'
head -c 20000 .away.h5 > moved/part2.h5
refused 'damaged'
mv .away.h5 moved/part2.h5
same_datasets single.h5 moved/all.h5
# An incremental run makes an ordinary file of it.
cp moved/all.h5 moved/grows.h5
images photos 300 1 owl
export FAKE_BACKBONE_LOG="$PWD/log.txt"
expect 0 fake_extract photos -o moved/grows.h5 --split val=0.25
checks=$((checks + 1))
[ "$(cat log.txt)" = 1 ] || failed 'rows of a virtual cache were computed again'
unset FAKE_BACKBONE_LOG
expect 0 extract --info moved/grows.h5
stdout_has 'rows        97'
stdout_lacks 'virtual'
expect 0 fake_extract photos -o fresh.h5 --split val=0.25
same_datasets fresh.h5 moved/grows.h5
no_leftovers
done_with
