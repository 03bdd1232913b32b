# Files that older programs made (tests/sample/old/) are opened, gone on with, trained on and predicted from.
. "$(dirname "$0")/harness.sh"
fake_backbone
predict --trust net.pt 2> trusted # which caches and models may name from here on
cp -r "$SOURCE/tests/sample/old/." .
# same_file A B WHY
same_file() { checks=$((checks + 1)); cmp -s "$1" "$2" || failed "$3"; }
rows() { digest_cache "$1" | grep 'features/'; }
# same_rows A B: of features alone.
same_rows() { checks=$((checks + 1)); [ "$(rows "$1")" = "$(rows "$2")" ] || failed "'$1' and '$2' hold other features"; }
points() { extract_fake points.csv --tap pixels --target kind "$@"; }

# Caches, shards and a virtual cache: all that there is to know of each, and nothing to be done again.
for cache in points part1 part2 parts maps; do
  expect 0 extract --info $cache.h5
  stdout_has 'kind: 2 classes'
done
stdout_has 'weights_path: random:0'
expect 0 extract --info parts.h5
stdout_has 'virtual     3 rows in part1.h5'
for k in 1 2; do
  cp part$k.h5 kept.h5
  expect 0 points -o part$k.h5 --shard $k/2
  stderr_has 'up to date'
  same_file part$k.h5 kept.h5 "shard $k was changed"
done
expect 0 extract --verify points.csv parts.h5
expect 0 extract --verify points.csv maps.h5
expect 0 extract points.csv -o maps.h5 --backbone resnet18_w16 --weights random:0 --resize 40 --crop 32 \
  --tap layer3,avgpool --target kind --target x
stderr_has 'up to date'
expect 0 points -o fresh.h5
saw 6
expect 0 extract --merge joined.h5 part1.h5 part2.h5
for cache in joined parts; do
  expect 0 predict kind.safetensors points.h5
  expect 0 train $cache.h5 --val 0 -o $cache.safetensors
  expect 0 predict $cache.safetensors $cache.h5
  sort stdout > $cache.csv
done
same_file joined.csv parts.csv 'shards that are joined and the virtual cache train other models'
expect 0 extract --merge --virtual again.h5 part1.h5 part2.h5
expect 0 predict joined.safetensors again.h5

# What a shard, or the cache of before, lacks is computed beside what is there.
cp photos/a/plain.jpg photos/a/more.jpg; printf 'more' >> photos/a/more.jpg
echo photos/a/more.jpg,a,1,2 >> points.csv
expect 0 extract_fake points.csv --tap pixels --target kind --target spot:keypoints=x,y -o points.h5
saw 1
expect 0 points -o fresh.h5
saw 1
sed -i '$d' points.csv; rm photos/a/more.jpg

# A journal: what it holds is not computed again.
expect 0 points -o killed.h5
stderr_has 'resuming: 4 of 6 images'
saw 2
expect 0 points -o whole.h5
same_rows killed.h5 whole.h5

# Models: with a fine-tuned part, and without (those of before --exif are in extract_exif.sh).
for model in warm sgd; do
  expect 0 predict $model.safetensors maps.h5
  same_file stdout $model.csv "$model.safetensors predicts otherwise"
done
expect 0 predict warm.safetensors photos
stderr_has 'applied, as in the model'
# They are where another fine-tuning may begin.
expect 0 train maps.h5 --finetune layer4 --target kind --val 0 --epochs 1 --init warm.safetensors -o more.safetensors

# Checkpoints: the commands of README.md go on, and end with the model of a run that was never killed.
tune() { train maps.h5 --finetune layer4 --val 0 --epochs 6 --batch 2 "$@"; }
warm() { tune --target kind --warm-head "$@"; }
sgd() {
  tune --target kind,x --head mlp:4 --activation gelu --head-norm layer --dropout 0.1 --optimizer sgd --nesterov \
    --schedule step:4,0.5 --warmup 1 --clip 1 --class-weights balanced --sampling balanced --label-smoothing 0.1 \
    --loss x=huber:0.5 --task-weight x=0.5 --lr 0.02 --backbone-lr 0.05 --batch-norm learn --seed 7 "$@"
}
for run in warm sgd; do
  cp $run.safetensors.checkpoint resumed.safetensors.checkpoint
  expect 0 $run -o resumed.safetensors --resume
  stderr_has 'going on after epoch 3'
  absent resumed.safetensors.checkpoint
  expect 0 $run -o uninterrupted.safetensors
  same_head resumed.safetensors uninterrupted.safetensors || failed "$run: a run that is gone on with ends with another model"
  expect 0 predict resumed.safetensors maps.h5
  same_file stdout $run.csv "$run: today's model predicts otherwise"
done
# Of another run they are refused, whatever the setting is called.
refused() { run=$1; shift; expect 4 "$run" "$@" -o "$run.safetensors" --resume; stderr_has 'is of another run'; }
refused warm --optimizer adam
refused warm --schedule cosine
refused warm --sampling balanced
refused sgd --head-norm batch
refused sgd --activation relu
refused sgd --schedule cosine
refused sgd --loss x=mse
for run in warm sgd; do exists $run.safetensors.checkpoint; done
done_with
