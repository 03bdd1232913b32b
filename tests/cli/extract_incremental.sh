# A second run on a changed dataset: the network sees what was never seen, and the
# cache is what a fresh run would have made.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 6 2
# Pictures that are not among those.
spare() { find "$SAMPLE/pictures/train/$1" -type f | sort | sed -n "$2p"; }

# again N [OPTIONS]: a.h5 is brought up to date, the network seeing N images; then
# compared with a fresh cache.
again() {
  images=$1; shift
  expect 0 extract_fake photos -o a.h5 "$@"
  saw "$images"; passes=$(wc -l < images)
  absent a.h5.journal
  no_leftovers
  command="fresh run after: $command"
  extract_fake photos -o fresh.h5 --force ${fresh:-"$@"} > /dev/null 2> fresh.log || failed "no fresh run: $(cat fresh.log)"
  same_cache a.h5 fresh.h5
}

again 24
stderr_has '24 images: 24 new, 0 reused, 0 rejected'
stderr_has 'a.h5: 24 rows, 24 computed'

# Nothing: no plugin is loaded, no date changes.
untouched() {
  cp -p a.h5 before.h5
  expect 0 env PERMAFROST_PLUGIN=/nonexistent extract photos -o a.h5 --backbone ./net.pt --resize 20 --crop 16 "$@"
  stderr_has 'up to date'
  checks=$((checks + 1)); [ a.h5 -nt before.h5 ] && failed 'an up-to-date cache was touched'
  absent a.h5.journal
}
untouched
find photos -name '*.jpg' -exec touch {} +
untouched
untouched --batch 7 --workers 3

# New ones, and equal ones among the new: the first place counts.
cp "$(spare cat 20)" photos/train/cat/aaa.jpg
again 1
stderr_has '25 images: 1 new, 24 reused, 0 rejected'
cp "$(spare boat 20)" photos/train/boat/zzz.jpg; cp "$(spare boat 20)" photos/train/cat/bbb.jpg
cp "$(spare boat 20)" photos/val/cat/bbb.jpg
again 1
stderr_has 'a.h5: 28 rows, 1 computed'
# A copy of a known one.
cp photos/train/cat/aaa.jpg photos/val/tree/copy.jpg
again 0
# Changed: other bytes under an old name.
cp "$(spare tree 20)" photos/train/cat/aaa.jpg
again 1
# Renamed, moved to another class, moved to another split, and all of it at once.
first=$(ls photos/train/tree | head -n 1)
mv "photos/train/tree/$first" photos/train/tree/zz.jpg
again 0
mv photos/train/tree/zz.jpg photos/train/boat/zz.jpg
again 0
mv photos/train/boat/zz.jpg photos/val/boat/zz.jpg
again 0
stderr_has '0 new, 29 reused'
mkdir photos/train/house
mv photos/train/cat/aaa.jpg photos/train/house/aaa.jpg; mv photos/val/tree/copy.jpg photos/train/tree/copy.jpg
cp "$(spare cat 21)" photos/val/cat/new.jpg
again 1
# Deleted.
rm photos/val/cat/new.jpg photos/train/cat/"$(ls photos/train/cat | head -n 1)"
again 0
stderr_has 'a.h5: 28 rows, 0 computed'
rm -r photos/train/house
again 0
untouched

# Swapped by mv, of equal size and date.
head -c 3000 /dev/zero | tr '\0' 'A' > pixels
for name in x y; do
  { printf 'P6 40 25 255\n'; tr 'A' "$name" < pixels; } > "photos/train/cat/$name.ppm"
  touch -d 2020-01-01 "photos/train/cat/$name.ppm"
done
sleep 2.1
again 2
untouched
mv photos/train/cat/x.ppm swap; mv photos/train/cat/y.ppm photos/train/cat/x.ppm; mv swap photos/train/cat/y.ppm
again 0
stderr_lacks 'up to date'
untouched

# A tap more, alone for old images (27 of them different); with new images in the same
# run; a tap fewer.
again 27 --tap mean,grid,pixels
stderr_has '0 new, 29 lack pixels, 0 reused'
stderr_has 'tap pixels (3,16,16) f16'
fresh='--tap mean,grid,pixels'
again 0
untouched --tap grid
cp "$(spare cat 22)" photos/train/cat/ccc.jpg
again 1 --tap mean
fresh='--tap mean,grid,pixels'
# From one tap to two, with an image that is new to both.
rm a.h5; fresh=
again 28 --tap grid
cp "$(spare cat 23)" photos/train/cat/ddd.jpg
fresh='--tap grid,mean'
again 29 --tap mean
stderr_has '31 images: 1 new, 30 lack mean, 0 reused'
checks=$((checks + 1)); [ "$passes" -eq 2 ] || failed 'a pass for each set of taps was expected'
rm a.h5; fresh=
again 29

