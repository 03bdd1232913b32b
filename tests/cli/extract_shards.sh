# Shards whose numbers batch systems give, or nobody: --shard auto/N and any/N, --list, --missing,
# and folders of them for --merge. On a backbone that costs nothing.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 8 4   # 36 images
unset SLURM_ARRAY_TASK_ID SLURM_PROCID SLURM_STEP_NUM_TASKS OMPI_COMM_WORLD_RANK RANK WORLD_SIZE 2>/dev/null || :
expect 0 extract_fake photos -o single.h5

# ---- auto ----

for k in 0 1 2 3; do
  expect 0 env SLURM_ARRAY_TASK_ID=$k extract photos -o all.h5 --shard auto/4 --backbone ./net.pt --resize 20 --crop 16
  stderr_has "Slurm array: SLURM_ARRAY_TASK_ID is $k, counted from 0: shard $((k + 1)) of 4"
  exists all.h5.parts/$((k + 1))-of-4.h5
done
absent all.h5
expect 0 extract --missing all.h5.parts; stdout_empty; stderr_has '4 of 4 shards are there'
expect 0 extract --merge merged.h5 all.h5.parts; stderr_has '36 rows of 4 caches'
same_cache single.h5 merged.h5
expect 0 extract --info all.h5.parts/2-of-4.h5
stdout_has 'scheduler: {"variable":"SLURM_ARRAY_TASK_ID","base":0}'; stdout_has 'shard: [2,4]'
expect 0 extract --info merged.h5; stdout_lacks 'SLURM'; stdout_lacks 'listing'

# What is not there, or is no cache, or another's, is to be run again, as the scheduler wants it said.
rm all.h5.parts/1-of-4.h5; cp all.h5.parts/2-of-4.h5 all.h5.parts/4-of-4.h5; echo junk > all.h5.parts/3-of-4.h5
expect 0 extract --missing all.h5.parts
[ "$(cat stdout)" = --array=0,2-3 ] || failed 'another list'
stderr_has '1 of 4 shards are there, missing:'; stderr_has "4-of-4.h5' is not shard 4 of 4"
expect 1 extract --merge merged2.h5 all.h5.parts; absent merged2.h5
rm all.h5.parts/[134]-*
expect 1 extract --merge merged2.h5 all.h5.parts; stderr_has 'missing: 1, 3 to 4'

expect 2 extract_fake photos -o all.h5 --shard auto/4; stderr_has 'no batch system numbers this process'
expect 2 env SLURM_ARRAY_TASK_ID=4 extract photos -o all.h5 --shard auto/4; stderr_has '--shard-base 1'
expect 0 env SLURM_ARRAY_TASK_ID=4 extract photos -o base.h5 --shard auto/4 --shard-base 1 --backbone ./net.pt --resize 20 --crop 16
exists base.h5.parts/4-of-4.h5
expect 0 env RANK=0 WORLD_SIZE=2 extract photos -o ranks.h5 --shard auto/3 --backbone ./net.pt --resize 20 --crop 16
stderr_has '2 processes take the first 2 of 3 shards only'
expect 2 extract_fake photos -o all.h5 --shard-base 1; stderr_has '--shard-base goes with'
expect 2 extract_fake photos -o all.h5 --shard auto/0
expect 2 extract_fake photos -o all.h5 --shard any/2 --json x.json; stderr_has 'there are several'
expect 2 extract_fake photos -o all.h5 --shard any/2 --dry-run
expect 2 extract_fake photos -o all.h5 --shard 1/3 --shard 2/3; stderr_has '--shard is given twice'
expect 2 extract_fake photos -o all.h5 --shard any/2 --force; stderr_has 'every process would make every shard anew'
expect 2 extract_fake photos -o all.h5 --shard any/2 --contact-sheet x.html; stderr_has 'there are several'
for shard in any/2 auto/2; do
  expect 2 extract --verify photos all.h5 --shard $shard; stderr_has 'are for extracting. Hint: --verify takes one shard'
