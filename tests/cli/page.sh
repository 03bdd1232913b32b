# Pages: what they hold, and, where there is a Chromium, what a browser makes of them.
. "$(dirname "$0")/harness.sh"
photographs photos 24 8
# Names that would do harm if they were taken for markup, a formula, or words of another direction.
cat=photos/train/cat
set -- "$cat"/*
mv "$1" "$cat/\"><img src=x onerror=document.title=1>.jpg"
mv "$2" "$cat/=1+1, or not.jpg"
mv "$3" "$cat/a$(printf '\nb\342\200\256').jpg"
mv "$4" "$cat/byte$(printf '\377').jpg"
mv "$5" "$cat/</script><script>alert(1)</script>" 2> /dev/null || mv "$5" "$cat/'&amp;<b>.jpg"
# A copy, for the gallery of duplicates.
copied=$(ls photos/train/boat/* | head -n 1)
cp "$copied" photos/train/boat/copy.jpg
expect 0 extract_sample photos -o photos.h5
expect 0 train photos.h5 -o head.safetensors --report train.html --no-thumbnails
stderr_has 'page: train.html'
expect 0 train photos.h5 --sweep lr=1e-3,1e-2,1e-1 --sweep weight-decay=0,0.1 --epochs 5 --report sweep.html
expect 0 train photos.h5 --folds 2 --epochs 2 --report folds.html --no-thumbnails
grep -q 'epoch [0-9]' folds.html || failed 'the page does not say which epoch was kept'
! grep -qE '(val|epoch)[^<]* nan' folds.html || failed 'the page has a val accuracy that is not a number'
expect 0 inspect photos.h5 --model head.safetensors -o page.html --json findings.json --quiet
expect 0 inspect photos.h5 --model head.safetensors -o anonymous.html --anonymous --no-map --quiet
expect 0 predict head.safetensors photos/val --report predicted.html
expect 0 predict head.safetensors --evaluate photos --report evaluated.html
expect 0 train photos.h5 -o rival.safetensors --lr 1e-3 --epochs 2
expect 0 inspect photos.h5 --model head.safetensors --model rival.safetensors -o models.html --json models.json --quiet
expect 0 inspect photos.h5 --model head.safetensors --model rival.safetensors -o models-anonymous.html --json models-anonymous.json --anonymous --no-map --quiet
! grep -q rival models-anonymous.html models-anonymous.json || failed 'an anonymous page or JSON names a model'
expect 0 inspect photos.h5 --model head.safetensors --model rival.safetensors --anonymous --features
stdout_has '  model 2'
stdout_has 'the cache: 97 images'
stdout_lacks rival
stdout_lacks photos
expect 0 predict head.safetensors photos.h5 --report predicted-cache.html
no_leftovers

# Nothing of a name is markup, and an anonymous page has no names at all.
! grep -q '<img src=x' page.html || failed 'a name became markup'
! grep -qF 'or not' anonymous.html || failed 'an anonymous page names an image'
! grep -qF 'photos' anonymous.html || failed 'an anonymous page names the cache'
grep -qF 'or not' page.html || failed 'the page lacks a name'
grep -qF "default-src 'none'" page.html || failed 'no content security policy'
[ "$(grep -c 'data:image' page.html)" -le 1 ] || failed 'pictures outside of the data'

# A page is not written over anything else, nor over an input.
echo text > notes.html
expect 1 inspect photos.h5 -o notes.html
stderr_has 'not a page'
expect 2 inspect photos.h5 -o photos.h5
expect 2 train photos.h5 -o x.safetensors --report x.safetensors

# Images that have moved: a page without pictures that says so; or where they are now.
mv photos elsewhere
expect 0 inspect photos.h5 -o moved.html --features
stderr_has 'no thumbnails'
grep -q 'No thumbnails: ' moved.html || failed 'the page does not say why it has no pictures'
expect 0 inspect photos.h5 -o gone.html --json gone.json --pixels --anonymous
stdout_has 'Pixels: not looked for, as the images are not where they were.'
stdout_lacks photos
stderr_has "pixels: not looked for, as the images are not at '"
stderr_has "/photos': "
! grep -q photos gone.html gone.json || failed 'an anonymous page or JSON says where the images were'
expect 0 inspect photos.h5 -o found.html --features --images elsewhere
! grep -q 'No thumbnails: ' found.html || failed 'no pictures although --images says where they are'
some=elsewhere/val/cat/$(ls elsewhere/val/cat | head -n 1)
cp -p "$some" original
printf changed > "$some"
expect 0 inspect photos.h5 -o changed.html --features --images elsewhere
grep -q '1 images could not be read' changed.html || failed 'a changed image goes unmentioned'
cp -p original "$some"
mv elsewhere photos

# Caches that have little.
expect 0 make_cache few.h5 two
expect 0 inspect few.h5 -o few.html
expect 0 make_cache none.h5 notarget
expect 0 inspect none.h5 -o none.html
expect 0 make_cache one.h5 oneclass val
expect 0 inspect one.h5 -o one.html
expect 0 make_cache more.h5 numbers labels val
expect 0 train more.h5 --target class,size,tags -o more.safetensors --report more.html
expect 0 make_cache three.h5 val test
expect 0 train three.h5 -o three.safetensors --report three.html
grep -qE 'The [0-9]+ val images chose the temperature; the [0-9]+ test images are shown' three.html ||
  failed 'the page does not say that val chose the temperature and test shows it'
grep -qE 'each half of these [0-9]+ images was scaled by that of the other half' train.html ||
  failed 'the page does not say that halves chose the temperature for each other'

expect 0 make_cache unknown.h5 numbers unknown val
expect 0 inspect unknown.h5 -o unknown.html

# A manifest with absolute paths: its images are found.
{ printf 'path,label,age\n'
  for class in boat cat tree; do
    find "$PWD/photos/val/$class" -name '*.jpg' | grep -v '[^a-zA-Z0-9_./-]' | head -n 4 |
      awk -v class=$class '{ print $0 "," class "," NR * 10 }'
  done; } | sed 's/,tree,/,"<i>tree<\/i>\&=1, which no chart has the room to show",/' > listed.csv
expect 0 extract_sample listed.csv -o listed.h5 --target label --target age:regression
expect 0 inspect listed.h5 -o listed.html --features --classes
! grep -q 'No thumbnails: ' listed.html || failed 'images with absolute paths are not found'

# A name that looks like a formula, in front of the path.
mkdir flat && cp photos/val/cat/*.jpg flat/ && mv "$(ls -d flat/* | head -n 1)" 'flat/=1+1.jpg'
printf 'path\n./=1+1.jpg\n' > formula.csv
expect 0 extract_sample flat -o flat.h5 --exclude formula.csv
stderr_has 'excluded: 1 of'

# What the network sees, and what it does not.
printf 'no image' > photos/train/boat/broken.jpg
expect 0 extract_sample photos -o sheet.h5 --contact-sheet sheet.html --max-bad 5
stderr_has 'contact sheet: sheet.html'
expect 0 extract_sample photos -o sheet.h5 --contact-sheet augmented.html --augmented --max-bad 5
expect 1 extract_sample photos -o sheet.h5 --contact-sheet notes.html
rm photos/train/boat/broken.jpg

expect 0 "$PYTHON" "$SOURCE/tests/cli/page_in_browser.py" "$BUILD"
cat stdout
done_with
