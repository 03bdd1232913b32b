# Formats beside JPEG and PNG: their libraries are opened when they are needed, and where one is not installed the run
# says which; transparency is dropped or laid over a background; files may be larger than usual.
. "$(dirname "$0")/harness.sh"
fake_backbone
"$PYTHON" -c 'import PIL' 2>/dev/null || skip 'no Pillow'

PYTHONPATH="$SOURCE/tests/parity" "$PYTHON" - <<'P'
import os
import heif_pictures
from PIL import Image
for folder in ("photos/a", "photos/b", "logos/a", "logos/b"):
    os.makedirs(folder)
picture = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
for place, name in enumerate(["a/1.jpg", "a/2.png", "b/3.webp", "b/4.jpg", "b/5.gif", "a/6", "b/7.jfif"]):
    picture.rotate(place).save("photos/" + name, format=["JPEG", "PNG", "WEBP", "WEBP", "GIF", "GIF", "JPEG"][place])
for name, kind in (("a/8.heic", "lossy.heic"), ("b/9.avif", "lossy.avif"), ("b/phone.jpg", "lossy.heic")):
    with open("photos/" + name, "wb") as file:
        file.write(heif_pictures.file(kind)[:-1] + (b"\0" if name == "b/phone.jpg" else heif_pictures.file(kind)[-1:]))
clear = picture.convert("RGBA")
clear.save("logos/a/opaque.png")
clear.putalpha(Image.linear_gradient("L").resize((40, 30)))
clear.save("logos/a/clear.png"), clear.save("logos/b/clear.webp", lossless=True, exact=True)
picture.quantize(8).save("logos/b/moving.gif", transparency=3)
P

# ---- libraries ----

for program in extract train predict; do
  checks=$((checks + 1))
  ! ldd "$BUILD/bin/$program" | grep -E 'lib(webp|avif|heif|tiff|openjp2)' || failed "$program is linked with a library that is rarely needed"
done

expect 0 extract_fake photos -o photos.h5
stderr_has '10 images: 10 new'
stderr_has ' 10 rows, 10 computed'
saw 10
for_libraries() { env LD_PRELOAD="$BUILD/tests/hide_library.so" PF_HIDE="$hidden" extract "$@" --backbone ./net.pt --resize 20 --crop 16; }
if [ -z "${PF_SANITIZE:-}" ]; then # a sanitizer must be loaded first
  hidden=$(strings -a "$BUILD/bin/extract" | grep -E '^lib(webp|webpdemux|avif|heif)\.so\.[0-9]+$' | tr '\n' ' ')
  expect 0 for_libraries photos -o less.h5 --max-bad 100%
  stderr_has 'warning: 2 of 10 images looked at cannot be decoded here: HEIF needs libheif.so.'
  stderr_has 'warning: 1 of 10 images looked at cannot be decoded here: AVIF needs libavif.so.'
  stderr_has 'warning: 2 of 10 images looked at cannot be decoded here: WebP needs libwebp.so.'
  stderr_has 'which is not installed. Hint: apt install libheif'
  stderr_has 'b/4.jpg: WebP needs libwebp.so.'
  stderr_has ' 5 rows, 5 rejected'
  # They are not tried again as long as nothing has changed, and are once the libraries are there.
  expect 0 for_libraries photos -o less.h5 --max-bad 100%
  stderr_has 'up to date'
  expect 0 extract_fake photos -o less.h5
  stderr_has ' 10 rows, 5 computed'
  saw 5
  same_cache photos.h5 less.h5
fi

# ---- transparency ----

drop='3 of 4 images are partly transparent; their transparency is dropped, as torchvision does: --background 255,255,255 lays them over white'
expect 0 extract_fake logos -o dropped.h5 --tap pixels --store f32 --json dropped.json
stderr_has "$drop"
checks=$((checks + 1)); grep -q '"transparent":.*3' dropped.json || failed 'the result does not count them'
over() { extract_fake logos --tap pixels --store f32 "$@"; }
expect 0 over -o white.h5 --background 255,255,255
stderr_has ', laid over 255,255,255'
stderr_has '3 of 4 images are partly transparent: laid over 255,255,255'
stderr_lacks 'is dropped'
expect 0 over -o white.h5 --background 255
stderr_has 'up to date'
expect 0 over -o black.h5 --background 0
rows() { digest_cache "$1" | grep features/; }
checks=$((checks + 3))
[ "$(rows white.h5)" != "$(rows black.h5)" ] || failed 'the colour does not matter'
[ "$(rows white.h5)" != "$(rows dropped.h5)" ] || failed 'white changes nothing'
[ "$(rows black.h5)" != "$(rows dropped.h5)" ] || failed 'black changes nothing'
expect 4 over -o white.h5
stderr_has 'preprocess.background: the cache has [255,255,255], asked for nothing'
expect 4 over -o white.h5 --background 255,0,0
stderr_has 'preprocess.background: the cache has [255,255,255], asked for [255,0,0]'
expect 4 over -o dropped.h5 --background 9
stderr_has 'preprocess.background: the cache has nothing, asked for [9,9,9]'
for wrong in 256 -1 1,2 1,2,3,4 1.5 white; do
  expect 2 over -o no.h5 --background "$wrong"
  stderr_has '--background'
done
absent no.h5

# A model does as its features were made.
expect 0 train white.h5 -q -o white.safetensors
expect 0 train dropped.h5 -q -o dropped.safetensors
expect 0 predict white.safetensors logos --backbone ./net.pt
stderr_has "3 of 4 images are partly transparent: laid over the model's background, as in the model's features"
expect 0 predict dropped.safetensors logos --backbone ./net.pt
stderr_has "3 of 4 images are partly transparent: dropped, as in the model's features"
expect 4 predict white.safetensors dropped.h5
stderr_has '"background":[255,255,255]'

# ---- files larger than usual ----

size=$(wc -c < photos/a/1.jpg)
expect 3 extract_fake photos -o small.h5 --max-bytes $((size - 1)) --max-bad 0
stderr_has "a/1.jpg: is too large: $size bytes, at most $((size - 1)) are read. Hint: --max-bytes $size"
expect 0 extract_fake photos -o small.h5 --max-bytes 1000000
expect 2 extract --info photos.h5 --max-bytes 7
stderr_has '--max-bytes is for extracting'
predict white.safetensors photos/a/1.jpg --backbone ./net.pt --max-bytes 99 > stdout 2> stderr || :
stderr_has 'at most 99 are read'
done_with