done
expect 0 env RANK=1 WORLD_SIZE=2 extract photos -o dry.h5 --shard auto/2 --dry-run --backbone ./net.pt --resize 20 --crop 16
absent dry.h5.parts

# ---- any: three processes, of which one is killed ----

for i in 1 2 3; do
  FAKE_BACKBONE_MS=60 extract photos -o any.h5 --shard any/6 --backbone ./net.pt --resize 20 --crop 16 --batch 1 --sync-seconds 0.01 2> any$i.log &
  eval "worker$i=$!"
done
sleep 0.3; kill -9 "$worker1" 2> /dev/null || :; wait "$worker1" 2> /dev/null || :
wait "$worker2" || { cat any2.log; exit 1; }
wait "$worker3" || { cat any3.log; exit 1; }
grep -q 'any.h5.parts: all 6 shards are done' any2.log any3.log
expect 0 extract --missing any.h5.parts; stdout_empty
expect 0 extract --merge merged3.h5 any.h5.parts
same_cache single.h5 merged3.h5
cp single.h5 any.h5.parts/other.h5
expect 0 extract --merge --force merged3.h5 any.h5.parts
stderr_has "'any.h5.parts': 1 files that end in .h5 are not called K-of-N.h5"
rm any.h5.parts/other.h5
expect 0 extract_fake photos -o any.h5 --shard any/6; saw 0; no_leftovers

# Who waits for a shard looks at its lock, not at the dataset, which it opens once: when it is its turn.
FAKE_BACKBONE_MS=400 extract photos -o lone.h5 --shard any/1 --backbone ./net.pt --resize 20 --crop 16 --batch 3 2> lone.log & worker=$!
while [ ! -s lone.h5.parts/1-of-1.h5.journal ]; do sleep 0.02; done
expect 0 extract_fake photos -o lone.h5 --shard any/1; stderr_has 'are being written by others: waiting'
[ "$(grep -c 'class folders' stderr)" -eq 1 ] || failed 'a busy shard is opened'
wait "$worker"

# Someone else has it: run again.
FAKE_BACKBONE_MS=300 extract photos -o busy.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 1 2> busy.log & worker=$!
for i in $(seq 100); do [ -e busy.h5.journal ] && break; sleep 0.05; done
expect 75 extract_fake photos -o busy.h5; stderr_has 'another extract is writing'
kill "$worker"; wait "$worker" || :

# ---- a list ----

expect 0 extract --list photos -o photos.list; stderr_has 'photos.list: 36 images'; stdout_empty
cp photos.list again.list; expect 0 extract --list photos -o photos.list; cmp photos.list again.list
for k in 1 2 3; do
  expect 0 extract_fake photos.list -o part$k.h5 --shard $k/3; stderr_has 'a list of train/val class folders'
done
expect 0 extract --merge listed.h5 part1.h5 part2.h5 part3.h5; same_cache single.h5 listed.h5
expect 0 extract_fake photos.list -o whole.h5; same_cache single.h5 whole.h5
# The folder grows: shards of the list stay what they were, and those of the folder do not fit them.
cp photos/train/boat/"$(ls photos/train/boat | head -n 1)" photos/train/boat/new.png
expect 0 extract_fake photos.list -o part2.h5 --shard 2/3; stderr_has 'up to date'
rm photos/train/boat/new.png; mv photos/train/boat photos/train/ship
expect 0 extract_fake photos -o part3.h5 --shard 3/3 --force
expect 1 extract --merge mixed.h5 part1.h5 part2.h5 part3.h5; stderr_has 'shards of two listings'
expect 3 extract_fake photos.list -o gone.h5; stderr_has "cannot be opened"; mv photos/train/ship photos/train/boat

