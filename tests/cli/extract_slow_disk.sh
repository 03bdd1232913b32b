# A disk that answers late: files are read ahead, and nothing else changes.
. "$(dirname "$0")/harness.sh"
[ -z "${PF_SANITIZE:-}" ] || skip 'a sanitizer must be loaded first'
fake_backbone
photographs photos 12 4
echo 'no picture' > photos/train/cat/bad.jpg
cp photos/train/cat/001.jpg photos/train/cat/twice.jpg
: > photos/train/tree/empty.jpg
slowly() { extract_fake photos --tap mean,grid --force "$@"; }
expect 0 slowly -o plain.h5 --readers 0
lines() { grep -v '^time:\|^bound by \|^memory:\|^tap \|^disk:\|\.h5: ' stderr | sort > "$1"; } # sizes are those of the first batch
lines plain.lines

# at_once LEAST MOST: so many files were waited for at the same time.
at_once() {
  checks=$((checks + 1)); most=$(cat at_once)
  [ "$most" -ge "$1" ] && [ "$most" -le "$2" ] || failed "$most files at once, expected $1 to $2"
}
late() { env LD_PRELOAD="$BUILD/tests/slow_disk.so" PF_SLOW_MS=5 PF_SLOW_REPORT="$WORK/at_once" "$@"; }
try() {
  least=$1 most=$2; shift 2
  expect 0 late extract photos --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 --force -o slow.h5 "$@"
  at_once "$least" "$most"
  lines slow.lines
  checks=$((checks + 1)); cmp -s plain.lines slow.lines || failed 'other messages'
  same_cache plain.h5 slow.h5
}
try 1 2 --readers 0 --workers 2
try 1 1 --readers 1 --workers 3
try 5 16 --workers 1
try 5 16 --workers 3 --batch 2
try 7 40 --readers 40 --workers 2 --batch 5

# Members of an archive are read ahead as files are.
"$PYTHON" "$SOURCE/tests/tools/pack_archives.py" tar photos photos.tar
expect 0 late extract photos.tar --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 --force -o slow.h5 --workers 1
at_once 5 16
same_cache plain.h5 slow.h5
expect 0 late extract photos.tar --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 --force -o slow.h5 --readers 0 --workers 2
at_once 1 2

# Fewer are held where they are large: one of 65 MB leaves room for itself alone.
cp photos/train/cat/002.jpg photos/train/cat/large.jpg
dd if=/dev/zero of=photos/train/cat/large.jpg bs=1M count=0 seek=65 2> /dev/null
expect 0 slowly -o large.h5 --readers 0
try_large() { expect 0 late extract photos --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 --force -o slow.h5 "$@"; }
try_large --workers 2
at_once 1 1
same_cache large.h5 slow.h5
stderr_has 'memory: 20'

# What is wrong with the machine ends the run as ever, and a run that is ended does not wait for the rest.
expect 1 env FAKE_BACKBONE_FAIL_AT=2 extract photos --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 --batch 4 -o broken.h5
stderr_has 'told to fail'
expect 0 extract photos --tap mean,grid --backbone ./net.pt --resize 20 --crop 16 -o broken.h5
same_cache large.h5 broken.h5
done_with
