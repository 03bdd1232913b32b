# inspect: its command line, its findings in words, JSON and CSV, bad caches, and what extract --exclude makes of them.
. "$(dirname "$0")/harness.sh"
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'python3-h5py is missing'

# ---- the command line ----

expect 0 inspect --help
stdout_has 'usage: inspect [options] CACHE.h5'
expect 0 inspect --version
stdout_has 'inspect (permafrost)'
expect 0 inspect -V
stdout_has 'inspect (permafrost)'
expect 2 inspect
stderr_has 'which cache?'
expect 2 inspect a.h5 b.h5
stderr_has "takes one cache, found 'b.h5' as well"
expect 2 inspect a.h5 --duplicate
stderr_has '--duplicates'
expect 2 inspect a.h5 --csv-safe
stderr_has '--csv-safe goes with --csv'
expect 2 inspect a.h5 --json - --csv -
stderr_has 'would mix on standard output'
expect 2 inspect a.h5 --exact --approximate
stderr_has 'contradict each other'
expect 2 inspect a.h5 --near a.jpg --near b.jpg
stderr_has "--near is given twice, with 'a.jpg' and 'b.jpg'"
expect 2 inspect a.h5 --images photos
stderr_has '--images goes with -o or --pixels'
expect 1 inspect absent.h5
stderr_has 'absent.h5'

# ---- caches: names that do harm, two splits, copies, a wrong label, broken rows; and poor ones ----

"$PYTHON" - << 'END'
import h5py
import numpy as np

def write(name, x, labels=None, splits=None, classes=("ant", "=bee\x1b[31m", "cat,dog"), digests=None,
          paths=None, groups=None):
    with h5py.File(name, "w") as f:
        f.attrs["format"] = "permafrost-cache"
        f.attrs["format_version"] = 1
        f["features/pool"] = x.astype("f4")
        if labels is not None:
            f["targets/class"] = labels.astype("i4")
            f["targets/class"].attrs["kind"] = "class"
            f.create_dataset("classes/class", data=list(classes), dtype=h5py.string_dtype())
        if splits is not None:
            f["samples/split"] = splits.astype("u1")
        if digests is not None:
            f["samples/digest"] = digests
        if groups is not None:
            f["samples/group"] = groups.astype("u8")
        if paths is not None:
            f.create_dataset("samples/path", data=paths, dtype=h5py.string_dtype())

g = np.random.default_rng(2)
n, d = 400, 256
labels = g.integers(0, 3, n)
x = g.standard_normal((n, d)) * .2 + 3 * np.eye(3, d)[labels] + .2
x[:, 255] = 0
splits = (np.arange(n) % 5 == 4).astype("u1")
paths = [f"{i}.jpg" for i in range(n)]
paths[3], paths[4] = "=cmd|'/c x'!A1.jpg", "new\nline <b>\"\u202e.jpg"
digests = g.integers(1, 255, (n, 16)).astype("u1")
digests[10] = digests[11]
x[10] = x[11]
x[4] = x[3] * 1.5
given = labels.copy()
given[50] = (labels[50] + 1) % 3
given[390:] = -1
x[60, 2], x[61] = np.nan, 0
write("full.h5", x, given, splits, digests=digests, paths=paths)
write("sound.h5", np.nan_to_num(x), given, splits)
write("whole.h5", np.nan_to_num(x), given)
write("nothing.h5", x[:60])
write("one.h5", x[:30], np.zeros(30))
write("unlabelled.h5", x[:30], np.full(30, -1))
write("single.h5", x[:1], np.zeros(1))
write("pair.h5", x[:2], np.array([0, 1]))
write("broken.h5", np.full((20, d), np.nan), given[:20])
names = [b"caf\xe9.jpg", "größe.jpg".encode(), b"back\\slash.jpg"] + [b"%d.jpg" % i for i in range(27)]
write("names.h5", x[:30], given[:30] % 2, paths=names, classes=(b"caf\xe9", b"ant"))
write("two.h5", x[:6], np.array([0, 1, -1, -1, -1, -1]))
# What cannot be learned, each image twice: by bytes, and by groups.
twin = np.arange(400) // 2
noise, coin = g.standard_normal((200, d))[twin], g.integers(0, 2, 200)[twin]
write("copies.h5", noise, coin, digests=digests[twin])
write("groups.h5", noise, coin, digests=np.roll(digests, 1, 1), groups=twin + 1)
# Tokens, and their means; more classes than a table of their pairs is written of.
tokens = g.standard_normal((120, 7, 12)).astype("f4")
write("tokens.h5", tokens)
write("means.h5", tokens.mean(1, dtype="f8"))
write("crowd.h5", g.standard_normal((2200, 4)), np.arange(2200) % 1100, classes=[f"c{i}" for i in range(1100)])
# What a model knows, and what others have: horses under other labels, and classes that it does not know.
y = g.integers(0, 3, 150)
z = g.standard_normal((150, 16)) * .3 + 3 * np.eye(3, 16)[y]
write("known.h5", z, y, classes=("ant", "bee", "horse"))
write("other.h5", z, np.where(y == 2, np.minimum(np.arange(150) % 4, 2), y), classes=("ant", "bee", "zebra"))
write("strange.h5", z, 1 + y % 2, classes=("ant", "zebra", "yak"))
write("narrow.h5", x[:60, :1], given[:60])
write("together.h5", x[:20], np.arange(20) % 2, classes=("ant", "bee"), groups=np.ones(20))
END