# Manifests, with all kinds of targets, groups, and names that are no text.
mkdir odd; cp photos/train/boat/* odd/
mv odd/"$(ls odd | head -n 1)" "odd/a%09 b.png"
"$PYTHON" - <<'PYTHON'
import os
names = sorted(os.listdir("odd"))
with open("odd/table.csv", "w") as stream:
    stream.write("path,kind,age,tags,who,split\n")
    for i, name in enumerate(names):
        stream.write(f"{name},{'ab'[i % 2]},{'' if i == 3 else i / 3},{'x|y' if i % 3 else 'y'},{i // 2},{['train', 'val'][i % 2]}\n")
PYTHON
set -- --target kind:class --target age --target tags:multilabel --group who
expect 0 extract_fake odd/table.csv -o direct.h5 "$@"
expect 0 extract --list odd/table.csv -o odd.list "$@"
expect 0 extract_fake odd.list -o fromlist.h5; same_cache direct.h5 fromlist.h5
mv odd moved
expect 0 extract_fake odd.list -o fromlist.h5 --root moved; stderr_has 'up to date'
expect 2 extract_fake odd.list -o x.h5 --root moved --target age; stderr_has 'is for manifests'
expect 2 extract_fake odd.list -o x.h5 --root moved --split val=0.2; stderr_has 'was settled when'
echo some.jpg > leave.txt
expect 2 extract_fake odd.list -o x.h5 --root moved --exclude leave.txt; stderr_has "--exclude was settled when 'odd.list' was made: give it to --list"
expect 2 extract_fake odd.list -o x.h5 --root moved --shard 2/99; stderr_has 'has only 8 images'

# Every bit of it matters, and nothing but an error comes of a wrong one.
expect 0 "$PYTHON" - "$BUILD/bin/extract" <<'PYTHON'
import subprocess, sys
whole = open("odd.list", "rb").read()
def run(data):
    open("bad.list", "wb").write(data)
    return subprocess.run([sys.argv[1], "bad.list", "-o", "bad.h5", "--root", "moved", "--dry-run", "--backbone", "./net.pt",
                           "--resize", "20", "--crop", "16"], capture_output=True)
assert run(whole).returncode == 0
for at in range(24, len(whole), 7):
    result = run(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1:])
    assert result.returncode in (1, 2), (at, result)
    assert b"error" in result.stderr
for end in range(0, len(whole), 41):
    assert run(whole[:end]).returncode in (1, 2), end
PYTHON
# A shard reads its own blocks of the list: what is wrong with others it does not see.
"$PYTHON" - <<'PYTHON'
import pathlib
names = sorted(str(path) for path in pathlib.Path("photos/train/tree").iterdir())
with open("long.csv", "w") as stream:
    print("path,label", file=stream)
    for i in range(5000):
        print(names[i % len(names)], i % 3, sep=",", file=stream)
PYTHON
expect 0 extract --list long.csv -o long.list
"$PYTHON" - <<'PYTHON'
data = bytearray(open("long.list", "rb").read())
lines = bytes(data).split(b"\n")
at = len(b"\n".join(lines[:2100]))
data[at + 3] ^= 1
open("long.list", "wb").write(data)
PYTHON
expect 0 extract_fake long.list -o long1.h5 --shard 1/4 --dry-run
expect 0 extract_fake long.list -o long4.h5 --shard 4/4 --dry-run
expect 1 extract_fake long.list -o long2.h5 --shard 2/4 --dry-run; stderr_has 'long.list'

# And of a manifest it looks for its own images, whatever it is that some lack: all are reported, each
# by its shard.
"$PYTHON" - <<'PYTHON'
import shutil, pathlib
names = sorted(path for path in pathlib.Path("photos/train/tree").iterdir())
pathlib.Path("some").mkdir()
with open("some.csv", "w") as stream:
    print("path,label", file=stream)
    for i in range(400):
        name = f"n{i:03}{names[0].suffix}"
        if i not in (50, 51, 350):
            shutil.copy(names[i % len(names)], f"some/{name}")
        print(f"some/{name.removesuffix(names[0].suffix) if 100 <= i < 120 else name}", "abc"[i % 3], sep=",", file=stream)
PYTHON
expect 0 extract_fake some.csv -o some.h5; stderr_has '20 of 400 are there in another spelling'
stderr_has "images of the manifest that are not there: 'some/n050"
for k in 1 2 3 4; do expect 0 extract_fake some.csv -o some$k.h5 --shard $k/4; cp stderr some$k.log; done
grep -q "not there: 'some/n050.*', 'some/n051" some1.log || failed 'shard 1 lacks what it should say'
grep -q "not there: 'some/n350" some4.log || failed 'shard 4 lacks what it should say'
! grep -q 'not there' some2.log some3.log || failed 'another shard told it too'
grep -q '20 of 1.. are there in another spelling' some2.log || failed 'shard 2 found no other spelling'
expect 0 extract --merge some.all.h5 some1.h5 some2.h5 some3.h5 some4.h5; same_cache some.h5 some.all.h5
if [ -z "${PF_SANITIZE:-}" ]; then
  rm -f calls
  expect 0 env LD_PRELOAD="$BUILD/tests/count_calls.so" COUNT_CALLS_OF=some/ COUNT_CALLS_TO=calls "$BUILD/bin/extract" some.csv -o some1.h5 \
    --shard 1/4 --dry-run --backbone ./net.pt --resize 20 --crop 16
  asked=$(awk '$1 == "asked" { print $2 }' calls)
  [ "$asked" -ge 90 ] && [ "$asked" -le 250 ] || failed "$asked questions for the files of a quarter of 400"
fi
rm -rf some some.csv some?.h5

expect 2 extract --list photos; stderr_has 'where to?'
expect 2 extract --list photos -o x.list --shard 1/2
tar cf photos.tar photos; expect 2 extract --list photos.tar -o x.list; stderr_has 'no files of their own'
"$PYTHON" - <<'PYTHON'
import pathlib
name = str(next(pathlib.Path("photos/train/tree").iterdir()))
for columns in 256, 257:
    with open(f"wide{columns}.csv", "w") as stream:
        print("path", *(f"n{i}" for i in range(columns)), sep=",", file=stream)
        print(name, *range(columns), sep=",", file=stream)
with open("widest.csv", "w") as stream:
    print("path,tags", file=stream)
    print(name, ";".join(f"t{i}" for i in range(65537)), sep=",", file=stream)
PYTHON
expect 0 extract --list wide256.csv -o x.list; expect 0 extract_fake x.list -o x.h5; rm x.list x.h5
expect 2 extract --list wide257.csv -o x.list; stderr_has 'has 257 targets'; stderr_has '--target NAME:regression=FIRST..LAST'; absent x.list
expect 2 extract --list widest.csv -o x.list --target tags:multilabel; stderr_has "target 'tags' has 65537 numbers"; absent x.list
expect 1 extract --list photos -o net.pt; stderr_has 'net.pt'
expect 1 extract --missing photos; stderr_has 'holds no shards'

# ---- inputs of a merge ----

printf 'part1.h5\npart2.h5\n\n' > names
expect 0 extract_fake photos.list -o part3.h5 --shard 3/3 --force
echo part3.h5 >> names
INPUT=names expect 0 extract --merge stdin.h5 -; same_cache single.h5 stdin.h5
mkdir some; mv part?.h5 some/; expect 0 extract --merge folder.h5 some; same_cache single.h5 folder.h5
mkdir none; expect 1 extract --merge x.h5 none; stderr_has 'holds no caches'
expect 2 extract --merge x.h5 -; stderr_has 'named no caches'
cp some/part1.h5 any.h5.parts/1-of-7.h5; expect 1 extract --merge x.h5 any.h5.parts; stderr_has 'shards of'
done_with
