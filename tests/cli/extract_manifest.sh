# Manifests: a CSV file of paths and targets of every kind, in a cache and again when it changes.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 4 1
command -v digest_cache > /dev/null || skip 'digest_cache is not built'
(cd photos && find train -name '*.jpg' | sort) > list
images=$(wc -l < list)

# column N: the N-th path of the list
path() { sed -n "$1p" list; }

{
  printf '\357\273\277path,age,gender,"left, x",left_y,red,round,tags,split\r\n'
  n=0
  while read -r file; do
    n=$((n + 1))
    printf '%s,%s.5,%s,%s,%s,%s,%s,%s,%s\r\n' "$file" "$n" "$([ $((n % 2)) = 0 ] && echo male || echo female)" \
      "$n" "$((n * 2))" "$((n % 2))" 1 "$([ $((n % 3)) = 0 ] && echo 'big;old' || echo old)" \
      "$([ $((n % 4)) = 0 ] && echo val || echo train)"
  done < list
} > photos/faces.csv

# Beside the folders of splits it is not passed over in silence, nor is anything else there.
cp "photos/$(path 1)" photos/loose.jpg; echo x > photos/readme.md
expect 0 extract_fake photos/ -o folder.h5
stderr_has "beside the images are not read (one that lists them: name it in place of the folder, extract 'photos/faces.csv')"
stderr_has 'other files, left out: 1 .csv, 1 .md'
stderr_has "images beside the class folders, left out: 'loose.jpg'"
rm photos/loose.jpg photos/readme.md folder.h5
mkdir -p plain/train && cp "photos/$(path 1)" plain/ && cp "photos/$(path 2)" plain/train/
: > plain/train/metadata.jsonl
expect 0 extract_fake plain -o folder.h5
stderr_has "(one that lists them: save it as .csv, and name that in place of the folder): 'train/metadata.jsonl'"
rm -r plain folder.h5

# Without --target every other column is one, and says so.
expect 0 extract_fake photos/faces.csv -o a.h5
saw "$images"
stderr_has "manifest, $images images ("
stderr_has "paths: column 'path'"
stderr_has "target age: regression, 1 number, column 'age'"
stderr_has "target gender: class, 2 classes, column 'gender'"
stderr_has "target red: class, 2 classes, column 'red'"
stderr_lacks 'target split'
expect 0 extract --info a.h5
stdout_has 'gender: 2 classes'
stdout_has 'age: 1 number'
expect 0 extract --verify a.h5

# Every kind; only the targets are other ones, so nothing is computed.
kinds() {
  extract_fake photos/faces.csv -o a.h5 --target age:regression --target gender:class \
    --target 'eye:keypoints=left, x..left_y' --target look:multilabel=red,round --target tags:multilabel "$@"
}
# A column whose name has a comma cannot be in a list; a range is one item.
expect 2 kinds
stderr_has "no column 'left'"
sed -i '1s/"left, x"/left_x/' photos/faces.csv
kinds() {
  extract_fake photos/faces.csv -o a.h5 --target age:regression --target gender:class \
    --target eye:keypoints=left_x..left_y --target look:multilabel=red,round --target tags:multilabel "$@"
}
expect 0 kinds
saw 0
stderr_has 'target eye: keypoints, 1 points'
expect 0 extract --info a.h5
stdout_has 'eye: 1 keypoints'
stdout_has 'look: 2 labels'
stdout_has '0 big: '
# Nothing changed: nothing is done.
cp -p a.h5 before.h5
expect 0 kinds
saw 0
stderr_has 'up to date'
cmp -s a.h5 before.h5 || failed 'an up-to-date cache was written again'

# A changed number, a label, a split, a class and another order are seen, and nothing is computed.
changed() {
  expect 0 kinds
  saw 0
  stderr_lacks 'up to date'
  command="fresh run after: $1"
  cp a.h5 kept.h5
  extract_fake photos/faces.csv -o fresh.h5 --force --target age:regression --target gender:class \
    --target eye:keypoints=left_x..left_y --target look:multilabel=red,round --target tags:multilabel > /dev/null 2> fresh.log ||
    failed "no fresh run: $(cat fresh.log)"
  same_cache a.h5 fresh.h5
}
sed -i '2s/,1\.5,/,77,/' photos/faces.csv; changed 'a number'
sed -i '3s/,2\.5,/,,/' photos/faces.csv; changed 'a number is missing'
sed -i '4s/big;old/big/' photos/faces.csv; changed 'a label'
sed -i '5s/,val/,test/' photos/faces.csv; changed 'a split'
sed -i '6s/female/other/' photos/faces.csv; changed 'a class'
{ head -n 1 photos/faces.csv; tail -n +2 photos/faces.csv | sort -r; } > photos/turned.csv
mv photos/turned.csv photos/faces.csv; changed 'the order'
expect 0 extract --info a.h5
stdout_has 'age: 1 number, missing in 1 rows'
expect 0 extract --verify photos/faces.csv a.h5

