# --fast-decode: part of what decides the numbers, told with what it does to them, taken along by models.
. "$(dirname "$0")/harness.sh"
fake_backbone
predict --trust net.pt 2> trusted # which models may name from here on
photographs photos 4 2
# The drawn pictures' shorter sides are about 110 pixels: large beside 20, small beside 200.
fast() { extract_fake "$@" --fast-decode; }
expect 0 extract_fake photos -o exact.h5 --tap mean,pixels
expect 0 fast photos -o fast.h5 --tap mean,pixels
stderr_has 'resize 20, centre crop 16, bilinear, fast decode'
stderr_has 'fast decode: 8 of the first 8 images come smaller, '
stderr_has "their features' cosine similarity to exact ones is 0.9"
saw 34 # eight of the 18 twice more, to tell
features() { digest_cache "$1" | grep "$2"; }
checks=$((checks + 1))
[ "$(features fast.h5 features/mean)" != "$(features exact.h5 features/mean)" ] || failed 'nothing was decoded smaller'
expect 0 fast photos -o fast.h5 --tap mean,pixels
stderr_has 'up to date'
expect 0 extract --info fast.h5
stdout_has 'fast_decode'

# Neither cache passes for the other.
expect 4 extract_fake photos -o fast.h5 --tap mean,pixels
stderr_has 'preprocess.fast_decode: the cache has true, asked for nothing'
expect 4 fast photos -o exact.h5 --tap mean,pixels
stderr_has 'preprocess.fast_decode: the cache has nothing, asked for true'
expect 4 extract --merge no.h5 exact.h5 fast.h5
stderr_has 'fast_decode'

# Where nothing is large enough, the features are the exact ones.
whole() { extract "$@" --tap mean,pixels --backbone ./net.pt --resize 200 --crop 180; }
expect 0 whole photos -o a.h5
expect 0 whole photos -o b.h5 --fast-decode
stderr_has 'fast decode: none of the first 18 images is large enough to be decoded smaller'
checks=$((checks + 2))
[ "$(features a.h5 features/)" = "$(features b.h5 features/)" ] || failed 'small images came out otherwise'
expect 2 extract photos -o no.h5 --fast-decode --backbone ./net.pt --resize 0 --crop 16
stderr_has '--resize 0 resizes nothing'

# With views: boxes of the same parts of the pictures, so that features hardly move. Threads and
# batches change nothing.
expect 0 fast photos -o views.h5 --tap mean --views 4
expect 0 fast photos -o other.h5 --tap mean --views 4 --workers 5 --batch 1
same_cache views.h5 other.h5
expect 0 extract_fake photos -o exact_views.h5 --tap mean --views 4

# A model is asked about images as its features were made.
expect 0 fast photos -o fast32.h5 --tap mean,pixels --store f32
expect 0 train fast32.h5 --tap pixels -o fast.safetensors
expect 0 train exact.h5 --tap pixels -o exact.safetensors
expect 0 predict fast.safetensors fast32.h5
cut -d, -f2- stdout > cached
expect 0 predict fast.safetensors photos
cut -d, -f2- stdout > computed
checks=$((checks + 1)); cmp -s cached computed || failed 'predict decodes otherwise than extract did'
expect 4 predict fast.safetensors exact.h5
stderr_has '"fast_decode":true'
expect 4 predict exact.safetensors fast.h5

# Points are in pixels of the file's image, however it was decoded.
{ echo path,x,y; find photos -type f | sort | awk '{ print $0 "," 30 + NR "," 20 + NR }'; } > points.csv
expect 0 extract_fake points.csv -o points.h5 --tap mean --target point:keypoints=x,y
expect 0 fast points.csv -o fast_points.h5 --tap mean --target point:keypoints=x,y
features() { digest_cache "$1" | grep "$2"; }
checks=$((checks + 1))
[ "$(features points.h5 samples/size)" = "$(features fast_points.h5 samples/size)" ] || failed 'the images have other sizes'
done_with
