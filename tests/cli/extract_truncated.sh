# --keep-truncated: JPEGs that end early are taken and counted; part of what decides the numbers, taken along by models.
. "$(dirname "$0")/harness.sh"
fake_backbone
predict --trust net.pt 2> trusted # which models may name from here on
photographs photos 4 2
cut() { truncate -s "$2" "$1"; }
cp -r photos whole
marker=$(find photos/train/boat -type f | sort | head -n 1)
half=$(find photos/train/cat -type f | sort | head -n 1)
header=$(find photos/train/tree -type f | sort | head -n 1)
cut "$marker" -2
cut "$half" $(($(stat -c %s "$half") * 6 / 10))
cut "$header" 100

# Not asked for, they are rejected, and told apart.
expect 0 extract_fake photos -o strict.h5 --tap mean,pixels
stderr_has "${marker#photos/}: truncated JPEG: all of its "
stderr_has 'rows are there, but not its end marker. Hint: extract --keep-truncated'
stderr_has "${half#photos/}: truncated JPEG: ends after "
stderr_has "${header#photos/}: truncated JPEG: ends before its pixels"
stderr_has ' 15 rows, 3 rejected'
stderr_lacks 'that end early'

keep() { extract_fake "$@" --keep-truncated; }
expect 0 keep photos -o kept.h5 --tap mean,pixels --json kept.json
stderr_has ', truncated files kept'
stderr_has '2 of 17 images are files that end early, taken as far as they go'
stderr_has ' 17 rows, 1 rejected'
stderr_has "${header#photos/}: truncated JPEG: ends before its pixels"
stderr_lacks '--keep-truncated'
checks=$((checks + 1)); grep -q '"truncated":.*2' kept.json || failed 'the result does not count them'
expect 0 keep photos -o kept.h5 --tap mean,pixels
stderr_has 'up to date'
expect 0 keep photos -o other.h5 --tap mean,pixels --workers 5 --batch 1
same_cache kept.h5 other.h5

# Whole images come out as ever, and so does one that lacks its marker alone.
expect 0 extract_fake whole -o a.h5 --tap pixels
expect 0 keep whole -o b.h5 --tap pixels
stderr_lacks 'that end early'
cp "$marker" "whole/${marker#photos/}"
expect 0 keep whole -o c.h5 --tap pixels
stderr_has '1 of 18 images'
rows() { digest_cache "$1" | grep features/; }
checks=$((checks + 2))
[ "$(rows a.h5)" = "$(rows b.h5)" ] || failed 'whole images came out otherwise'
[ "$(rows a.h5)" = "$(rows c.h5)" ] || failed 'a missing end marker changes pixels'

# Neither cache passes for the other.
expect 4 extract_fake photos -o kept.h5 --tap mean,pixels
stderr_has 'preprocess.keep_truncated: the cache has true, asked for nothing'
expect 4 keep photos -o strict.h5 --tap mean,pixels
stderr_has 'preprocess.keep_truncated: the cache has nothing, asked for true'

# A model does as its features were made.
expect 0 keep photos -o kept32.h5 --tap pixels --store f32
expect 0 train kept32.h5 --tap pixels -o kept.safetensors
expect 0 train strict.h5 --tap pixels -o strict.safetensors
expect 0 predict kept.safetensors "$half" "$marker"
stderr_has "2 of 2 images are files that end early, taken as far as they go, as in the model's features"
predict strict.safetensors "$half" "$marker" > stdout 2> stderr || :
stderr_has 'truncated JPEG: ends after '
expect 4 predict kept.safetensors strict.h5
stderr_has '"keep_truncated":true'
done_with