# ---- equal images and groups are not learned from and asked for ----

for name in copies groups; do
  expect 0 inspect $name.h5 --few-shot --json few.json -q
  "$PYTHON" -c '
import json
points = json.load(open("few.json"))["few_shot"]["points"]
assert points[-1]["images"] >= 20 and points[-1]["accuracy"] < 0.7, points
' || failed "$name: the same images are on both sides"
done

# ---- in words, 80 columns ----

expect 0 inspect full.h5 -q
stdout_empty; stderr_empty
expect 0 inspect full.h5 --json full.json --csv full.csv --most 50
stdout_has 'full.h5: 400 images (320 train, 80 val, 0 test), 256 features'
stdout_has 'Features: 1 of 256 are the same in all images.'
stdout_has 'Features: NaN or infinite in 1 image'
stdout_has "Classes: 3; the largest is"
stdout_has '  10 images stand under no class.'
stdout_has '2 images, similarity 1.0000:'
stdout_has '  2 images of equal bytes:'
stdout_has 'new\nline <b>"\u202e.jpg'
stdout_has "rather '"
stdout_has 'k =  10'
stdout_has 'To label next: 10 of 10 images without a label'
stdout_lacks "$(printf '\033')"
LC_ALL=C.UTF-8 awk 'length($0) > 80 { exit 1 }' stdout || failed 'a line has more than 80 columns'

"$PYTHON" - << 'END'
import csv
import json
found = json.load(open("full.json"))
assert found["rows"] == 400 and found["features"]["constant"] == [255], found["features"]
pairs = {tuple(group["rows"]): group for group in found["duplicates"]["groups"]}
assert set(pairs) == {(3, 4), (10, 11)}, pairs.keys()
assert pairs[3, 4]["splits"] == ["train", "val"] and pairs[3, 4]["crosses_splits"]
assert pairs[10, 11]["exact"] and not pairs[3, 4]["exact"]
errors = {error["row"]: error for error in found["label_errors"]}
assert 50 in errors and len(errors) < 6, errors.keys()
assert errors[50]["neighbours"] == errors[50]["suggested"] != errors[50]["given"], errors[50]
assert found["label_next"]["unlabelled"] == 10
assert len({image["row"] for image in found["label_next"]["images"]}) == 10
rows = list(csv.DictReader(open("full.csv", newline="")))
assert {row["finding"] for row in rows} >= {"duplicate", "label", "label next", "not finite"}, rows
assert any(row["path"].startswith("new\nline") for row in rows)
END
expect 0 inspect full.h5 --csv - --csv-safe --duplicates
stdout_has "'=cmd|"
stderr_has 'Duplicates: 2 groups of 4 images; 1 of equal bytes, 1 across splits'

# ---- by cells: the copies are the same ones ----

