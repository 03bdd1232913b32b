# Where outputs go: what is replaced, what is written to, what is left alone, and what is refused.
. "$(dirname "$0")/harness.sh"
umask 022
fake_backbone
photographs photos 6 2
make_cache own.h5
cp own.h5 kept.h5

mode_of() { stat -c %a "$1"; }
# is_link LINK: it still is one.
is_link() { checks=$((checks + 1)); [ -L "$1" ] || failed "'$1' is no link any more"; }
has_mode() { checks=$((checks + 1)); [ "$(mode_of "$1")" = "$2" ] || failed "'$1' has mode $(mode_of "$1"), expected $2"; }
same() { checks=$((checks + 1)); cmp -s "$1" "$2" || failed "'$1' and '$2' differ"; }

# ---- links and modes ----

mkdir disk
expect 0 extract_fake photos -o disk/c.h5
has_mode disk/c.h5 644
chmod 640 disk/c.h5
ln -s disk/c.h5 c.h5
cp photos/train/cat/001.jpg photos/train/cat/again.jpg
expect 0 extract_fake photos -o c.h5
is_link c.h5; has_mode disk/c.h5 640
expect 0 extract_fake photos -o whole.h5
same_cache disk/c.h5 whole.h5
rm disk/c.h5.digests

# A link to what is not there yet; the journal is where the file will be.
ln -s disk/later.h5 later.h5
expect 1 env FAKE_BACKBONE_FAIL_AT=2 extract photos --backbone ./net.pt --resize 20 --crop 16 --batch 4 --sync-seconds 0 -o later.h5
exists disk/later.h5.journal; absent later.h5.journal
expect 0 extract_fake photos -o disk/later.h5
expect 0 extract_fake photos -o later.h5
stderr_has 'up to date'
is_link later.h5
# Older versions put the journal beside the link.
expect 1 env FAKE_BACKBONE_FAIL_AT=3 extract photos --backbone ./net.pt --resize 20 --crop 16 --batch 4 --sync-seconds 0 -o old.h5
mv old.h5.journal linked.h5.journal
ln -s disk/linked.h5 linked.h5
expect 0 extract_fake photos -o linked.h5
stderr_has 'resuming: '
absent linked.h5.journal; exists disk/linked.h5

# Merged caches that refer to others do so from where the file is.
ln -s disk/both.h5 both.h5
expect 0 extract --merge both.h5 --virtual whole.h5
expect 0 extract --info disk/both.h5 --sources-from .
is_link both.h5

(umask 027; train own.h5 -q -o disk/m.safetensors --json disk/m.json --csv disk/m.csv)
for what in safetensors json csv; do
  has_mode disk/m.$what 640
  chmod 600 disk/m.$what
  ln -s disk/m.$what m.$what
  cp disk/m.$what before.$what
done
ln -s m.json twice.json
expect 0 train own.h5 -q --epochs 3 -o m.safetensors --json twice.json --csv m.csv
for what in safetensors json csv; do
  is_link m.$what; has_mode disk/m.$what 600
  ! cmp -s disk/m.$what before.$what || failed "'disk/m.$what' was not written"
done
is_link twice.json
expect 1 train own.h5 -q -o nowhere/m.safetensors
stderr_has "cannot write 'nowhere/m.safetensors': its folder does not take a new file"
ln -s loop.json loop.json
expect 1 train own.h5 -q --json loop.json
stderr_has 'too many links'
no_leftovers

# ---- pipes and devices ----

# A device of our own where we may make one: a program that replaces it does no harm then.
if ! mknod null c 1 3 2> /dev/null || ! (: > null) 2> /dev/null; then rm -f null; ln -s /dev/null null; fi
expect 0 train own.h5 -q -o null --json null --csv null
checks=$((checks + 1)); [ -c null ] || failed 'the device is none any more'
expect 1 extract_fake photos -o null --force
stderr_has 'it is a character device, and a cache is a regular file'
checks=$((checks + 1)); [ -c null ] || failed 'the device is none any more'
absent null.journal
expect 1 extract --merge null whole.h5 --force
stderr_has 'is a regular file, not a pipe or a device'
[ -c null ] || failed 'the device is none any more'

