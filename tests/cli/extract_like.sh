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
no_leftovers
done_with