stdout_lacks 'approximately'
expect 0 inspect full.h5 --approximate --duplicates --json cells.json
stdout_has 'Compared: approximately, each image with those of the '
stdout_has ' % of the nearest, '
stdout_has 'Duplicates: 2 groups of 4 images; 1 of equal bytes, 1 across splits'
expect 0 inspect full.h5 --exact --duplicates
stdout_has 'Compared: all pairs of images, exactly.'
expect 0 inspect broken.h5 --approximate --duplicates
stdout_has 'Compared: all pairs of images, exactly.'
stdout_has 'Duplicates: none.'

# ---- the same on one thread, from a stream, and without names ----

expect 0 inspect full.h5 -q -j 1 --json alone.json
for name in full alone; do sed 's/"created":.*"versions"/"versions"/' $name.json > $name.found; done
cmp full.found alone.found || failed 'one thread finds something else'
expect 0 inspect full.h5 --memory 700K --json streamed.json --duplicates --outliers --labels --classes
stdout_has 'as memory is short'
expect 0 inspect full.h5 --json whole.json --duplicates --outliers --labels --classes
"$PYTHON" - << 'END'
import json
streamed, whole = (json.load(open(name)) for name in ("streamed.json", "whole.json"))
for finding in ("duplicates", "outliers", "classes"):
    assert streamed[finding] == whole[finding], finding
rows = [[error["row"] for error in found["label_errors"]] for found in (streamed, whole)]
assert rows[0] == rows[1], rows
END
expect 0 inspect full.h5 --memory 4K --labels --outliers # a probability of each class for 400 images takes more
stdout_has 'Labels: not looked for, as the probabilities of 400 images'
stdout_has 'Outliers'
expect 0 inspect full.h5 --anonymous --json nobody.json --csv nobody.csv
stdout_lacks '.jpg'
grep -q 'jpg' nobody.json nobody.csv && failed 'a path is in an anonymous file'
grep -q 'duplicate,3,' nobody.csv || failed 'the CSV has no numbers of rows'

# ---- the map, alone, and as the export has it ----

expect 0 inspect full.h5 --map --json map.json --export places -q
"$PYTHON" - << 'END' || failed 'the map of the JSON is another one'
import json
import numpy as np
found, places = json.load(open("map.json"))["map"], np.load("places/map.npy")
assert found["placed"] == len(places) == len(found["positions"]) and found["trustworthiness"] > .5, found["placed"]
assert np.allclose(np.array(found["positions"]), places, atol=6e-4) and np.ptp(places) > 1
END
expect 0 inspect full.h5 --map
stdout_has 'Map: places of 400 images by t-SNE, trustworthiness 0.'
stdout_lacks 'Duplicates'
expect 0 inspect full.h5 --map --duplicates --labels --outliers --json findings.json --csv findings.csv
stdout_has 'Map: places of'
stdout_has 'Labels'
expect 2 inspect full.h5 --map --no-map
stderr_has '--no-map'