# As /dev/stdout and /dev/stderr are, but nobody else's.
ln -s /proc/self/fd/1 dev_stdout
ln -s /proc/self/fd/2 dev_stderr
expect 0 train own.h5 -q --epochs 3 --csv plain.csv
expect 0 train own.h5 -q --epochs 3 --csv dev_stdout
same stdout plain.csv
expect 0 train own.h5 -q --epochs 3 --json dev_stderr
stderr_has '"config":'
expect 0 train own.h5 -q --epochs 3 --csv dev_stdout --json -
stdout_has 'tap,fold,seed'
stdout_has '"config":'
expect 0 sh -c 'exec 5> five; train own.h5 -q --epochs 3 --csv /dev/fd/5; echo end >&5'
{ cat plain.csv; echo end; } > expected
same five expected
expect 1 sh -c 'exec 5< plain.csv; train own.h5 -q --epochs 3 --csv /dev/fd/5'
stderr_has 'it is not open for writing'

mkfifo pipe
cat pipe > received & reader=$!
expect 0 train own.h5 -q --epochs 3 --csv pipe
wait $reader
same received plain.csv
checks=$((checks + 1)); [ -p pipe ] || failed 'the pipe is none any more'
expect 1 train own.h5 -q -o disk
stderr_has "'disk': it is a directory"

# ---- what others have left, and what others write ----

leftover() { printf half > "$1"; [ -z "${2:-}" ] || touch -d "$2" "$1"; }
leftover .n.safetensors.part-abcdefghijkl
leftover .n.safetensors.part-lockedlocked
leftover .n.safetensors.part-4194999
leftover .n.safetensors.part-4194998 '2 days ago'
leftover .n.safetensors.part-notes '2 days ago'
leftover .other.part-abcdefghijkl
ln -s own.h5 .n.safetensors.part-lllllllllllk
leftover .n.safetensors.part-zyxwvutsrqpo '2 days ago'
$PYTHON - .n.safetensors.part-lockedlocked > locked <<'P' &
import fcntl, struct, sys, time
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
print("locked", flush=True)
time.sleep(600)
P
holder=$!
trap 'kill $holder 2> /dev/null || :; rm -rf "$WORK"' EXIT
until [ -s locked ]; do sleep 0.05; done
if [ -z "${PF_SANITIZE:-}" ]; then # which must be loaded first
  expect 0 env HDF5_USE_FILE_LOCKING=FALSE LD_PRELOAD="$BUILD/tests/fault_injector.so" PF_FAULT=lock:1+:ENOLCK train own.h5 -q -o n.safetensors
  exists .n.safetensors.part-abcdefghijkl # without locks nobody knows
fi
expect 0 train own.h5 -q -o n.safetensors
case $(stat -f -c %T .) in
ext2/ext3 | xfs | btrfs | tmpfs | overlayfs) absent .n.safetensors.part-abcdefghijkl ;; # nobody's
*) exists .n.safetensors.part-abcdefghijkl ;; # locks may not reach all machines
esac
exists .n.safetensors.part-lockedlocked # somebody's
exists .n.safetensors.part-4194999      # of an older version, which took no lock: perhaps somebody's
absent .n.safetensors.part-4194998      # but not after days
absent .n.safetensors.part-zyxwvutsrqpo
exists .n.safetensors.part-notes
exists .other.part-abcdefghijkl
is_link .n.safetensors.part-lllllllllllk; same own.h5 kept.h5
kill $holder
rm -f .n.safetensors.part-* .other.part-*

# A run that is refused, as another one is writing, touches nothing of that.
expect 1 env FAKE_BACKBONE_FAIL_AT=2 extract photos --backbone ./net.pt --resize 20 --crop 16 --batch 4 --sync-seconds 0 -o disk/busy.h5
$PYTHON - disk/busy.h5.journal > locked <<'P' &
import fcntl, struct, sys, time
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
print("locked again", flush=True)
time.sleep(600)
P
holder=$!
until grep -q again locked; do sleep 0.05; done
touch -d '1 hour ago' disk
before=$(stat -c %Y disk)
expect 75 extract_fake photos -o disk/busy.h5
stderr_has 'another extract is writing'
checks=$((checks + 1)); [ "$(stat -c %Y disk)" = "$before" ] || failed 'a refused run wrote into the folder'
kill $holder

# A journal is never looked for where a link leads.
ln -s victim j.h5.journal
expect 1 extract_fake photos -o j.h5
stderr_has "'j.h5.journal' is a link"
absent victim
rm j.h5.journal

# A link of somebody else in a folder like /tmp.
if [ "$(id -u)" = 0 ] && mkdir -m 1777 shared && ln -s ../victim shared/m.safetensors && chown -h 12345 shared/m.safetensors; then
  expect 1 train own.h5 -q -o shared/m.safetensors
  stderr_has 'is a link that another user has put into a folder that everyone can write to'
  absent victim
  : > shared/j.h5.journal
  chown 12345 shared/j.h5.journal
  expect 1 extract_fake photos -o shared/j.h5
  stderr_has 'j.h5.journal'
  absent shared/j.h5
  ln -s ../disk/mine.safetensors shared/mine.safetensors
  expect 0 train own.h5 -q -o shared/mine.safetensors
  exists disk/mine.safetensors
