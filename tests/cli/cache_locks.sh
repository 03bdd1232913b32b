# Caches where HDF5's locks do not work, and caches that another program has open.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'python3-h5py is missing'
unset HDF5_USE_FILE_LOCKING

# own.h5: with HDF5's first superblock; new.h5: with its latest, which notes a writer; parts.h5: rows of another file.
"$PYTHON" - << 'END'
import h5py
import numpy as np

ROWS = 30
x = np.random.default_rng(3).normal(size=(ROWS, 8)).astype("float32")


def cache(name, **how):
    f = h5py.File(name, "w", **how)
    f.attrs["format"] = "permafrost-cache"
    f.attrs["format_version"] = 1
    f["targets/class"] = np.arange(ROWS) % 3
    f["samples/path"] = [f"{i}.jpg" for i in range(ROWS)]
    return f


with cache("own.h5") as f:
    f["features/a"] = x
with cache("new.h5", libver="latest") as f:
    f["features/a"] = x
with h5py.File("rows.h5", "w") as f:
    f["x"] = x
with cache("parts.h5") as f:
    layout = h5py.VirtualLayout(shape=x.shape, dtype=x.dtype)
    layout[:] = h5py.VirtualSource("rows.h5", "x", shape=x.shape)
    f.create_virtual_dataset("features/a", layout)
END
advice_lacks() { stderr_lacks 'damaged'; stderr_lacks '--force'; stderr_lacks 'was cut short'; }

# ---- file systems without locks ----

if [ -z "${PF_SANITIZE:-}" ]; then # which must be loaded first
  without_locks() { reason=$1; shift; env LD_PRELOAD="$BUILD/tests/fault_injector.so" PF_FAULT="lock:1+:$reason" "$@"; }
  fake_backbone
  mkdir -p photos/a photos/b
  for class in a b; do
    for i in 1 2 3; do printf 'P5 24 24 255\n%0576d' "$i" > photos/$class/$class$i.pgm; done
  done
  for reason in ENOSYS EOPNOTSUPP ENOLCK; do
    for file in own new parts; do expect 0 without_locks $reason train $file.h5 -q --epochs 1 --val 0; done
    rm -f sealed.h5
    expect 0 without_locks $reason extract photos -o sealed.h5 -q --backbone ./net.pt --resize 20 --crop 16
    expect 0 without_locks $reason train sealed.h5 -q --epochs 1 --val 0
    expect 0 without_locks $reason extract photos -o sealed.h5 -q --backbone ./net.pt --resize 20 --crop 16
    expect 0 without_locks $reason extract --info sealed.h5
    expect 0 without_locks $reason extract --merge own.h5 -o merged.h5 --force
  done
  expect 1 without_locks ENOLCK env HDF5_USE_FILE_LOCKING=TRUE train own.h5 -q
  stderr_has "cannot lock 'own.h5', as HDF5_USE_FILE_LOCKING=TRUE asks"
  stderr_has 'No locks available'
  advice_lacks
  expect 0 without_locks ENOLCK env HDF5_USE_FILE_LOCKING=FALSE train own.h5 -q --epochs 1 --val 0
fi

# ---- files that another program holds ----

# hold FILE MODE...: a writer has it open.
hold() {
  rm -f held
  "$PYTHON" - "$@" > held << 'END' &
import sys, time, h5py
f = h5py.File(sys.argv[1], sys.argv[2], **({"libver": "latest"} if len(sys.argv) > 3 else {}))
f.attrs["note"] = "more to come"
if sys.argv[2] == "w":
    f["features/a"] = [1.0] * 5000
f.flush()
print("held", flush=True)
time.sleep(600)
END
  holder=$!
  trap 'kill $holder 2> /dev/null || :; rm -rf "$WORK"' EXIT
  until [ -s held ]; do sleep 0.05; done
}
release() { kill -9 $holder; wait $holder 2> /dev/null || :; }
held_says() {
  stderr_has "$1' is locked: another program has it open for writing"
  stderr_has 'HDF5_USE_FILE_LOCKING=FALSE'
  advice_lacks
}
cp own.h5 busy.h5
hold busy.h5 r+
for command in 'train busy.h5 -q' 'extract --info busy.h5' 'extract --merge busy.h5 -o merged.h5 --force'; do
  expect 1 $command
  held_says busy.h5
done
expect 0 env HDF5_USE_FILE_LOCKING=FALSE train busy.h5 -q --epochs 1 --val 0
case $(stat -f -c %T .) in
tmpfs | ext2/ext3 | xfs)
  expect 1 train busy.h5 -q
  stderr_has "for writing, process $holder (python3"
  ;;
esac
release
expect 0 train busy.h5 -q --epochs 1 --val 0

hold begun.h5 w
expect 1 train begun.h5 -q
held_says begun.h5
release

# Not yet as long as its superblock says.
cp own.h5 growing.h5
hold growing.h5 r+
truncate -s -1000 growing.h5
expect 1 train growing.h5 -q
held_says growing.h5
release
expect 1 train growing.h5 -q
stderr_has 'damaged'

hold rows.h5 r+
expect 1 train parts.h5 -q
held_says rows.h5
release

# Its writer was killed: the mark stays.
hold new.h5 r+ latest
expect 1 train new.h5 -q
held_says new.h5
release
expect 1 train new.h5 -q
stderr_has "'new.h5' is marked as open for writing"
stderr_has 'h5clear -s'
advice_lacks
done_with
