# Bad images, bad weights, bad places to write to, signals: clear words, the
# right exit code, nothing half-written.
. "$(dirname "$0")/harness.sh"
needs_torch
photographs photos 8 3

# Bad images: the good ones still go through.
one=$(ls photos/train/cat/*.jpg | head -n 1)
echo 'this is text' > photos/train/boat/text.jpg
head -c 900 "$one" > photos/train/boat/truncated.jpg
: > photos/train/cat/empty.png
ln -s /nonexistent/file.jpg photos/train/tree/dangling.jpg
expect 0 extract_sample photos -o messy.h5
stderr_has 'train/boat/text.jpg: '
stderr_has "not an image: begins with 'this is te"
stderr_has 'train/boat/truncated.jpg: '
stderr_has 'truncated'
stderr_has 'train/cat/empty.png: is empty'
stderr_has 'train/tree/dangling.jpg: '
stderr_has '33 rows, 4 rejected'
expect 0 extract --info messy.h5
stdout_has 'rejected    4'
# The cache remembers; repairing one is noticed.
expect 0 extract_sample photos -o messy.h5
stderr_has 'up to date'
cp "$one" photos/train/cat/empty.png
expect 0 extract_sample photos -o messy.h5
stderr_has '34 rows, 3 rejected'
if [ "$(id -u)" != 0 ]; then
  chmod 000 "$one"
  expect 0 extract_sample photos -o unreadable.h5
  stderr_has 'Permission denied'
  chmod 644 "$one"
fi

# Images of equal bytes are each known as rejected, and reasons are escaped once.
mkdir -p equal/a equal/b
for name in 1 2 3; do
  printf 'x\n' > equal/a/bad$name.jpg; cp equal/a/bad$name.jpg equal/b
done
cp "$one" equal/a; cp "$(ls photos/train/cat/*.jpg | sed -n 2p)" equal/b
expect 0 extract_sample equal -o equal.h5 --max-bad 100%
stderr_has "b/bad2.jpg: not an image: begins with 'x\x0a'"
cp "$(ls photos/train/cat/*.jpg | sed -n 3p)" equal/b/new.jpg
expect 0 extract_sample equal -o equal.h5 --max-bad 100%
stderr_has '1 new, 2 reused, 6 rejected before'
stderr_lacks 'begins with'
expect 0 extract --info equal.h5
stdout_has "b/bad2.jpg: not an image: begins with 'x\x0a'"
# A reason that somebody else wrote into the file begins no line of its own.
"$PYTHON" - equal.h5 << 'END'
import sys
import h5py
with h5py.File(sys.argv[1], "r+") as file:
    file["rejected/reason"][:] = b"not an image:\nextract: error: \x1b[31m"
    file.attrs["sealed"] = 0
END
cp "$(ls photos/train/cat/*.jpg | sed -n 4p)" equal/b/newer.jpg; cp equal/a/bad1.jpg equal/b/bad4.jpg
expect 0 extract_sample equal -o equal.h5 --max-bad 100% -v
stderr_has 'a/bad1.jpg: still not an image:\nextract: error: \x1b[31m'
stderr_has 'b/bad4.jpg: not an image:\nextract: error: \x1b[31m'
checks=$((checks + 1)); ! grep -q '^extract: error' stderr || failed 'a line of a reason'

# A folder that may not be read must not lose its rows: an error, and the cache stays as it is.
# Root without its capabilities is as any user.
ordinary() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --bounding-set=-dac_override,-dac_read_search "$@"
  else
    "$@"
  fi
}
mkdir closed; cp -r photos/train/boat photos/train/tree closed; mkdir closed/tree/deep
mv closed/boat/text.jpg closed/boat/truncated.jpg closed/tree/dangling.jpg .
cp "$one" closed/tree/deep/1.jpg
expect 0 extract_sample closed -o closed.h5
cp closed.h5 before.h5
for folder in closed/tree/deep closed/tree; do
  chmod 000 "$folder"
  if ordinary ls "$folder" > ls.out 2>&1; then chmod 755 "$folder"; break; fi
  expect 1 ordinary extract closed -o closed.h5 --backbone resnet18_w16 --weights "$WEIGHTS" -q
  stderr_has "folder '${folder#closed/}' cannot be read: Permission denied"
  stderr_has 'Hint: make it readable'
  cmp closed.h5 before.h5
  chmod 755 "$folder"
done

# Past --max-bad: exit 3, nothing written, the work kept.
expect 3 extract_sample photos -o strict.h5 --max-bad 2 --batch 4
stderr_has '--max-bad allows 2'
stderr_has 'strict.h5.journal keeps the work'
absent strict.h5
expect 0 extract_sample photos -o strict.h5 --max-bad 10% --batch 4
stderr_has 'resuming: '
absent strict.h5.journal
same_cache messy.h5 strict.h5
mkdir -p broken/a broken/b; echo x > broken/a/1.jpg; echo x > broken/b/2.jpg
expect 3 extract_sample broken -o broken.h5
stderr_has 'none of the 2 images'
absent broken.h5

# Datasets with nothing in them.
mkdir -p empty/a empty/b nothing
expect 1 extract_sample empty -o empty.h5
stderr_has '.jpg'
expect 1 extract_sample nothing -o nothing.h5
cp -r photos/train few; mkdir few/aardvark few/.ipynb_checkpoints
expect 0 extract_sample few -o few.h5
stderr_has 'aardvark'
stderr_has '.ipynb_checkpoints'
expect 1 extract_sample photos/train/cat/../../../list -o x.h5
touch afile
expect 1 extract_sample afile -o x.h5
stderr_has 'expected a folder'

# Weights: of another network, of no network, missing.
expect 1 extract photos -o w.h5 --backbone resnet18 --weights "$WEIGHTS"
stderr_has 'resnet18_w16'
expect 1 extract photos -o w.h5 --backbone resnet18 --weights "$one"
expect 1 extract photos -o w.h5 --backbone resnet18 --weights nowhere.pth
stderr_has 'nowhere.pth'
mkdir home
expect 1 env -u TORCH_HOME -u XDG_CACHE_HOME HOME="$WORK/home" extract photos -o w.h5 --backbone resnet18
stderr_has "$WORK/home/.cache/torch/hub/checkpoints"
stderr_has 'https://download.pytorch.org/models/resnet18-f37072fd.pth'
stderr_has 'curl'
expect 2 extract photos -o w.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer7
stderr_has "no tap 'layer7'"
expect 1 extract photos -o w.h5 --backbone nowhere.pt
stderr_has 'nowhere.pt'
expect 1 extract photos -o w.h5 --backbone ./list.pt
absent w.h5

# Places that cannot be written: found out before anything is computed.
expect 1 extract_sample photos -o nowhere/x.h5
stderr_has 'nowhere/x.h5'
mkdir folder.h5
expect 1 extract_sample photos -o folder.h5 --force
stderr_has 'directory'
echo 'my thesis' > thesis.h5
expect 1 extract_sample photos -o thesis.h5
stderr_has 'not a feature cache'
grep -q 'my thesis' thesis.h5 || failed 'a file that is no cache was overwritten'
expect 2 extract_sample photos -o x.h5 --device tpu

# A disk that cannot hold it is noticed before the work; the first batch is kept.
expect 1 env PF_FAKE_DISK_FREE=20000 extract photos -o x.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer1
stderr_has 'the disk has 20.0 KB free'
stderr_has 'x.h5.journal keeps the work'
absent x.h5
expect 1 env PF_FAKE_DISK_FREE=20000 extract photos -o x.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer1 --dry-run
expect 0 extract_sample photos -o x.h5 --tap layer1
stderr_has 'resuming: '
rm x.h5

# A small cache is a file of some tens of KB.
expect 1 env PF_FAKE_DISK_FREE=61440 extract equal -o small.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --max-bad 100%
stderr_has 'the disk has 61.4 KB free'
rm small.h5.journal
expect 0 extract_sample equal -o small.h5 --max-bad 100% --compress none
told=$(sed -n 's/^disk: about \([0-9]*\).* KB for the cache.*/\1/p' stderr)
[ $((1000 * (told + 1))) -ge "$(stat -c %s small.h5)" ] || failed 'the cache is larger than was said'

# Black borders are nothing that anybody wants: one line says so.
expect 0 extract_sample equal -o border.h5 --max-bad 100% --resize 32 --crop 96 --dry-run
stderr_has 'warning: --resize 32 is less than --crop 96'
[ "$(grep -c 'less than --crop' stderr)" = 1 ] || failed 'more than one line'
expect 0 extract_sample equal -o border.h5 --max-bad 100% --resize 96 --crop 96 --dry-run
stderr_lacks 'less than --crop'

# A full disk (a file-size limit stands in for it): a message, no leftovers, and the next
# run goes on. The old cache stays.
expect 0 extract_sample photos -o full.h5
cp full.h5 full.copy
(ulimit -f 40; expect 1 extract_sample photos -o full.h5 --force --tap layer1 --store f32 --compress none; stderr_has 'full.h5') || exit 1
cmp -s full.h5 full.copy || failed 'a failed run changed the old cache'
no_leftovers
(ulimit -f 40; expect 1 extract_sample photos -o more.h5 --tap layer1 --batch 4; stderr_has 'more.h5') || exit 1
absent more.h5
expect 0 extract_sample photos -o more.h5 --tap layer1 --batch 4
expect 0 extract_sample photos -o x.h5 --tap layer1 --batch 4
same_cache more.h5 x.h5
no_leftovers

# Ctrl-C and SIGTERM: nothing half-written, and the work is gone on with.
interrupt() {
  signal=$1; expected=$2; shift 2
  command="$* with SIG$signal"; checks=$((checks + 1)); code=0
  "$@" > stdout 2> stderr &
  pid=$!; sleep 2; kill -"$signal" $pid 2>/dev/null || :; wait $pid || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq "$expected" ] || failed "expected exit code $expected"
  [ "$code" -eq 0 ] || stderr_has 'the same command goes on from there'
  no_leftovers
}
for signal in INT TERM; do
  rm -f killed.h5
  [ $signal = INT ] && expected=130 || expected=143
  interrupt $signal $expected extract "$SAMPLE/pictures" -o killed.h5 --backbone resnet18_w16 --weights "$WEIGHTS" \
    --workers 1 --tap layer1
  [ "$code" -eq 0 ] || absent killed.h5
  expect 0 extract "$SAMPLE/pictures" -o killed.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer1
  [ $signal = INT ] && mv killed.h5 first.h5 || same_cache killed.h5 first.h5
done

# Two at once: the second is told, and leaves.
extract "$SAMPLE/pictures" -o shared.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer1 --workers 1 \
  > first.out 2> first.err &
pid=$!
while [ ! -e shared.h5.journal ] && kill -0 $pid 2> /dev/null; do sleep 0.02; done
if kill -0 $pid 2> /dev/null; then
  expect 75 extract "$SAMPLE/pictures" -o shared.h5 --backbone resnet18_w16 --weights "$WEIGHTS" --tap layer1
  stderr_has 'another extract is writing'
fi
wait $pid
same_cache shared.h5 first.h5
done_with