fi

# ---- one file for two things ----

twice() { expect 2 "$@"; stderr_has 'are the same file'; }
twice train own.h5 -q -o new --csv new --json new
twice train own.h5 -q -o new --csv ./new
twice train own.h5 -q -o new --csv disk/../new
ln -s new link
twice train own.h5 -q --csv new --json link
twice train own.h5 -q --json m.json --csv disk/m.json
absent new
expect 2 extract_fake photos -o new.h5 --json ./new.h5
twice extract_fake photos -o new.h5 --json new.h5.journal
absent new.h5

# ---- inputs, and what is something else ----

kept() { same "$1" "before.$(basename "$1")"; }
keep() { cp "$1" "before.$(basename "$1")"; }
ln own.h5 own.safetensors
expect 2 train own.h5 -q -o own.safetensors
stderr_has "'own.safetensors' is the cache itself"
rm own.safetensors
expect 2 train own.h5 -q --csv ./own.h5
same own.h5 kept.h5
cp photos/train/cat/001.jpg picture.jpg
printf 'path,y\nphotos/train/cat/001.jpg,1\nphotos/train/boat/001.jpg,2\nphotos/train/boat/002.jpg,2\n' > list.csv
head -c 3000 "$WEIGHTS" > other.safetensors
printf 'PK\003\004 and so on' > net.pth
printf '{"images": []}' > coco.json
for file in whole.h5 picture.jpg other.safetensors net.pth list.csv coco.json m.json m.csv; do
  keep $file
  case $file in
    *.safetensors) expect 1 train own.h5 -q -o $file; stderr_has "'$file' is there already and is " ;;
    *) expect 2 train own.h5 -q -o $file; stderr_has "-o '$file': expected a file that ends in .safetensors" ;;
  esac
  [ $file = m.json ] || expect 1 train own.h5 -q --json $file
  [ $file = m.csv ] || expect 1 train own.h5 -q --csv $file
  [ $file = m.json ] || expect 1 extract_fake photos -o new.h5 --json $file
  kept $file
done
: > empty.safetensors
expect 0 train own.h5 -q -o empty.safetensors
expect 0 train own.h5 -q -o empty.safetensors
expect 0 extract_fake photos -o new.h5 --json new.json
expect 0 extract_fake photos -o new.h5 --json new.json
expect 2 extract_fake list.csv -o list.h5 --json list.csv
stderr_has 'is what the images are read from'
kept list.csv
expect 2 extract_fake list.csv -o list.csv --force
stderr_has "-o 'list.csv': expected a file that ends in .h5"
kept list.csv
keep photos/train/cat/001.jpg
ln photos/train/cat/001.jpg same
ln photos/train/cat/001.jpg same.h5
for name in same same.h5; do
  expect 2 extract_fake photos -o $name --force
  stderr_has 'is an image of the dataset'
  kept photos/train/cat/001.jpg
done
# Of any shard: the first image is in one, the last one in another.
for name in "$(find photos -name '*.jpg' | sort | head -n 1)" "$(find photos -name '*.jpg' | sort | tail -n 1)"; do
  keep "$name"
  for k in 1 2; do
    expect 2 extract_fake photos -o "$name" --force --shard $k/2
    stderr_has 'expected a file that ends in .h5'
    ln "$name" image
    expect 2 extract_fake photos -o image --force --shard $k/2
    stderr_has 'is an image of the dataset'
    rm image
  done
  kept "$name"
done
expect 2 extract_fake photos -o net.pt --force
[ "$(cat net.pt)" = 'a network' ] || failed 'the network is lost'
mv picture.jpg picture
expect 0 extract_fake photos -o picture --force # any other file is what --force is for
same_cache picture new.h5

# ---- standard output that is full, or not there ----

full() { expect 1 sh -c '"$@" > /dev/full' full "$@"; stderr_has 'cannot write'; }
for program in extract train predict; do
  full $program --help
  full $program --version
  expect 1 sh -c '"$@" >&-' closed $program --version
done
full extract --info own.h5
full extract --verify whole.h5
full extract --summary
full predict m.safetensors own.h5
full predict m.safetensors own.h5 --json -
full train own.h5 -q --json -
full train own.h5 -q --csv dev_stdout
expect 0 sh -c 'train own.h5 -q -o closed.safetensors >&- 2>&- <&-'
expect 0 predict closed.safetensors own.h5
no_leftovers
done_with