# Other compression: the chunks are made again, the features not computed.
again 0 --compress gzip:1
expect 0 extract --info a.h5
stdout_has '(shuffle, gzip, fletcher32)'
again 0
# Another level of the same, where one is named.
expect 0 extract_fake photos -o a.h5 --compress zstd:19; saw 0; stderr_lacks 'up to date'
for same in --compress=zstd:19 --compress=zstd ''; do
  expect 0 extract_fake photos -o a.h5 $same; stderr_has 'up to date'
done
again 0 --compress zstd:1
expect 0 extract_fake photos -o a.h5 --compress zstd:1; stderr_has 'up to date'

# Images that cannot be used: named once, counted always, tried again when they change.
echo 'this is text' > photos/train/boat/text.jpg; : > photos/train/cat/empty.jpg
ln -s /nonexistent.jpg photos/train/tree/dangling.jpg
again 0
stderr_has 'train/boat/text.jpg: '
stderr_has 'train/cat/empty.jpg: is empty'
stderr_has 'a.h5: 31 rows, 3 rejected, 0 computed'
untouched
stderr_lacks 'text.jpg'
touch photos/train/boat/text.jpg
untouched
cp photos/train/boat/text.jpg photos/val/boat/text.jpg
again 0
stderr_has 'val/boat/text.jpg: '
stderr_lacks 'train/boat/text.jpg: '
stderr_has '35 images: 0 new, 31 reused, 4 rejected, 3 of them before'
cp "$(spare boat 21)" photos/train/boat/text.jpg; cp "$(spare boat 22)" photos/train/cat/empty.jpg
again 2
stderr_has 'a.h5: 33 rows, 2 rejected, 2 computed'
expect 3 extract_fake photos -o a.h5 --max-bad 1
stderr_has '2 of 35 images cannot be used'
rm photos/val/boat/text.jpg photos/train/tree/dangling.jpg
again 0

# A split by hash, another one, none.
mv photos two; cp -r two/train photos; rm a.h5; fresh=
again 24
stderr_has 'a.h5: 25 rows, 24 computed'
again 0 --split val=0.3
again 0 --split val=0.2,test=0.2
again 0

# Interrupted work is gone on with, in another order and with other labels too.
rm a.h5
expect 1 env FAKE_BACKBONE_FAIL_AT=4 extract photos -o a.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 4
stderr_has 'told to fail'
stderr_has 'a.h5.journal keeps the work'
exists a.h5.journal
mv photos/cat/ccc.jpg photos/boat/ccc.jpg
expect 0 extract_fake photos -o a.h5 --batch 4 --dry-run
stderr_has 'resuming: 13 of 25 images are in a.h5.journal'
stderr_has '25 images: 12 new, 13 reused'
stderr_has 'dry run'
absent a.h5
again 12 --batch 4
stderr_has 'resuming: 13 of 25 images are in a.h5.journal'

# Of a run for another tap the journal keeps what this one does not want.
cp "$(spare cat 24)" photos/cat/eee.jpg
expect 1 env FAKE_BACKBONE_FAIL_AT=4 extract photos -o a.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 4 --tap pixels
expect 0 extract_fake photos -o a.h5
saw 0
stderr_has 'a.h5.journal stays: it holds rows of tap pixels'
stderr_has 'a.h5: 26 rows, 0 computed'
expect 0 extract_fake photos -o a.h5
stderr_has 'up to date'
exists a.h5.journal
fresh='--tap mean,grid,pixels'
again 12 --tap pixels
fresh=

