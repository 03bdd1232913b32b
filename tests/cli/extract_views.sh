# Several views of each image: extracted, kept, drawn by train, left aside by predict.
. "$(dirname "$0")/harness.sh"
fake_backbone
photographs photos 8 3
both() { extract_fake photos --tap mean,grid "$@"; }

expect 0 both -o one.h5
saw 33
expect 0 both -o three.h5 --views 3
saw 99
stderr_has '; 3 views of each image (seed 0)'
stderr_has 'tap mean (3,3) f16: 594 bytes'
stderr_has 'tap grid (3,3,2,2) f16'
expect 0 extract --info three.h5
stdout_has 'views: 3'
stdout_has 'view_seed: 0'
stdout_has 'view_recipe: 1'
expect 0 extract --info one.h5
stdout_lacks 'view_seed'
expect 0 extract --verify photos three.h5
expect 0 both -o dry.h5 --views 3 --dry-run
stderr_has '3 views of each image'
absent dry.h5

# Neither threads nor batches matter; a batch holds all views of an image and no more than it may.
largest() {
  checks=$((checks + 1)); found=$(sort -n images | tail -n 1)
  [ "$found" -eq "$1" ] || failed "a forward pass of $found images, expected $1"
}
for way in '1 7 6' '5 2 3' '3 50 48'; do
  set -- $way
  expect 0 both -o other.h5 --views 3 --workers "$1" --batch "$2" --force
  largest "$3"
  same_cache three.h5 other.h5
done
expect 0 both -o three.h5 --views 3
stderr_has 'up to date'

# They are part of the identity.
expect 4 both -o one.h5 --views 3
stderr_has 'views: the cache has 1, asked for 3'
expect 4 both -o three.h5 --views 3 --view-seed 1
stderr_has 'view_seed: the cache has 0, asked for 1'
expect 4 both -o three.h5
expect 2 both -o no.h5 --view-seed 1
stderr_has '--view-seed goes with --views'
expect 2 both -o no.h5 --views 0
expect 0 both -o seeded.h5 --views 3 --view-seed 1
checks=$((checks + 1))
[ "$(digest_cache seeded.h5 | grep features/mean)" != "$(digest_cache three.h5 | grep features/mean)" ] ||
  failed 'another seed gives the same views'

# A run that broke off goes on; a tap and an image more cost themselves; parts are merged.
expect 1 env FAKE_BACKBONE_FAIL_AT=4 extract photos --tap mean,grid -o broken.h5 --views 3 --batch 9 \
  --backbone ./net.pt --resize 20 --crop 16 --sync-seconds 0
expect 0 both -o broken.h5 --views 3
stderr_has 'resuming: 9 of 33 images'
saw 72
same_cache three.h5 broken.h5
expect 0 extract_fake photos --tap mean -o late.h5 --views 3
expect 0 both -o late.h5 --views 3
saw 99
same_cache three.h5 late.h5
extra=$(find "$SAMPLE/pictures/train/cat" -type f | sort | tail -n 1)
cp "$extra" photos/train/boat/new.jpg; cp "$extra" photos/train/cat/new.jpg
expect 0 both -o late.h5 --views 3
saw 3
expect 0 both -o fresh.h5 --views 3
same_cache fresh.h5 late.h5
rm photos/train/boat/new.jpg photos/train/cat/new.jpg
for part in 1 2; do expect 0 both -o "part$part.h5" --views 3 --shard "$part/2"; done
expect 0 extract --merge merged.h5 part1.h5 part2.h5
same_cache three.h5 merged.h5
expect 4 extract --merge no.h5 one.h5 part1.h5

# Pixels.
expect 0 extract_fake photos --tap input,pixels -o pixels.h5 --views 3
stderr_has 'tap input (3,3,16,16) u8'
saw 99

# train: a view for each row and epoch, unless the centre alone is asked for, which is all that a
# cache without views has. What is not learned from is seen as the centre.
losses() { grep '"train_loss"' "$1"; }
same_losses() { losses "$1" > a.losses; losses "$2" > b.losses; cmp -s a.losses b.losses; }
fit() { train "$@" --tap grid --epochs 20 --batch 8 --lr 0.05; }
expect 0 fit one.h5 -o one.safetensors --json one.json
stderr_lacks 'views'
expect 0 fit three.h5 -o three.safetensors --json three.json
stderr_has "tap 'grid' (3,2,2)"
stderr_has 'views: 3 of each image; every epoch draws one of the first 3'
expect 0 fit three.h5 --views 1 -o centre.safetensors --json centre.json
stderr_has 'views: 3 of each image, of which the centre is used'
checks=$((checks + 6))
grep -q '"views":	3' three.json && grep -q '"views":	1' centre.json || failed 'the result does not say how many'
same_losses one.json centre.json || failed 'the centre is not what a cache without views has'
same_losses one.json three.json && failed 'no views are drawn'
expect 0 fit three.h5 --views 2 --json two.json
same_losses two.json three.json && failed 'a third view is not drawn'
same_losses two.json one.json && failed 'a second view is not drawn'
expect 0 fit three.h5 -o again.safetensors --threads 1 --json again.json
same_losses again.json three.json || failed 'one thread gives other results'
expect 0 train three.h5 --tap grid --optimizer lbfgs --json lbfgs3.json
stderr_has 'of which the centre is used'
expect 0 train one.h5 --tap grid --optimizer lbfgs --json lbfgs1.json
same_losses lbfgs1.json lbfgs3.json || failed 'lbfgs takes more than the centre'
expect 2 fit three.h5 --views 4
stderr_has "--views 4: 'three.h5' holds 3 of each image"
expect 2 train one.h5 --tap grid --sweep views=1,2
expect 0 train three.h5 # the only tap that is no map but for its views

# predict: the centre.
expect 0 predict three.safetensors one.h5
cp stdout predicted
expect 0 predict three.safetensors three.h5
stderr_has "'three.h5' holds 3 views of each image: the centre is used"
checks=$((checks + 1)); cmp stdout predicted || failed 'predictions of the centre differ'

# Fine-tuning from a cut with views.
expect 0 extract_sample photos -o cut3.h5 --tap avgpool,layer3 --views 3
expect 0 extract_sample photos -o cut1.h5 --tap avgpool,layer3
tune() { train "$@" --finetune layer4 --epochs 6 --lr 0.05 --batch 8; }
expect 0 tune cut1.h5 --json cut1.json
expect 0 tune cut3.h5 --json cut3.json -o cut3.safetensors
stderr_has "tap 'layer3' (3)"
expect 0 tune cut3.h5 --json centre.json --views 1
checks=$((checks + 2))
same_losses cut1.json centre.json || failed 'fine-tuned from another centre'
same_losses cut1.json cut3.json && failed 'fine-tuning draws no views'
expect 0 predict cut3.safetensors cut1.h5
cp stdout predicted
expect 0 predict cut3.safetensors cut3.h5
checks=$((checks + 1)); cmp stdout predicted || failed 'fine-tuned predictions of the centre differ'

# Points move with the view.
{ echo path,x,y; find photos/train -type f | sort | awk '{ print $0 "," NR % 16 "," NR % 9 }'; } > points.csv
expect 0 extract_fake points.csv -o points.h5 --tap mean --views 3 --target point:keypoints=x,y
expect 2 train points.h5
stderr_has "the points of target 'point' are known in the first only. Hint: --views 1"
expect 0 train points.h5 --views 1
done_with
