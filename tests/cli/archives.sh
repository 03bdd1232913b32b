# Archives: what is in them gives the rows that the same files in a folder give, whatever they are
# packed into, and a run that was killed in the middle goes on. Damaged ones are refused, with the
# member and the place.
. "$(dirname "$0")/harness.sh"
fake_backbone
export TMPDIR="$WORK/tmp"; mkdir "$TMPDIR"
pack() { "$PYTHON" "$SOURCE/tests/tools/pack_archives.py" "$@"; }
equal_rows() { expect 0 extract_fake "$@" -o packed.h5 --force; same_cache folder.h5 packed.h5; }
photographs photos 6 3
echo notes > photos/train/cat/readme.txt
expect 0 extract_fake photos -o folder.h5
stderr_has 'train/val class folders, 27 images (18 train, 9 val)'

# ---- whatever it is packed into ----
pack shards photos 'my set' 4
equal_rows 'my set-{000..003}.tar'
stderr_has 'archives: 4, of 28 members'
stderr_has 'other files, left out: 1 .txt'
equal_rows 'my set-00{2,0,3,1}.tar'
mkdir shards && mv 'my set'-*.tar shards/ && echo '{}' > shards/sizes.json
equal_rows shards
for form in ustar gnu pax; do
  pack tar photos "$form.tar" "$form"; equal_rows "$form.tar"
  # Names of more than a hundred bytes are told in another way by each.
  pack tar photos long.tar "$form" "$(printf 'l%.0s' $(seq 60))/$(printf 'o%.0s' $(seq 60))/"
  equal_rows long.tar