# Of a run for more images, too, whether a smaller one writes the cache or finds it.
expect 1 env FAKE_BACKBONE_FAIL_AT=4 extract photos -o part.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 4
expect 0 extract_fake photos -o part.h5 --sample 5
stderr_has 'part.h5.journal stays: it holds '
stderr_has 'rows of images that are not among those of this run'
expect 0 extract_fake photos -o part.h5 --sample 5
stderr_has 'up to date'
stderr_has 'part.h5.journal stays'
expect 0 extract_fake photos -o part.h5
checks=$((checks + 1))
[ "$(awk '{ n += $1 } END { print n + 0 }' images)" -le 14 ] || failed 'what was computed was lost'
absent part.h5.journal
extract_fake photos -o fresh.h5 --force 2> fresh.log
same_cache part.h5 fresh.h5
# Few images that were deleted since are not waited for.
expect 1 env FAKE_BACKBONE_FAIL_AT=7 extract photos -o part.h5 --force --backbone ./net.pt --resize 20 --crop 16 --batch 4
deleted=$(ls photos/*/*.jpg | head -n 1)
mv "$deleted" deleted.jpg
expect 0 extract_fake photos -o part.h5
stderr_has 'resuming: '
absent part.h5.journal
mv deleted.jpg "$deleted"
# Images that have changed since are not waited for.
expect 1 env FAKE_BACKBONE_FAIL_AT=4 extract photos -o part.h5 --force --backbone ./net.pt --resize 20 --crop 16 --batch 4
for image in photos/*/*.jpg; do printf x >> "$image"; done
expect 0 extract_fake photos -o part.h5
absent part.h5.journal

# SIGTERM, and gone on with. (A shell's background commands do not hear Ctrl-C.) Of two at
# once the second leaves.
code=0; command='extract with SIGTERM'
: > slow.images
env FAKE_BACKBONE_MS=300 FAKE_BACKBONE_LOG="$WORK/slow.images" extract photos -o slow.h5 --backbone ./net.pt \
  --resize 20 --crop 16 --batch 2 > slow.out 2> slow.err &
pid=$!
while [ "$(wc -l < slow.images)" -lt 3 ]; do sleep 0.05; done
expect 75 extract_fake photos -o slow.h5
stderr_has 'another extract is writing'
expect 75 extract --merge slow.h5 a.h5
stderr_has 'another extract is writing'
kill -TERM $pid
wait $pid || code=$?
cp slow.err stderr
checks=$((checks + 1)); [ "$code" -eq 143 ] || failed 'expected exit code 143'
stderr_has 'of 26 images; the same command goes on from there'
absent slow.h5
expect 0 extract_fake photos -o slow.h5
stderr_has 'resuming: '
expect 0 extract_fake photos -o fresh.h5 --force
same_cache slow.h5 fresh.h5

# Another file that is put in the output's place meanwhile is left alone, and so is the journal.
: > swap.images
env FAKE_BACKBONE_MS=100 FAKE_BACKBONE_LOG="$WORK/swap.images" extract photos -o swap.h5 --backbone ./net.pt \
  --resize 20 --crop 16 --batch 2 > swap.out 2> swap.err &
pid=$!; code=0; command='extract, and cp'
while [ "$(wc -l < swap.images)" -lt 3 ]; do sleep 0.05; done
cp a.h5 swap.h5
wait $pid || code=$?
cp swap.err stderr
checks=$((checks + 1)); [ "$code" -eq 1 ] || failed 'expected exit code 1'
stderr_has "'swap.h5' was replaced by another file while this run worked"
cmp -s a.h5 swap.h5 || failed 'it was written over'
exists swap.h5.journal
rm swap.h5
expect 0 extract_fake photos -o swap.h5; stderr_has 'resuming: '; saw 0
same_cache swap.h5 fresh.h5
# A merge leaves no lock behind.
expect 0 extract --merge merged.h5 a.h5; absent merged.h5.journal

# One record of a CIFAR file: the others' bytes are the same.
mkdir cifar
for index in 0 1 2 3 4 5 6 7 8 9; do
  printf "\\$(printf %03o $index)" >> cifar/data_batch_1.bin
  head -c 3072 /dev/urandom >> cifar/data_batch_1.bin
  echo "kind$index" >> cifar/batches.meta.txt
done
expect 0 extract_fake cifar -o cifar.h5
saw 10
printf 'x' | dd of=cifar/data_batch_1.bin bs=1 seek=7000 conv=notrunc 2> /dev/null
expect 0 extract_fake cifar -o cifar.h5
saw 1
stderr_has 'cifar.h5: 10 rows, 1 computed'

# Where the dates of touched files are put into the cache it is another file, of the same rows: its
# models and checkpoints know it. The next run after new rows has another name for them.
photographs touched 20 2
expect 0 extract_fake touched -o touched.h5
expect 0 train touched.h5 -o touched.safetensors -q
for round in 1 2; do
  cp touched.h5 earlier.h5
  find touched -name '*.jpg' -exec touch {} +
  sleep 2.1 # files of this moment may change unseen
  expect 0 extract_fake touched -o touched.h5 -v
  stderr_has 'touched.h5: knows the dates of touched files again'
  checks=$((checks + 1)); ! cmp -s touched.h5 earlier.h5 || failed 'the file is the same'
  expect 0 train touched.h5 -o touched.safetensors
  stderr_has 'up to date, nothing to train'
  expect 0 predict touched.safetensors touched.h5 --evaluate
  stderr_lacks 'has changed since'
done
cp touched.h5 copy.h5
expect 0 extract --info touched.h5; stdout_has 'provenance  content'
expect 0 extract --merge twice.h5 touched.h5 copy.h5
expect 0 extract --info twice.h5; stdout_lacks 'provenance  content'
cp "$(spare boat 20)" touched/train/cat/new.jpg
expect 0 extract_fake touched -o touched.h5
expect 0 predict touched.safetensors touched.h5 --evaluate
stderr_has 'has changed since'
done_with
