# Photographs of next month: a cache goes on with the options that it was made with.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 6 2
mkdir more; cp photos/train/cat/*.jpg more
mkdir flat; cp -r photos/train/boat photos/train/cat flat
cp photos/train/tree/001.jpg later.jpg

expect 0 extract flat -o c.h5 --backbone ./net.pt --resize 20 --crop 16 --split val=0.25 --max-bad 3 --batch 4 -q
cp later.jpg flat/cat/later.jpg
: > images
# A cache that names a TorchScript file cannot start it; whoever types its name does, and so does trust.
for command in 'extract c.h5' 'extract c.h5 --dry-run' 'extract more --like c.h5 -o other.h5'; do
  expect 1 env PERMAFROST_PLUGIN=/nonexistent.so $command
  stderr_has "cache 'c.h5' names the TorchScript file '$WORK/net.pt'"
  stderr_has "  --backbone $WORK/net.pt"
  stderr_has "  extract --trust $WORK/net.pt"
  saw 0
done
absent other.h5
expect 0 extract c.h5 --backbone net.pt --dry-run
expect 0 extract --trust net.pt
: > images
expect 0 extract c.h5
stderr_has 'c.h5 goes on: '
stderr_has '--crop=16'
stderr_lacks '--batch'
stderr_has '1 new, 12 reused'
saw 1
# From another folder, also a dataset and a network that were named from here.
mkdir elsewhere; cp photos/train/tree/002.jpg flat/cat/second.jpg
(cd elsewhere; expect 0 extract ../c.h5; stderr_has '1 new, 13 reused') || exit 1
# The same as in one go, options and all.
expect 0 extract_fake flat -o whole.h5 --split val=0.25
same_cache c.h5 whole.h5
# Another dataset with the options of a cache, into a cache of its own, and with an option more.
: > images
expect 0 extract more --like c.h5 -o other.h5
saw 6
expect 0 extract_fake more -o same.h5 --split val=0.25
same_cache other.h5 same.h5
expect 0 extract more --like c.h5 -o small.h5 --crop 12
stderr_has '--crop 12'
stderr_lacks '--crop=16'
expect 0 extract --info small.h5
stdout_has '"crop":12'
# The images of another dataset would put those of the cache out.
expect 2 extract more --like c.h5
stderr_has "'c.h5' holds the images of '"; stderr_has "-o 'c.h5' would put them in the place of the others"
cp c.h5 put.h5
expect 0 extract more --like c.h5 -o put.h5
stderr_has "14 rows of 'put.h5' are of images that are not in 'more', and leave it"
expect 0 extract more --like c.h5 -o put.h5; stderr_lacks 'leave it'
expect 0 extract flat --like c.h5; stderr_has 'up to date'
# A page of images was asked for once.
cp photos/train/tree/003.jpg more/next.jpg
expect 0 extract more -o other.h5 --backbone ./net.pt --resize 20 --crop 16 --split val=0.25 --max-bad 3 --contact-sheet page.html
rm page.html; cp photos/train/tree/004.jpg more/after.jpg
expect 0 extract other.h5
stderr_has '1 new'
stderr_lacks 'contact-sheet'
[ ! -e page.html ] || fail 'the page was made again'
# Quiet; nothing new; a mismatch offers it.
expect 0 extract c.h5 -q
stderr_empty
expect 4 extract flat -o c.h5 --backbone ./net.pt --resize 20 --crop 12
stderr_has 'extract DATASET --like c.h5 goes on with the options that it has'
# What cannot be: a cache of before, one of a list, two datasets, other modes.
make_cache own.h5
expect 2 extract own.h5
stderr_has 'does not say with which options it was made'
ls more/*.jpg > list
INPUT=list expect 0 extract - -o list.h5 --backbone ./net.pt --resize 20 --crop 16
expect 2 extract list.h5
stderr_has 'were named on standard input'
INPUT=list expect 0 extract - --like list.h5
stderr_has 'up to date'
expect 2 extract --info c.h5 --like c.h5
stderr_has '--like goes with a run that extracts one dataset'
expect 1 extract flat --like nowhere.h5
expect 2 extract flat
stderr_has '-o CACHE.h5'

# What a cache of a stranger says of its options is no command line.
"$PYTHON" -c 'import h5py' 2> /dev/null || { no_leftovers; done_with; exit; }
# sent OPTIONS [OPERAND]: sent.h5 is c.h5 with these, which Python evaluates.
sent() {
  cp c.h5 sent.h5
  "$PYTHON" - "$@" <<'PYTHON'
import h5py, json, sys
with h5py.File("sent.h5", "r+") as file:
    provenance = json.loads(file.attrs["provenance"])
    provenance["options"] = eval(sys.argv[1])
    if len(sys.argv) > 2: provenance["operand"] = eval(sys.argv[2])
    del file.attrs["provenance"]
    file.attrs.create("provenance", json.dumps(provenance), dtype=h5py.string_dtype())
    file.attrs["sealed"] = 0
PYTHON
}
for options in '["--", "--a"]' '["--exclude"]' '["--emulate=1"]' '["--squash=", "--crop=16"]' '["--no-such=1"]' '["-o"]' '[7]' \
    '["--crop=16", "net.pt"]' '["--"] + ["--a"] * 5000'; do
  sent "$options"
  expect 1 extract sent.h5
  stderr_has "'sent.h5': among the options that it was made with it has '"
  expect 1 extract more --like sent.h5 -o n.h5
  absent n.h5
done
sent '["--tap=mean"] * 5000'
expect 1 extract sent.h5
stderr_has 'names more options than a command line has'
# It chooses nothing else to do, neither by them nor by the name of its dataset.
rm -r state
sent "provenance['options'] + ['--merge', '--trust=$WORK/net.pt', '--output=elsewhere.h5', '--verify', '--list']"
expect 1 extract sent.h5
stderr_has 'names the TorchScript file'
absent elsewhere.h5
for operand in "--trust=$WORK/net.pt" --help -oelsewhere.h5 ''; do
  sent "provenance['options']" "'$operand'"
  expect 1 extract sent.h5
  stderr_has "'sent.h5' says that its dataset is '$operand'; expected a path"
done
absent state
expect 0 extract --trust net.pt

# A shard goes on as that shard, and what was merged as the whole.
expect 0 extract_fake flat -o any.h5 --shard any/3
expect 0 env RANK=0 WORLD_SIZE=2 extract flat -o auto.h5 --shard auto/2 --backbone ./net.pt --resize 20 --crop 16
expect 0 extract any.h5.parts/2-of-3.h5
stderr_has '--shard=2/3'; stderr_has 'up to date'
expect 0 extract auto.h5.parts/1-of-2.h5
stderr_has '--shard=1/2'; stderr_has 'up to date'
absent any.h5.parts/2-of-3.h5.parts
expect 0 extract --merge merged.h5 any.h5.parts
cp photos/train/tree/005.jpg flat/cat/third.jpg
: > images
expect 0 extract merged.h5
stderr_lacks '--shard'; stderr_has '1 new, 14 reused'
saw 1
expect 0 extract_fake flat -o whole.h5
same_cache merged.h5 whole.h5

# A folder that is called like a network; archives by braces, from another folder.
mkdir resnet18_w16
expect 0 extract flat -o named.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --resize 20 --crop 32
expect 0 extract named.h5; stderr_has '--backbone=resnet18_w16'; stderr_has 'up to date'
for n in 1 2; do tar -C flat -cf part-$n.tar "$([ $n = 1 ] && echo boat || echo cat)"; done
expect 0 extract_fake 'part-{1..2}.tar' -o tars.h5
(cd elsewhere; expect 0 extract ../tars.h5; stderr_has 'up to date') || exit 1
expect 0 extract 'part-{1..2}.tar' --like tars.h5; stderr_has 'up to date'
no_leftovers
done_with
