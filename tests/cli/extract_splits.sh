# Which images are trained on and which are validated on: equal ones stay together where the sides are
# drawn and are counted where they are given; folders are splits by their names; caches go on as
# they began; files that are no images are counted.
. "$(dirname "$0")/harness.sh"
fake_backbone
predict --trust net.pt 2> trusted # which models may name from here on

# picture FILE NUMBER: a PGM of its own for every number.
picture() {
  mkdir -p "$(dirname "$1")"
  awk -v n="$2" 'BEGIN { printf "P2 24 24 255\n"; for (i = 0; i < 576; i++) printf "%d ", (i * (n + 3) + n * n) % 251 }' > "$1"
}
member() { "$PYTHON" -c 'import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."): value = value[key]
print(value)' "$1" "$2"; }
# is WANTED FOUND
is() { checks=$((checks + 1)); [ "$1" = "$2" ] || failed "expected '$1', found '$2'"; }

# ---- sides that are drawn ----

for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
  class=$([ $n -gt 6 ] && echo low || echo high)
  for copy in 1 2 3 4; do picture photos/$class/${n}_$copy.pgm $n; done
done
expect 0 extract_fake photos -o drawn.h5 --split val=0.3 --json drawn.json
stderr_has '48 images (48 train; val 0.3 of train by hash of the bytes)'
stderr_has 'sides: '
stderr_lacks 'also in'
is 0 "$(member drawn.json equal_images.val_in_train)"
expect 0 extract --verify photos drawn.h5
stdout_lacks 'also in'
expect 0 extract_fake photos -o drawn.h5 --split val=0.3
stderr_has 'up to date'
# train's own sides, too.
expect 0 extract_fake photos -o whole.h5
expect 0 train whole.h5 --json whole.json
stderr_has '(20 % of train, by hash of the bytes)'
stderr_lacks 'also in'
is 0 "$(member whole.json equal_images.val_in_train)"
# One image under two labels is on one side and said.
cp photos/low/7_1.pgm photos/high/a7.pgm; cp photos/low/7_1.pgm photos/high/b7.pgm; cp photos/low/8_1.pgm photos/high/a8.pgm
expect 0 extract_fake photos -o drawn.h5 --split val=0.3 --json drawn.json
saw 0
stderr_lacks 'also in'
stderr_has '2 images stand under two labels'
is 2 "$(member drawn.json equal_images.two_labels)"
expect 0 train drawn.h5 -q
stderr_has '2 images stand under two labels'
# Files that are renamed keep their sides, and shards have those of the whole.
expect 0 extract --info drawn.h5; sides=$(grep ^rows stdout)
mv photos/high photos/other; mkdir photos/high
for file in photos/other/*; do mv "$file" "photos/high/renamed_$(basename "$file")"; done; rmdir photos/other
expect 0 extract_fake photos -o drawn.h5 --split val=0.3
expect 0 extract --info drawn.h5; is "$sides" "$(grep ^rows stdout)"
for k in 1 2 3; do expect 0 extract_fake photos -o part$k.h5 --split val=0.3 --shard $k/3; done
expect 0 extract --merge joined.h5 part1.h5 part2.h5 part3.h5
same_cache drawn.h5 joined.h5
expect 0 extract_fake photos -o joined.h5 --split val=0.3
stderr_has 'up to date'

# ---- sides that are given ----

for n in 1 2 3; do picture given/train/x/$n.pgm $n; picture given/train/y/$n.pgm 1$n; picture given/val/x/$n.pgm 2$n; done
cp given/train/x/1.pgm given/val/x/copy.pgm; cp given/train/y/2.pgm given/val/x/wrong.pgm; cp given/val/x/2.pgm given/val/x/twice.pgm
said='2 images of val are also in train (equal bytes); 1 image stands under two labels'
expect 0 extract_fake given -o given.h5 -q --json given.json
stderr_has "$said"
is 2 "$(member given.json equal_images.val_in_train)"
expect 0 extract_fake given -o given.h5 --json given.json
stderr_has 'up to date'
stderr_has "$said"
is 2 "$(member given.json equal_images.val_in_train)"
expect 0 extract --verify given given.h5
stdout_has "$said"
expect 0 train given.h5 -q --json given.json
stderr_has "$said"
is 2 "$(member given.json equal_images.val_in_train)"
# Folds deal both parts out together, equal images into one fold.
expect 0 train given.h5 -q --folds 2 --epochs 2 --json folds.json
stderr_has 'warning: 1 image stands under two labels'
is 0 "$(member folds.json equal_images.val_in_train)"

# ---- groups ----

mkdir groups
{ echo path,who,kind; for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
  picture groups/$n.pgm 4$n; echo $n.pgm,patient$((n % 5)),$([ $((n % 2)) = 0 ] && echo sick || echo well); done; } > groups/list.csv
expect 0 extract_fake groups/list.csv -o groups.h5 --split val=0.4 --group who
stderr_has 'val 0.4 of train by hash of the group'
stderr_lacks 'target who'
expect 0 extract --info groups.h5
stdout_has 'split_by: group'
expect 0 extract_fake groups/list.csv -o groups.h5 --split val=0.4 --group who
stderr_has 'up to date'
expect 0 extract_fake groups/list.csv -o kept.h5 --group who
expect 0 train kept.h5 --target kind
stderr_has 'by hash of the groups'
expect 2 extract_fake groups/list.csv -o no.h5 --group whom
stderr_has "no column 'whom'"
expect 2 extract_fake photos -o no.h5 --group who
stderr_has '--group is for manifests'

# ---- folders ----

mkdir odd; cp -r given/train odd/TRAIN; cp -r given/val odd/Validation_Set
expect 0 extract_fake odd -o odd.h5
stderr_has 'TRAIN/Validation_Set class folders, 12 images (6 train, 6 val)'
stderr_has 'classes: '
picture odd/spare/x/1.pgm 99
expect 2 extract_fake odd -o other.h5
stderr_has '--split-folders train=TRAIN,val=Validation_Set'
stderr_has '--split-folders none'
absent other.h5
expect 0 extract_fake odd -o other.h5 --split-folders train=TRAIN,val=Validation_Set,test=spare
stderr_has '13 images (6 train, 6 val, 1 test)'
expect 0 extract_fake odd -o classes.h5 --split-folders none
expect 0 extract --verify odd classes.h5 --split-folders none
stdout_has '13 images of odd'
# What are classes of the cache stays classes, without being asked again.
expect 0 extract_fake odd -o classes.h5
stderr_has 'up to date'
stderr_has '--split-folders train=TRAIN,val=Validation_Set would say otherwise'
expect 0 extract --verify odd classes.h5
expect 2 extract --merge m.h5 classes.h5 --split-folders none
expect 2 extract_fake groups/list.csv -o no.h5 --split-folders none
# A number behind a split's name: Kaggle's test1, COCO's val2017. Flat ones are not classes.
for n in 1 2 3 4; do picture kaggle/train/cat.$n.pgm 5$n; picture kaggle/train/dog.$n.pgm 6$n
  picture kaggle/test1/$n.pgm 7$n; picture coco/train2017/a/$n.pgm 5$n; picture coco/val2017/a/$n.pgm 6$n; done
expect 2 extract_fake kaggle -o no.h5
stderr_has '--split-folders train=train,test=test1'
expect 0 extract_fake coco -o coco.h5
stderr_has 'train2017/val2017 class folders, 8 images (4 train, 4 val)'
stderr_has '1 class, so that there is nothing to tell apart: a (8)'
# Names that begin with their classes are no labels, but a hint.
expect 0 extract_fake kaggle/train -o cats.h5
stderr_has "names begin with 2 words, such as 'cat' and 'dog'"
expect 0 extract_fake kaggle/test1 -o numbers.h5
stderr_lacks 'names begin'
# predict has no use for splits, and asks nobody.
expect 0 train classes.h5 -q -o kind.safetensors
expect 0 predict kind.safetensors odd
stdout_has 'odd/spare/x/1.pgm'
stdout_has 'odd/TRAIN/y/3.pgm'

# ---- other files ----

printf '\000\000\000\014JXL ' > given/train/x/picture.jxl; printf 'cut off' > given/val/x/IMG.HEIC; echo text > given/train/y/notes.txt
cp given/train/x/2.pgm given/train/x/scan; sed 's/^P2/P2 /' given/train/x/3.pgm > given/train/x/image.jfif
expect 0 extract_fake given -o given.h5
stderr_has 'pictures left out that extract does not read, or that do not begin as their names say: 1 HEIC, 1 JXL'
stderr_has 'other files, left out: 1 .txt'
stderr_has "by their first bytes, not by their names (torchvision goes by names): 'train/x/image.jfif', 'train/x/scan'"
stderr_has '14 images (8 train, 6 val)'
expect 0 extract_fake given -o given.h5 -q
stderr_has '1 HEIC, 1 JXL'

# ---- mean and standard deviation ----

expect 2 extract given -o no.h5 --mean 127.5 --std .5
stderr_has 'Did you mean 0.5: divided by 255?'
expect 2 extract given -o no.h5 --std 51,102,25.5
stderr_has 'Did you mean 0.2,0.4,0.1: divided by 255?'
for wrong in '--mean -0.1' '--mean 300' '--mean .5,.5,1.01' '--std 0' '--std 1.5'; do
  expect 2 extract given -o no.h5 $wrong
  stderr_has 'scaled to 0..1'
done

# ---- caches go on as they began ----

first_days classes.h5 split_by split_names
expect 0 extract_fake odd -o classes.h5
stderr_has 'up to date'
stderr_has '--split-folders train=TRAIN,val=Validation_Set would say otherwise'
expect 0 extract --verify odd classes.h5
stdout_has '13 images of odd'
expect 0 extract_fake odd -o classes.h5 --split-folders train=TRAIN,val=Validation_Set
stderr_has '12 images (6 train, 6 val)'
saw 0

# Sides by paths stay sides by paths, also when they are drawn again, until the cache is made anew.
first_days drawn.h5 split_by split_names
expect 0 extract_fake photos -o drawn.h5 --split val=0.3
stderr_lacks 'by hash of the bytes'
stderr_has 'of val are also in train'
saw 0
expect 0 extract_fake photos -o drawn.h5 --split val=0.3
stderr_has 'up to date'
stderr_has 'of val are also in train'
first_days whole.h5 split_by split_names
expect 0 train whole.h5
stderr_has 'by hash of the paths'
stderr_has 'of val are also in train'
stderr_has 'extract --force'
expect 0 extract_fake photos -o drawn.h5 --split val=0.3 --force
stderr_lacks 'also in'
done_with
