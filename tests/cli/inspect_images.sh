# What pages show of images, and --pixels reads, is decoded as the features' images were: turned or not, truncated or whole,
# over the same background.
. "$(dirname "$0")/harness.sh"
fake_backbone
cp -r "$SOURCE/tests/sample/old/photos" "$SOURCE/tests/sample/old/points.csv" .
cat > pictures.py <<'P'
"""pictures.py FILE...: the sizes of JPEGs; of a page, those of its pictures by row."""
import base64, json, re, sys
def size(data):
    at = 2
    while not (0xc0 <= data[at + 1] <= 0xc2):
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return "%dx%d" % (int.from_bytes(data[at + 7:at + 9], "big"), int.from_bytes(data[at + 5:at + 7], "big"))
for file in sys.argv[1:]:
    with open(file, "rb") as stream:
        data = stream.read()
    found = re.search(rb'id="thumbnails">(.*?)</script>', data, re.S)
    pictures = json.loads(found.group(1)) if found else {}
    for row in sorted(pictures, key=int):
        print(row, size(base64.b64decode(pictures[row])))
    if not found:
        print(size(data))
P
# page CACHE: its page, and the pictures on it; shows ROW SIZE: such a picture of that row is there.
page() { expect 0 inspect "$1" -o page.html --no-map --features; "$PYTHON" pictures.py page.html > pictures; }
shows() { checks=$((checks + 1)); grep -qx "$1 $2" pictures || failed "the picture of row $1 is not $2, but $(cat pictures)"; }

# Points lie in the frame of the image as it was taken, and so does the picture below them.
"$PYTHON" pictures.py photos/a/turned.jpg > size
size=$(cat size) turned=${size#*x}x${size%x*}
[ "$size" != "$turned" ] || failed 'the image is square'
points() { extract_fake points.csv --tap pixels --target kind --target spot:keypoints=x,y "$@"; }
expect 0 points -o ignored.h5 --exif ignore
page ignored.h5
shows 1 "$size"
expect 0 points -o applied.h5 --exif apply
page applied.h5
shows 1 "$turned"
# A cache of before --exif ignores it.
cp "$SOURCE/tests/sample/old/points.h5" before.h5
expect 0 inspect before.h5 -o before.html --no-map --features --images .
"$PYTHON" pictures.py before.html > pictures
shows 1 "$size"
# A model takes its preprocessing along. Pictures without points are smaller.
small() { if [ "${1%x*}" -gt "${1#*x}" ]; then echo 96x35; else echo 35x96; fi; }
expect 0 predict --trust net.pt
for cache in ignored applied; do
  expect 0 train $cache.h5 --target kind --val 0 --epochs 2 -o $cache.safetensors
  expect 0 predict $cache.safetensors photos/a/turned.jpg --report $cache.html
done
"$PYTHON" pictures.py ignored.html > pictures
shows 0 "$(small "$size")"
"$PYTHON" pictures.py applied.html > pictures
shows 0 "$(small "$turned")"

# A file that ends early.
photographs cut 4 2
half=$(find cut/train/boat -type f | sort | head -n 1)
truncate -s $(($(stat -c %s "$half") * 6 / 10)) "$half"
expect 0 extract_fake cut -o cut.h5 --keep-truncated
page cut.h5
checks=$((checks + 1)); [ "$(wc -l < pictures)" -eq 18 ] || failed "$(wc -l < pictures) of 18 images have a picture"
! grep -q 'could not be read' page.html || failed 'the page counts an image as unreadable'
expect 0 inspect cut.h5 --pixels
stdout_lacks 'could not be read'

# Black on transparent ground, over white, is neither blank nor dark.
mkdir logos
"$PYTHON" - <<'P'
import struct, zlib
def png(name, pixel):
    lines = b"".join(b"\0" + b"".join(pixel(x, y) for x in range(64)) for y in range(64))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with open(name, "wb") as stream:
        stream.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 6, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b""))
png("logos/logo.png", lambda x, y: b"\0\0\0" + (b"\xff" if (x // 8 + y // 8) % 3 == 0 else b"\0"))
for n in range(3):
    png(f"logos/other{n}.png", lambda x, y: bytes((x * 4, y * 4, 60 * n, 255)))
P
expect 0 extract_fake logos -o white.h5 --background 255,255,255
expect 0 inspect white.h5 --pixels
stdout_lacks ' dark'
stdout_lacks 'logo.png'
expect 0 extract_fake logos -o dropped.h5
expect 0 inspect dropped.h5 --pixels
stdout_has ' dark'

# As large as extract takes them.
expect 0 inspect white.h5 --pixels --max-pixels 4095
stdout_has '4 images could not be read'
expect 0 inspect white.h5 --pixels --max-pixels 4096
stdout_lacks 'could not be read'
expect 0 inspect white.h5 --no-map --max-pixels 4095 -o page.html
grep -q '4 images could not be read' page.html || failed 'a page has pictures of images that are too large'
expect 2 inspect white.h5 --max-pixels 4095
no_leftovers
done_with