# Tokens are averaged like maps of a network, also where they are read again, and where there is room for a part.
expect 0 inspect means.h5 --features --export means -q
expect 0 inspect tokens.h5 --features --export tokens -q
expect 0 inspect tokens.h5 --features --export streamed -q --memory 60K
for folder in tokens streamed; do cmp $folder/map.npy means/map.npy || failed "$folder: not the map of the means"; done
expect 0 inspect tokens.h5 --map --memory 8K --json part.json
"$PYTHON" - << 'END' || failed 'other rows have places'
import json
found = json.load(open("part.json"))["map"]
count = found["placed"]
assert 2 < count < 120, count
assert [i for i, place in enumerate(found["positions"]) if place] == [i * 120 // count for i in range(count)]
END
expect 0 inspect full.h5 --map --memory 300K --json nomap.json
stdout_has 'Map: not drawn, as principal components of 256 features take '
stderr_has 'warning: no map: '
expect 0 inspect full.h5 --features --memory 300K --no-thumbnails -o nomap.html -q
stderr_has 'warning: no map: '

# ---- the export has the neighbours that a search has found, and looks for them where there was none ----

expect 0 inspect full.h5 --features --export places -q
expect 0 inspect full.h5 --duplicates --export nearest -q
for name in neighbours similarities; do cmp nearest/$name.npy places/$name.npy || failed "other $name"; done
expect 0 inspect full.h5 --duplicates --approximate --export nearest
stderr_has 'exported neighbours are the first 10 of the 20 that were looked for in '
expect 0 inspect full.h5 --features --approximate --export nearest
stderr_has 'exported neighbours were looked for in '

# ---- the export writes over its own files only ----

expect 0 inspect full.h5 --features --export places -q
mkdir mine
for name in rows.csv features.npy features.fvecs labels.npy rows.parquet; do
  echo 'my own table' > mine/$name
  expect 1 inspect full.h5 --features --export mine -q
  stderr_has "--export: 'mine/$name' is there already and is text of another kind, not "
  [ "$(cat mine/$name)" = 'my own table' ] || failed "'mine/$name' was written over"
  [ "$(ls mine)" = "$name" ] || failed 'something was written beside it'
  rm mine/$name
done
cp places/map.npy mine/map.npy # an array, which does not tell whose it is
expect 1 inspect full.h5 --features --export mine -q
stderr_has 'no rows.csv lies beside it'
rm mine/map.npy
expect 2 inspect full.h5 --features --export mine --csv mine/rows.csv
stderr_has 'are the same file'
: > mine/rows.csv # an empty file is nobody's
expect 0 inspect full.h5 --features --export mine -q
cmp mine/rows.csv places/rows.csv || failed 'another table'

# An array that this export does not have is not left over from an earlier one.
cp places/map.npy mine/map.npy
cp places/map.npy mine/other.npy
expect 0 inspect full.h5 --features --export mine -q --no-map
absent mine/map.npy
exists mine/labels.npy
exists mine/other.npy
expect 0 make_cache noclass.h5 notarget
expect 0 inspect noclass.h5 --features --export mine -q --no-map
absent mine/labels.npy

# What is no UTF-8 is escaped in Parquet, whose texts must be UTF-8; all else stays.
expect 0 inspect names.h5 --features --export names -q
"$PYTHON" - << 'END' || failed 'rows.parquet has other names'
data = open("names/rows.parquet", "rb").read()
for name in (rb"caf\xe9.jpg", "größe.jpg".encode(), rb"back\slash.jpg"):
    assert len(name).to_bytes(4, "little") + name in data, name
assert b"caf\xe9" not in data
END

# ---- poor caches say what was not looked for ----

expect 0 inspect nothing.h5
stdout_has 'Labels: not looked for, as the cache has no classes.'
stdout_has 'Pixels: not looked for, as the cache was made without statistics of the pixels;'
stdout_has 'Classes: not looked for'
stdout_has 'To label next: 20 of 60'
expect 0 inspect one.h5
stdout_has 'Labels: not looked for, as all images with a label are of one class.'
stdout_has 'Few images: not looked for, as all images with a label are of one class.'
expect 0 inspect unlabelled.h5
stdout_has 'Labels: not looked for, as no image has a label.'
expect 0 inspect single.h5
stdout_has 'Outliers: not looked for, as there are fewer than two rows to compare.'
for cache in pair two; do
  expect 0 inspect $cache.h5
  stdout_has 'Neighbours: not looked for, as 10 neighbours vote at least, and only 2 train'
done
expect 0 inspect broken.h5
stdout_has 'NaN or infinite in 20 images'
expect 0 inspect narrow.h5
expect 0 timeout 60 inspect together.h5
stdout_has 'Labels: not looked for, as all images with a label are of one group, or equal.'
expect 0 make_cache many.h5 many
expect 0 inspect many.h5 --classes --labels --few-shot --memory 100M
stdout_has 'Classes: 400, of 1 image each.'
stdout_has 'Labels: not looked for, as the probabilities of 400 images and 100000 classes'
stdout_has 'Few images: not looked for, as the probabilities of 400 images and 100000'
stderr_has 'which classes look alike is not looked for, as the pairs of 100000 classes take '
expect 0 train crowd.h5 -q --epochs 1 -o crowd.safetensors
expect 0 inspect crowd.h5 --model crowd.safetensors --labels --json crowd.json -q
"$PYTHON" -c '
import json
crowd, full = (json.load(open(f"{name}.json"))["labels"] for name in ("crowd", "full"))
assert crowd["done"] and "joint" not in crowd and len(full["joint"]) == 3
' || failed 'the joint of many classes'
expect 2 inspect full.h5 --target age
stderr_has "has no target 'age'; of classes it has: class"
expect 0 inspect nothing.h5 --model full.csv --labels
stdout_has 'Labels: not looked for'
expect 1 inspect full.h5 --model full.csv --labels

# ---- models side by side, and one that judges labels ----

expect 0 train sound.h5 -q --epochs 1 -o a.safetensors
expect 0 train sound.h5 -q --epochs 9 -o b.safetensors
expect 0 inspect sound.h5 --model a.safetensors --model b.safetensors --labels --json models.json
stdout_has 'by the model'
cp stdout compared
expect 0 inspect sound.h5 --model a.safetensors --model b.safetensors --labels --memory 4K
stdout_has 'Labels: not looked for, as the probabilities of '
[ "$(grep 'safetensors' stdout)" = "$(grep 'safetensors' compared)" ] || failed 'less memory compares models otherwise'
stdout_has 'Models on 78 val images:'
stdout_has 'McNemar p ='
stdout_lacks 'may have learned'
# Val rows that train drew itself are known as predict knows them; of models that have others, all
# rows are taken, and it is said.
for share in 0.2 0.3; do expect 0 train whole.h5 -q --epochs 3 --val $share -o drawn$share.safetensors; done
cp drawn0.2.safetensors copy.safetensors
expect 0 predict drawn0.2.safetensors --evaluate whole.h5
cat stdout stderr > known
expect 0 inspect whole.h5 --model drawn0.2.safetensors --model copy.safetensors --labels --json drawn.json
stdout_lacks 'may have learned'
drawn=$(sed -n 's/^Models on \([0-9]*\) val images:.*/\1/p' stdout)
checks=$((checks + 1)); [ "${drawn:-0}" -gt 40 ] && [ "$drawn" -lt 140 ] || failed 'these are not the val rows of train'
grep -q "\b$drawn\b" known || failed "predict --evaluate knows other val rows than these $drawn: $(cat known)"
expect 0 inspect whole.h5 --model drawn0.2.safetensors --model drawn0.3.safetensors --labels --json mixed.json
stdout_has 'labelled images (a model may have learned from some'
expect 0 train sound.h5 -q --epochs 3 --folds 3 -o folds.safetensors
expect 0 inspect sound.h5 --model a.safetensors --model folds.safetensors --labels
stdout_has 'labelled images (a model may have learned from some'
"$PYTHON" - << 'END' || failed 'the JSON says otherwise'
import json
drawn, mixed = (json.load(open(f"{name}.json"))["models"] for name in ("drawn", "mixed"))
assert (drawn["split"], drawn["may_be_learned"]) == ("val", False) and mixed["may_be_learned"] and drawn["rows"] < mixed["rows"]
END

# A model is judged as predict judges it where it has other classes than the cache: by all of its own, and
# not by classes that it does not know.
expect 0 train known.h5 -q -o known.safetensors
cp other.h5 twin.h5 # val rows are drawn of the cache that a model is trained on
expect 0 train twin.h5 -q -o zebra.safetensors
expect 0 predict known.safetensors --evaluate other.h5 --json predicted.json -q
unknown="target 'class': 1 of 3 classes of the cache are not known to the model 'known.safetensors'"
expect 0 inspect other.h5 --model known.safetensors --model zebra.safetensors --labels --json other.json \
  --no-thumbnails -o other.html
stderr_has "$unknown, and their images count for nothing with it: 'zebra'"
[ "$(grep -cF "$unknown" stderr)" = 1 ] || failed 'a warning comes twice'
expect 0 inspect other.h5 --model known.safetensors --labels
stderr_has "$unknown"
"$PYTHON" - << 'END' || failed 'another judgement than that of predict'
import json
judged = json.load(open("predicted.json"))["evaluation"]["all"]
found = json.load(open("other.json"))
page = open("other.html").read()
models, labels = found["models"], found["labels"]
assert judged["unknown_class"] > 10 and judged["accuracy"] < .9, judged["accuracy"]
assert models["rows"] == labels["rows"] == judged["rows"]
for accuracy in (models["models"][0]["accuracy"], labels["accuracy"]):
    assert abs(accuracy - judged["accuracy"]) < 1e-9, (accuracy, judged["accuracy"])
assert not [error for error in found["label_errors"] if "zebra" in (error["given"], error["suggested"])]
assert f"Accuracy <b>{judged['accuracy']:.4f}</b>" in page and "(another class)" in page
assert f"<dt>not judged</dt><dd>{judged['unknown_class']} of the images: " in page
END
expect 0 inspect strange.h5 --model known.safetensors --labels
stdout_has 'Labels: not looked for, as the model knows the class of no image that has a'
expect 0 inspect strange.h5 --model known.safetensors --model zebra.safetensors --labels --json strange.json
stdout_has 'Models: not looked for, as no image has a label of a class that all models'

expect 2 inspect sound.h5 --model a.safetensors --json a.safetensors
stderr_has 'a model that is read'

# ---- extract leaves out what was found ----

fake_backbone
for class in ant bee; do
  mkdir -p "photos/$class"
  for i in 1 2 3 4; do printf 'P6 8 8 255\n%0192d' "$i" > "photos/$class/$i.ppm"; done
done
printf 'finding,path\nlabel,ant/1.ppm\noutlier,ant/1.ppm\nlabel,bee/3.ppm\nlabel,gone.ppm\n' > leave.csv
expect 0 extract_fake photos -o photos.h5 --exclude leave.csv
stderr_has "excluded: 2 of 8 images, by the 3 paths of 'leave.csv', of which 1 are not here"
stderr_has '6 images: 6 new'
printf 'ant/1.ppm\r\nbee/3.ppm\r\n' > leave.txt
expect 0 extract_fake photos -o photos.h5 --exclude leave.txt
stderr_has 'up to date'
printf '\357\273\277ant/1.ppm\r\nbee/3.ppm\r\n' > marked.txt
expect 0 extract_fake photos -o photos.h5 --exclude marked.txt
stderr_has "excluded: 2 of 8 images, by the 2 paths of 'marked.txt', of which 0 are not here"
find ./photos -name '*.ppm' > found
printf 'photos/ant/1.ppm\n././photos/bee/3.ppm\n' > chosen.txt
INPUT=found; expect 0 extract_fake - -o found.h5 --exclude chosen.txt; INPUT=
stderr_has "excluded: 2 of 8 images, by the 2 paths of 'chosen.txt', of which 0 are not here"
: > empty.txt
expect 2 extract_fake photos -o x.h5 --exclude empty.txt
stderr_has 'names no path'
printf 'ant/%s.ppm\n' 1 2 3 4 > all.txt; printf 'bee/%s.ppm\n' 1 2 3 4 >> all.txt
expect 2 extract_fake photos -o x.h5 --exclude all.txt
stderr_has 'leaves out all 8 images'
expect 1 extract_fake photos -o x.h5 --exclude absent.txt

# ---- nearest images, by the network that the cache names ----

expect 0 inspect photos.h5 --near photos/ant/1.ppm --near-count 2 --backbone net.pt --json near.json
stdout_has 'Nearest to photos/ant/1.ppm:'
expect 0 inspect photos.h5 --near photos/ant/1.ppm --backbone net.pt --anonymous
stdout_has 'Nearest to the given one:'
stdout_lacks photos
expect 3 inspect photos.h5 --near leave.csv --backbone net.pt
expect 1 inspect full.h5 --near photos/ant/1.ppm
stderr_has 'does not say which network'

# ---- what the page says of the JSON ----

expect 0 inspect photos.h5 -q --pixels --json pixels.json
expect 0 inspect photos.h5 --json noted.json
stdout_has 'Pixels: '
stdout_lacks 'Pixels: not looked for'
expect 0 inspect nothing.h5 -q --json nothing.json
mv photos moved
expect 0 inspect photos.h5 --pixels --json moved.json
stdout_has "the images are not at '"
stdout_has '(--images DATASET says'
"$PYTHON" "$SOURCE/tests/cli/inspect_schema.py" "$SOURCE/docs/inspect.md" full.json cells.json nobody.json models.json near.json map.json \
  drawn.json mixed.json pixels.json noted.json nothing.json moved.json nomap.json crowd.json other.json strange.json 2> schema || failed "the schema: $(cat schema)"
done_with