# Text where numbers are asked for; missing files; ragged lines; nothing at all.
expect 1 extract_fake photos/faces.csv -o b.h5 --target gender:regression
stderr_has "line 2, column 'gender': found '"
expect 2 extract_fake photos/faces.csv -o b.h5 --target gendr:class
stderr_has "no column 'gendr', did you mean 'gender'?"
expect 2 extract_fake photos/faces.csv -o b.h5 --target age:number
stderr_has "no kind 'number'"
expect 2 extract_fake photos -o b.h5 --target age
stderr_has '--target is for manifests'
{ echo path,age; sed 's/$/,1/' list; echo gone.jpg,2; } > photos/gaps.csv
expect 0 extract_fake photos/gaps.csv -o b.h5 --max-bad 1
stderr_has "images of the manifest that are not there: 'gone.jpg'"
stderr_has "b.h5: $images rows, 1 rejected"
{ echo path,age; echo "$(path 1),1,2"; } > photos/ragged.csv
expect 1 extract_fake photos/ragged.csv -o c.h5
stderr_has "line 2 has 3 fields; the header has 2"
: > photos/empty.csv
expect 1 extract_fake photos/empty.csv -o c.h5
stderr_has "'photos/empty.csv' is empty"
echo path,age > photos/header.csv
expect 1 extract_fake photos/header.csv -o c.h5
stderr_has 'has a header and nothing below it'

# Paths in a folder beside the file, in a column without a name, as pandas writes them.
{ echo ,0,1; sed 's/^train.//; s/$/,3.0,4.0/' list; } > photos/points.csv
expect 0 extract_fake photos/points.csv -o d.h5 --target points:keypoints=0..1
stderr_has "paths: column '', in the folder 'photos/train'"
expect 0 extract_fake photos/points.csv -o e.h5 --target points:keypoints=0..1 --root photos/train
same_cache d.h5 e.h5
# Parts of it, joined.
expect 0 extract_fake photos/faces.csv -o s1.h5 --target age --target tags:multilabel --shard 1/2
expect 0 extract_fake photos/faces.csv -o s2.h5 --target age --target tags:multilabel --shard 2/2
expect 0 extract_fake photos/faces.csv -o whole.h5 --target age --target tags:multilabel
expect 0 extract --merge joined.h5 s1.h5 s2.h5
same_cache joined.h5 whole.h5
# Of labels with other names nobody knows what they say of the others' images.
{ echo path,tags; sed 's/$/,new/' list; } > photos/tags.csv
expect 0 extract_fake photos/tags.csv -o t.h5 --target tags:multilabel
expect 1 extract --merge joined2.h5 s1.h5 t.h5 --force
stderr_has "target 'tags' of 't.h5' is of kind multilabel, 1 numbers a row"

# Another machine's tables: a German spreadsheet's, of its own encoding, with folds and backslashes.
{ printf 'Datei;Gr\366\337e;Gruppe;set\r\n'
  n=0
  while read -r file; do
    n=$((n + 1))
    printf 'D:\\Fotos\\%s;%s,5;B\344r %s;%s\r\n' "$(echo "$file" | tr / '\\')" "$n" "$((n % 2))" "$([ $((n % 3)) = 0 ] && echo val || echo train)"
  done < list
} > photos/deutsch.csv
expect 1 extract_fake photos/deutsch.csv -o g.h5
stderr_has "'photos/deutsch.csv' line 1: byte 0xf6 behind 'Gr' is not UTF-8; Windows-1252 would make it 'Größe'"
stderr_has '--encoding windows-1252'
absent g.h5
expect 0 extract_fake photos/deutsch.csv -o g.h5 --encoding latin1
saw "$images"
stderr_has "target Größe: regression, 1 number, column 'Größe', '1,5' is 1.5"
stderr_has 'target Gruppe: class, 2 classes'
stderr_has "split: column 'set'"
stderr_has "$images of $images are there in another spelling only, 'D:\\\\Fotos\\\\"
expect 0 extract --info g.h5
stdout_has 'val'
iconv -f latin1 -t UTF-16 photos/deutsch.csv > photos/unicode.csv
expect 0 extract_fake photos/unicode.csv -o u.h5
stderr_has 'encoding: UTF-16'
same_cache u.h5 g.h5

# Lines of separators alone, as spreadsheets write them; one name of an image that is not UTF-8.
{ head -3 photos/faces.csv; sed -n '1s/[^,]//gp' photos/faces.csv; sed -n 4p photos/faces.csv
  sed -n '1s/[^,]//g;1s/,/, /gp' photos/faces.csv; } > photos/blank.csv
