# Whole runs of extract on drawn pictures: the cache, the second run, identity,
# the same datasets whatever the number of threads, messy folders.
. "$(dirname "$0")/harness.sh"
needs_torch
photographs photos 10 4
export HDF5_PLUGIN_PATH=$BUILD/lib/hdf5-plugins

expect 0 extract_sample photos -o a.h5
stdout_empty
stderr_has 'train/val class folders, 42 images (30 train, 12 val)'
stderr_has '42 images: 42 new, 0 reused, 0 rejected'
stderr_has 'tap avgpool (128) f16: 10.8 KB, about '
stderr_has 'a.h5: 42 rows, 42 computed'
stderr_has 'time: load'
exists a.h5
no_leftovers

expect 0 env PERMAFROST_PLUGIN=/nonexistent extract --info a.h5
stdout_has 'rows        42 (30 train, 12 val, 0 test)'
stdout_has 'zstd, fletcher32'
stdout_has '0 boat: 14'
stdout_has "h5py.File('a.h5')"

# An unchanged dataset: nothing is computed, libtorch is not even looked for.
cp -p a.h5 before.h5
expect 0 env PERMAFROST_PLUGIN=/nonexistent extract photos -o a.h5 --backbone resnet18_w16 --weights "$WEIGHTS"
stderr_has 'up to date'
[ a.h5 -nt before.h5 ] && failed 'an up-to-date cache was touched'
# A new image is noticed.
cp photos/val/cat/"$(ls photos/val/cat | head -n 1)" photos/val/cat/new.jpg
expect 0 extract_sample photos -o a.h5
stderr_has 'a.h5: 43 rows, 0 computed'
# And a relabelled one.
mv photos/val/cat/new.jpg photos/val/boat/new.jpg
expect 0 extract_sample photos -o a.h5
stderr_has 'a.h5: 43 rows, 0 computed'
rm photos/val/boat/new.jpg
# And one that has only been given another name, at the same place in the order.
last=$(ls photos/val/tree | tail -n 1)
expect 0 extract_sample photos -o a.h5
mv "photos/val/tree/$last" photos/val/tree/zzz.jpg
expect 0 extract_sample photos -o a.h5
stderr_lacks 'up to date'
mv photos/val/tree/zzz.jpg "photos/val/tree/$last"
expect 0 extract_sample photos -o a.h5

# A tap more: what is there stays, and both are as if computed together.
cp a.h5 two.h5
expect 0 extract_sample photos -o two.h5 --tap layer3
stderr_has '0 new, 42 lack layer3, 0 reused'
expect 0 extract_sample photos -o both.h5 --tap avgpool,layer3
same_cache two.h5 both.h5

# Another identity is refused, and the field is named.
expect 4 extract_sample photos -o a.h5 --crop 64
stderr_has 'preprocess.crop: the cache has 96, asked for 64'
stderr_has '--force'
expect 4 extract photos -o a.h5 --backbone resnet18_w16 --weights random:1
stderr_has 'backbone.weights_sha256'
expect 4 extract_sample photos -o a.h5 --store f32
stderr_has 'store'
expect 0 extract_sample photos -o a.h5 --crop 64 --force
stderr_has 'centre crop 64'

# The same datasets for any number of decoding threads.
for workers in 1 2 7; do
  expect 0 extract_sample photos -o "w$workers.h5" --workers "$workers" --tap avgpool,layer3
done
# And for any batch: an image's features do not depend on who comes with it.
expect 0 extract_sample photos -o w50.h5 --batch 50 --tap avgpool,layer3
if command -v h5diff > /dev/null; then
  for workers in 2 7 50; do
    for dataset in features/avgpool features/layer3 targets/class samples/path samples/digest samples/split; do
      expect 0 h5diff w1.h5 "w$workers.h5" "/$dataset"
      stdout_lacks 'differ'
    done
  done
else
  echo 'SKIP: h5diff is not installed; comparing datasets of several thread counts'
fi

# Several taps, other types, other compressions.
expect 0 extract_sample photos -o f32.h5 --store f32 --compress gzip:1 --tap layer1,avgpool
expect 0 extract --info f32.h5
stdout_has 'tap         layer1 (16,24,24) f32'
stdout_has '(gzip, fletcher32)'
expect 0 extract_sample photos -o none.h5 --compress none
expect 0 extract --info none.h5

# A split by hash, a flat folder, paths on stdin.
expect 0 extract_sample photos/train -o split.h5 --split val=0.3,test=0.2
stderr_has 'val'
expect 2 extract_sample photos -o no.h5 --split val=0.3
stderr_has 'has a val split of its own'
expect 0 extract_sample photos/train/cat -o flat.h5
stderr_has 'no labels'
ls photos/train/cat/* > list
INPUT=list expect 0 extract_sample - -o stdin.h5
stderr_has '10 images'

# CIFAR-10's binary files: 20 and 10 records of a label and 3,072 bytes.
mkdir cifar
for index in 0 1 2 3 4 5 6 7 8 9; do
  for file in data_batch_1 data_batch_1 test_batch; do
    printf "\\$(printf %03o $index)" >> cifar/$file.bin
    head -c 3072 /dev/urandom >> cifar/$file.bin
  done
  echo "kind$index" >> cifar/batches.meta.txt
done
expect 0 extract_sample cifar -o cifar.h5
stderr_has 'CIFAR-10 binary, 30 images (20 train, 10 test)'
expect 0 extract --info cifar.h5
stdout_has '3 kind3: 3'

# Names with spaces, quotes and UTF-8.
mkdir -p 'odd/klasse ä' "odd/it's"
one=$(ls photos/train/cat/*.jpg | head -n 1)
cp "$one" 'odd/klasse ä/bild 1 – größe.jpg'; cp "$one" "odd/it's/a,b\"c.JPG"
expect 0 extract_sample odd -o odd.h5
expect 0 extract --info odd.h5
stdout_has 'klasse ä'
done_with