done
stderr_has "all images lie in 'oooo"
pack zip photos photos.zip 'photos/'
equal_rows photos.zip
stderr_has "all images lie in 'photos'"
gzip -k < ustar.tar > ustar.tgz; equal_rows ustar.tgz
stderr_has "archive 'ustar.tgz': decompressed into a temporary file in $WORK/tmp"
if command -v zstd > zstd.path; then zstd -q ustar.tar -o u.tar.zst; equal_rows u.tar.zst; fi
for file in ustar.tar ustar.tgz photos.zip; do INPUT=$file equal_rows -; done
stderr_has 'standard input: copied into a temporary file'
absent "$TMPDIR"/*
# What lies beside the folder around all images is counted, and no class.
mkdir -p wrapped/top && cp -r photos/* wrapped/top/ && echo x > wrapped/readme.txt && pack zip wrapped beside.zip
equal_rows beside.zip
stderr_has "all images lie in 'top'"
pack zip photos/train/cat cats.zip cats/; echo x > table.csv
"$PYTHON" -c 'import zipfile; zipfile.ZipFile("cats.zip", "a").write("table.csv")'
expect 0 extract_fake cats.zip -o cats.h5
stderr_has 'images without labels, 6 images'
stderr_has 'other files, left out: 1 .csv, 1 .txt'
# Splits that the names of the archives say.
for split in train val; do pack shards "photos/$split" "set-$split-0" 2; done
mkdir named && mv set-*.tar named/
expect 0 extract_fake named -o named.h5
stderr_has 'train/val class folders, 27 images (18 train, 9 val)'
same_cache folder.h5 named.h5
mkdir named/train named/val
for split in train val; do
  for k in 0 1; do mv named/set-$split-0-00$k.tar named/$split/$k.tar; done
done
expect 0 extract_fake named -o named.h5 --force; same_cache folder.h5 named.h5
expect 0 extract_fake 'named/{train,val}/{0..1}.tar' -o named.h5 --force; same_cache folder.h5 named.h5
cp photos/train/cat/*.jpg named/val/
expect 0 extract_fake named -o named.h5 --force; stderr_has 'left out: 4 .tar'
rm named/val/*.jpg
# So many that none is held open; most are empty.
pack shards photos many 300
command='extract of 300 archives'
(ulimit -n 60; extract_fake 'many-{000..299}.tar' -o many.h5 > stdout 2> stderr) || failed 'not with 60 descriptors'
same_cache folder.h5 many.h5
rm many-*
# A folder's cache goes on from the archive, and back: equal bytes are not computed twice.
cp folder.h5 on.h5; expect 0 extract_fake ustar.tar -o on.h5; saw 0
expect 0 extract_fake photos.zip -o on.h5; saw 0
INPUT=ustar.tgz expect 0 extract_fake - -o on.h5; saw 0
same_cache folder.h5 on.h5

# ---- predict ----
expect 0 train folder.h5 -o head.safetensors --tap mean --epochs 2
expect 0 predict head.safetensors photos --backbone ./net.pt; sed 's|photos/||' stdout > folder.csv
for archive in photos.zip ustar.tgz shards; do
  expect 0 predict head.safetensors $archive --backbone ./net.pt; cmp stdout folder.csv
done
INPUT=ustar.tar expect 0 predict head.safetensors - --backbone ./net.pt; cmp stdout folder.csv
expect 2 predict head.safetensors photos.zip photos/train/cat/readme.txt --backbone ./net.pt
stderr_has "'photos.zip' is an archive, and has to be the only operand"

# Interrupted while it comes, nothing is kept and nothing breaks.
mkfifo pipe; (cat ustar.tar; sleep 30) > pipe & feeder=$!
extract - -o stopped.h5 --backbone ./net.pt < pipe > stdout 2> stderr & process=$!
for wait in $(seq 500); do grep -q 'copied into' stderr && break; sleep 0.02; done
sleep 0.1; code=0; kill -TERM $process; wait $process || code=$?
command='extract - that is interrupted'
[ $code = 143 ] || failed "exit code $code"
stderr_has 'interrupted while the dataset was being read'
kill $feeder; absent stopped.h5

# ---- unchanged, changed, in parts ----
touch -d '2020-01-01' ustar.tar; expect 0 extract_fake ustar.tar -o again.h5 --force
expect 0 env PERMAFROST_PLUGIN=/nonexistent extract ustar.tar -o again.h5 --backbone ./net.pt --resize 20 --crop 16
stderr_has 'up to date'
expect 0 extract --verify ustar.tar again.h5
rm "$(find photos/train/cat -name '*.jpg' | sort | head -n 1)"
cp "$(find "$SAMPLE/pictures/train/tree" -type f | sort | sed -n 20p)" photos/train/boat/new.jpg
expect 0 extract_fake photos -o folder.h5; saw 1
pack tar photos ustar.tar; expect 0 extract_fake ustar.tar -o again.h5; saw 1
same_cache folder.h5 again.h5
pack shards photos shards/part 4; rm shards/my*
for k in 1 2 3; do expect 0 extract_fake shards --shard $k/3 -o part$k.h5; done
expect 0 extract --merge merged.h5 part1.h5 part2.h5 part3.h5
same_cache folder.h5 merged.h5
expect 0 extract_fake photos --sample 9 -o few.h5; expect 0 extract_fake shards --sample 9 -o few2.h5
same_cache few.h5 few2.h5
expect 0 extract_fake photos/train --split val=0.3 -o drawn.h5
pack tar photos/train train.tar; expect 0 extract_fake train.tar --split val=0.3 -o drawn2.h5
same_cache drawn.h5 drawn2.h5

# ---- killed ----
for kill in 1 2 3; do
  rm -f killed.h5*; : > images
  FAKE_BACKBONE_MS=40 extract shards -o killed.h5 --backbone ./net.pt --resize 20 --crop 16 --batch 2 --sync-seconds 0.01 > log 2>&1 &
  process=$!
  for wait in $(seq 200); do [ "$(wc -l < images)" -ge $((2 * kill + 1)) ] && break; sleep 0.02; done
  kill -9 $process; wait $process 2> log || :
  absent killed.h5; exists killed.h5.journal
  expect 0 extract_fake shards -o killed.h5 --batch 2
  checks=$((checks + 1)); done=$(awk '{ n += $1 } END { print n }' images)
  [ "$done" -lt 27 ] || failed "all $done images were computed again"
  same_cache folder.h5 killed.h5
done

# ---- labels beside images ----
flat_photos() { mkdir flat; for class in boat cat tree; do mkdir flat/$class; cp photos/val/$class/*.jpg flat/$class/; done; }
flat_photos
for kind in cls name json txt; do
  pack keys flat k$kind 2 $kind
  expect 0 extract_fake "k$kind-{000..001}.tar" -o k$kind.h5
  stderr_has 'images with labels beside them (webdataset), 9 images'
done
stderr_has 'labels: the .txt beside each image'
expect 0 extract --info kcls.h5; stdout_has '0 7: 3'; stdout_has '1 11: 3'
expect 0 extract --info kname.h5; stdout_has '2 tree: 3'
expect 0 extract_fake 'kname-{000..001}.tar' -o kcls.h5 --force; same_cache kname.h5 kcls.h5; same_cache kname.h5 ktxt.h5
expect 2 extract_fake 'kname-{000..001}.tar' -o kcls.h5 --target age
# Names that two archives have stand for two images.
cp kcls-000.tar twin-1.tar; cp kname-001.tar twin-2.tar
"$PYTHON" - << 'END'
import io, tarfile
for number, word in (1, "cat"), (2, "dog"):
    with tarfile.open(f"same-{number}.tar", "w") as archive:
        with tarfile.open(f"twin-{number}.tar") as other:
            content = other.extractfile(next(m for m in other if m.name.endswith("jpg"))).read()
        for name, what in ("x.jpg", content), ("x.cls", word.encode()):
            info = tarfile.TarInfo(name)
            info.size = len(what)
            archive.addfile(info, io.BytesIO(what))
END
expect 0 extract_fake 'same-{1..2}.tar' -o same.h5
stderr_has '2 images'
stderr_has "'same-1.tar#...'): 2"
expect 0 extract --info same.h5; stdout_has '0 cat: 1'; stdout_has '1 dog: 1'

# Images that their names do not tell are images here, too; hidden ones are counted.
mkdir gifs
"$PYTHON" - << 'END'
import io, tarfile
content = open("flat/cat/" + sorted(__import__("os").listdir("flat/cat"))[0], "rb").read()
with tarfile.open("gifs/gifs.tar", "w") as archive:
    for name, what in (("1.img", content), ("1.cls", b"cat"), ("2.jpg", content), ("2.cls", b"dog"), ("2.mask.img", content),
                       ("my.photo.jpg", content), ("my.cls", b"cat"),
                       ("._1.jpg", b"x"), ("metadata.csv", b"file_name\n")):
        info = tarfile.TarInfo(name)
        info.size = len(what)
        archive.addfile(info, io.BytesIO(what))
END
expect 0 extract_fake gifs/gifs.tar -o gifs.h5
stderr_has '(webdataset), 2 images'
stderr_has "(torchvision goes by names): '1.img'"
stderr_has "images whose names have another part before their ending, left out: 2, such as '2.mask.img'"
stderr_has "hidden image files left out (torchvision would take them): '._1.jpg'"
stderr_has "tables in archives are not read (one that lists the images: unpack the archive, and extract 'FOLDER/metadata.csv'): 'metadata.csv'"
stderr_has '2 classes: cat (1), dog (1)'
expect 0 extract --info gifs.h5; stdout_has '0 cat: 1'; stdout_has '1 dog: 1'
pack tar gifs nested.tar; expect 1 extract_fake nested.tar -o y.h5; stderr_has 'Hint: archives inside are not looked into'

# ---- what is no image ----
pack odd photos odd.tar
expect 0 extract_fake odd.tar -o odd.h5
stderr_has 'members of archives left out: 1 symbolic links, 1 hard links, 1 devices or pipes, 1 names with '
stderr_has 'members that their archive has once more later on, left out: 1'
stderr_has 'hidden image files left out'
same_cache folder.h5 odd.h5
mkdir empty; : > empty/note.txt; pack tar empty none.tar
expect 1 extract_fake none.tar -o x.h5; stderr_has 'no images found'

# ---- damage ----
image=$(cd photos && find train/cat -name '*.jpg' | sort | sed -n 2p)
set -- $(pack member ustar.tar "$image")
head -c $(($1 + 100)) ustar.tar > cut.tar
expect 1 extract_fake cut.tar -o x.h5
stderr_has "archive 'cut.tar' is cut short: its member '$image' at offset $(($1 - 512)) has $2 bytes, and the archive ends after 100 of them"
absent x.h5
head -c $(($1 - 100)) ustar.tar > cut.tar; expect 1 extract_fake cut.tar -o x.h5; stderr_has 'within the header at offset'
head -c $(($1 - 512)) ustar.tar > cut.tar; expect 0 extract_fake cut.tar -o x.h5; stderr_has 'ends without the blocks of zeros'
INPUT=cut.tar expect 1 extract_fake - -o y.h5; stderr_has 'standard input ends without the blocks of zeros that end a .tar'
absent y.h5
# One limit for files and members, and one message.
for packed in ustar.tar photos.zip; do
  rm -f photos.zip; pack zip photos photos.zip
  expect 3 extract_fake $packed -o y.h5 --max-bytes $(($2 - 1)) --max-bad 0
  stderr_has "is too large: "; stderr_has " bytes, at most $(($2 - 1)) are read. Hint: --max-bytes "
  expect 0 extract_fake $packed -o y.h5 --max-bytes 1000000; rm y.h5
done
mkdir none && : > none/a.jpg && pack tar none none.tar && expect 3 extract_fake none.tar -o y.h5 --max-bad 0
stderr_has 'a.jpg: is empty (0 bytes)'
cp ustar.tar bad.tar; pack flip bad.tar $(($1 - 500)); expect 1 extract_fake bad.tar -o y.h5
stderr_has "the checksum of the header at offset $(($1 - 512)) is wrong"
cp ustar.tar.gz cut.tgz 2> /dev/null || head -c 5000 ustar.tgz > cut.tgz
expect 1 extract_fake cut.tgz -o y.h5; stderr_has 'is cut short'
# What is no archive is not decompressed to its end: at most 8 MB may be written. Zeros of which much more becomes: bombs.py.
limited() { (ulimit -f 16384; extract_fake "$@"); }
packed() { # packed FILE WORDS...
  expect 1 limited "$1" -o y.h5; stderr_has "$2"
  INPUT=$1 expect 1 limited - -o y.h5; stderr_has "$2"
}
head -c 50000000 /dev/zero | gzip > zeros.tar.gz; packed zeros.tar.gz 'expected a .tar in it, found zeros, and nothing else'
seq 1 3000000 | gzip -1 > text.tar.gz; packed text.tar.gz 'expected a .tar in it, found what begins neither as a .tar nor as a .zip'
if [ -s zstd.path ]; then head -c 1000000000 /dev/zero | zstd -q > zeros.tar.zst; packed zeros.tar.zst 'found zeros, and nothing else'; fi
checks=$((checks + 1)); [ -z "$(ls -A tmp)" ] || failed 'temporary files are left'
absent y.h5
# Zeros may stand before a .tar, and be in its members.
head -c 10240 /dev/zero | cat - ustar.tar | gzip > second.tar.gz; expect 0 extract_fake second.tar.gz -o y.h5; saw 27; rm y.h5
rm -f photos.zip; pack zip photos photos.zip
set -- $(pack member photos.zip "$image")
head -c 3000 photos.zip > cut.zip; expect 1 extract_fake cut.zip -o y.h5; stderr_has 'is cut short: a .zip ends with its directory'
cp photos.zip bad.zip; pack flip bad.zip $(($1 + 300)); expect 3 extract_fake bad.zip -o y.h5 --max-bad 0
stderr_has "$image"; stderr_has 'is damaged in the archive'
expect 1 extract_fake 'shards/part-{000..009}.tar' -o y.h5; stderr_has "6 of the 10 archives that 'shards/part-{000..009}.tar' names are not there: 'shards/part-004.tar', "
expect 1 extract_fake ustar.txt.tar -o y.h5; stderr_has 'cannot be read'
printf 'BZh91AY' > b.tar.bz2; expect 1 extract_fake b.tar.bz2 -o y.h5; stderr_has 'bunzip2'
absent y.h5

# ---- outputs ----
cp ustar.tar mine.tar
expect 2 extract_fake mine.tar -o mine.tar --force
cmp mine.tar ustar.tar
expect 2 extract_fake shards -o shards/part-001.tar --force
expect 0 extract_fake shards -o packed.h5 --force; same_cache folder.h5 packed.h5
# A cache among the shards is no part of the dataset, nor is what an interrupted run left there.
expect 0 extract_fake shards -o shards/own.h5; : > shards/other.h5.journal
expect 0 extract_fake shards -o shards/own.h5; stderr_has 'up to date'; same_cache folder.h5 shards/own.h5
expect 2 extract_fake shards/part-000.tar shards/part-001.tar -o y.h5; stderr_has "by braces in quotes: extract '"
no_leftovers
done_with