expect 0 extract_fake photos/blank.csv -o b.h5
stderr_has 'photos/blank.csv: manifest, 3 images'
stderr_has 'lines without any entry, left out: 2'
{ echo path; head -3 list; printf 'train/n\366.jpg\n'; } > photos/one.csv
expect 1 extract_fake photos/one.csv -o n.h5
stderr_has "'photos/one.csv' line 5: byte 0xf6 behind 'train/n' is not UTF-8"
stderr_has '--encoding windows-1252'
absent n.h5

# A list without a header, and what options say.
sed 's/^train.//; s/[.]jpg$/ 3/' list > photos/train/list.txt
expect 0 extract_fake photos/train/list.txt -o l.h5
saw "$images"
stderr_has "paths: column 'column1'"
expect 0 extract_fake photos/train/list.txt -o l.h5 --no-header --suffix .jpg --target column2:class
saw 0
expect 2 extract_fake photos/faces.csv -o o.h5 --split-column spilt
stderr_has "no column 'spilt', did you mean 'split'?"
expect 2 extract_fake photos/faces.csv -o o.h5 --split-column gender=woman
stderr_has "no line of 'photos/faces.csv' is val: none has 'woman' in the column 'gender'. Line 2 has '"
expect 2 extract_fake photos/faces.csv -o o.h5 --separator ';'
stderr_has '--separator parts labels'
expect 2 extract_fake photos/faces.csv -o o.h5 --encoding utf-0
stderr_has "--encoding: 'utf-0' is not known here"
expect 2 extract_fake photos/faces.csv -o o.h5 --decimal dot
expect 2 extract_fake photos/faces.csv -o o.h5 --separator ab
expect 2 extract_fake photos -o o.h5 --suffix .jpg
stderr_has '--suffix is for manifests'
expect 2 extract --merge o.h5 s1.h5 s2.h5 --no-header
stderr_has '--no-header is for extracting from a manifest'
absent o.h5

# Lines of another split than all before are of that split, and no cache that this version began is
# read otherwise for them.
{ echo path,label,phase; sed -n '1,6s/$/,a,train/p' list; sed -n '7,9s/$/,b,train/p' list; } > photos/phase.csv
expect 0 extract_fake photos/phase.csv -o phase.h5
sed -n '10,12s/$/,b,val/p' list >> photos/phase.csv
for run in 1 2; do
  expect 0 extract_fake photos/phase.csv -o phase.h5
  stderr_lacks 'read otherwise'; stderr_lacks 'target phase'
  stderr_has '12 images (9 train, 3 val)'
done
expect 0 extract --verify photos/phase.csv phase.h5

# A cache goes on as it began: with what the first version made of these columns.
{ echo path,fold,price; n=0
  while read -r file; do n=$((n + 1)); echo "$file,$([ $((n % 3)) = 0 ] && echo val || echo train),\"$n,5\""; done < list
} > photos/old.csv
expect 0 extract_fake photos/old.csv -o old.h5 --split-column none --target fold:class --target price:class
first_days old.h5 options operand
cp -p old.h5 before.h5
expect 0 extract_fake photos/old.csv -o old.h5
saw 0
stderr_has "the cache was begun when 'photos/old.csv' was read otherwise than today, and goes on so"
stderr_has 'target fold: class, 2 classes'
stderr_lacks 'split: column'
stderr_has 'up to date'
cmp -s old.h5 before.h5 || failed 'a cache of the first reading was changed'
expect 0 extract --verify photos/old.csv old.h5
# It goes on so when there is more to do, and says it to those that come after.
{ cat photos/old.csv; echo "$(path 1),val,\"7,5\""; } > photos/longer.csv
cp old.h5 longer.h5
for run in 1 2; do
  expect 0 extract_fake photos/longer.csv -o longer.h5
  stderr_has 'was read otherwise than today'; stderr_has 'target fold: class, 2 classes'
done
stderr_has 'up to date'
expect 0 extract --info longer.h5; stdout_has 'read_as: first'; stdout_has 'options'
expect 0 extract --verify photos/longer.csv longer.h5
expect 0 extract_fake photos/old.csv -o new.h5
stderr_has "split: column 'fold'"
stderr_has "target price: regression, 1 number, column 'price', '1,5' is 1.5"
expect 0 extract_fake photos/old.csv -o new.h5
stderr_lacks 'read otherwise'
stderr_has 'up to date'
expect 0 extract_fake photos/old.csv -o old.h5 --split-column fold
saw 0
stderr_lacks 'read otherwise'
same_cache old.h5 new.h5
no_leftovers
done_with
