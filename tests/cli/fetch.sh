# Weights from the net, as a real server on this machine has them: hf:ORG/NAME, --fetch, and where files land.
. "$(dirname "$0")/harness.sh"
fake_backbone
export HOME="$WORK/home" && unset CURL_CA_BUNDLE SSL_CERT_FILE NO_PROXY no_proxy HF_HUB_OFFLINE HF_TOKEN_PATH HF_HUB_DOWNLOAD_TIMEOUT TORCH_HOME XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HF_TOKEN HF_ENDPOINT http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY
mkdir -p home photos/a photos/b hub/org/resnet18_w16 hub/mirror
for i in 1 2; do for class in a b; do printf 'P5 24 24 255\n%0576d' "$i" > photos/$class/$class$i.pgm; done; done
cp "$WEIGHTS" hub/org/resnet18_w16/model.safetensors
echo '{"architecture": "resnet18_w16"}' > hub/org/resnet18_w16/config.json
size=$(stat -c %s "$WEIGHTS")
sha256=$(sha256sum < "$WEIGHTS" | cut -c1-64)
commit=c0ffee0000000000000000000000000000000000
: > log
serve fetch_server.py hub address
address=$(cat address)
name=hf:org/resnet18_w16
folder=home/.cache/huggingface/hub/models--org--resnet18_w16
file=$folder/snapshots/$commit/model.safetensors
part=$folder/blobs/$sha256.incomplete
# fetch CODE MODE [NAME...]: from the server that behaves so, into an empty cache.
fetch() {
  rm -rf home/.cache; : > log
  again "$@"
}
again() {
  wanted_code=$1 mode=$2; shift 2
  expect "$wanted_code" env HF_ENDPOINT="$address/$mode" PF_TORCH_HUB_MIRROR="$address/$mode/mirror" extract --fetch "${@:-$name}"
}
whole() { cmp -s "$WEIGHTS" "$file" || failed "'$file' is not the file that the server has"; checks=$((checks + 1)); absent "$part"; }
log_has() { checks=$((checks + 1)); grep -q -- "$1" log || { cat log; failed "the server has seen nothing like '$1'"; }; }
log_lacks() { checks=$((checks + 1)); ! grep -q -- "$1" log || { cat log; failed "the server has seen '$1'"; }; }

# ---- nothing unasked ----

export HF_ENDPOINT="$address/ok"
expect 1 extract photos -o c.h5 --backbone $name
stderr_has "'$name' is not in the cache of the Hugging Face hub"
stderr_has "  extract --fetch $name"
expect 1 extract photos -o c.h5 --backbone resnet18
stderr_has '  extract --fetch resnet18'
[ ! -s log ] || failed 'the server was asked'
absent home/.cache

# ---- where it lands, and how it is found ----

fetch 0 ok
[ "$(cat stdout)" = "$WORK/$file" ] || failed 'another place on stdout'
stderr_has 'its SHA-256 is the one that the hub says'
whole
[ "$(readlink "$file")" = "../../blobs/$sha256" ] || failed "the link leads to $(readlink "$file")"
[ "$(cat $folder/refs/main)" = $commit ] || failed 'another commit in refs/main'
exists "$folder/snapshots/$commit/config.json"
log_lacks token=B
: > log
again 0 ok
stderr_has 'is there'
[ ! -s log ] || failed 'the server was asked again'
for given in "--backbone $name" "--backbone resnet18_w16 --weights $name" "--backbone $name@$commit"; do
  rm -f c.h5
  expect 0 extract photos -o c.h5 $given --resize 32 --crop 32
  stderr_has "/snapshots/$commit/model.safetensors"
done
expect 0 extract photos -o c.h5 --backbone $name --resize 32 --crop 32
stderr_has 'up to date'
expect 0 train c.h5 -q --epochs 1 --val 0 -o m.safetensors
expect 0 predict m.safetensors photos/a/*.pgm -q
expect 0 extract --summary --backbone $name
stdout_has 'layer1.0.conv1'
expect 0 env HOME=/nowhere HF_HUB_CACHE="$WORK/home/.cache/huggingface/hub" extract photos -o d.h5 --backbone $name --dry-run
expect 0 env HOME=/nowhere HF_HOME="$WORK/home/.cache/huggingface" extract photos -o d.h5 --backbone $name --dry-run
rm -rf home/.cache
expect 0 extract photos -o e.h5 --fetch --backbone $name --resize 32 --crop 32
whole
fetch 0 ok $name@v1
[ "$(cat $folder/refs/v1)" = $commit ] || failed 'another commit in refs/v1'
absent $folder/refs/main

# ---- lines that break ----

fetch 0 cut
whole
log_has "range=bytes=$((size / 4 + 1))-"
fetch 0 noranges
whole
log_has "range=bytes=$((size / 2))-"
fetch 0 star # no total in Content-Range
whole
log_has "range=bytes=$((size / 4 + 1))-"
fetch 1 shifted
stderr_has 'other bytes than were asked for'
fetch 0 busy
whole
HF_HUB_DOWNLOAD_TIMEOUT=1 fetch 0 stall
whole
log_has "range=bytes=$((size / 2))-"
fetch 1 wrong
stderr_has "expected $sha256"
absent "$file"; absent "$part"; absent "$folder/refs/main"

# A run that was killed, and a disk that is full, leave a part, which the next one goes on with.
rm -rf home/.cache
HF_ENDPOINT="$address/slower" extract --fetch $name > /dev/null 2>&1 & killed=$!
tries=0
until [ -s "$part" ]; do tries=$((tries + 1)); [ $tries -lt 600 ] || failed 'no part'; sleep 0.05; done
kill -9 $killed
wait $killed 2> /dev/null || :
left=$(stat -c %s "$part")
: > log
again 0 ok
stderr_has 'goes on after'
log_has "range=bytes=$left-"
whole
rm -rf home/.cache
expect 1 env HF_ENDPOINT="$address/ok" sh -c "ulimit -f 300; exec extract --fetch $name"
stderr_has 'the same command goes on): File too large'
[ "$(stat -c %s "$part")" -gt 100000 ] || failed 'the part is gone'
absent "$file"
again 0 ok
whole
# A part that is not of the file.
mkdir -p "$folder/blobs" && rm -rf "$folder/snapshots" "$folder/refs" "$folder/blobs/$sha256"
head -c $((size - 5)) /dev/zero > "$part"
again 1 ok
stderr_has "expected $sha256"
again 0 ok
whole

# Two at once.
rm -rf home/.cache
: > log
HF_ENDPOINT="$address/slow" extract --fetch $name > first 2>&1 & one=$!
HF_ENDPOINT="$address/slow" extract --fetch $name > second 2>&1 & two=$!
wait $one || failed "the first: $(cat first)"
wait $two || failed "the second: $(cat second)"
whole
[ "$(grep -c 'GET .*safetensors' log)" = 1 ] || { cat log; failed 'it was fetched twice'; }

# ---- who hears the token ----

export HF_TOKEN=hf_secret
fetch 0 away
whole
log_has 'GET /away/.*safetensors host=127.0.0.1.*token=Bearer hf_secret'
log_has 'GET /cdn/.* host=localhost:.*token=-'
fetch 0 near
log_has 'GET /cdn/.* host=127.0.0.1.*token=Bearer hf_secret'
unset HF_TOKEN
mkdir -p home/.cache/huggingface && echo hf_file > token
HF_TOKEN_PATH=token fetch 0 ok
log_has 'token=Bearer hf_file'
HF_HUB_DISABLE_IMPLICIT_TOKEN=1 HF_TOKEN=hf_secret fetch 0 ok
log_lacks token=B
HF_TOKEN="$(printf 'a\tb')" fetch 1 ok
stderr_has 'characters that no token has'
for mode in file ftp; do
  fetch 1 $mode
  stderr_has 'not https, which is not followed'
done
fetch 1 loop
stderr_has 'sent on more than 10 times'

# ---- what is refused ----

fetch 1 gated
stderr_has "accept it at $address/gated/org/resnet18_w16, then set HF_TOKEN"
HF_TOKEN=hf_secret fetch 1 gated
stderr_has 'the one that was sent has not got the leave'
stderr_lacks hf_secret
fetch 1 secret
stderr_has 'the server refuses it (401)'
HF_TOKEN=x fetch 1 forbidden
stderr_has 'the token that was sent'
fetch 1 gone
stderr_has 'there is no such file (404)'
fetch 1 ok hf:org/none
stderr_has 'has no such repository (401), or it is a private one'
fetch 1 ok $name@v2
stderr_has 'has no such revision (404)'
fetch 1 badcommit
stderr_has 'a commit of 40 hex digits'
fetch 1 evil
stderr_has 'gives no version of the file'
absent elsewhere
HF_HUB_OFFLINE=1 fetch 1 ok
stderr_has 'HF_HUB_OFFLINE is set'
expect 1 env HF_ENDPOINT=ftp://127.0.0.1 extract --fetch $name
stderr_has 'expected an address of https://'
expect 1 env HF_ENDPOINT="http://user:password@127.0.0.1:1" extract --fetch $name
stderr_has 127.0.0.1:1/api/models
stderr_has 'is this machine online?'
stderr_lacks password
for wrong in hf:../x hf:a/b/c hf:a--b/c hf:a/.. hf: hf:a/b@../x hf:a/b@-x 'hf:a/b c' hf:/a hf:a/; do
  expect 2 extract --fetch "$wrong"
  stderr_has 'expected hf:ORG/NAME'
done
expect 2 extract --fetch
expect 2 extract --fetch resnet999
expect 2 extract --fetch --info c.h5
if [ -z "${PF_SANITIZE:-}" ]; then # a sanitizer must be loaded first
  expect 1 env PF_HIDE="$(basename "$(ldconfig -p | sed -n 's/.*=> .*\/\(libcurl.so.4\)$/\1/p;' | head -n 1)")" LD_PRELOAD="$BUILD/tests/hide_library.so" extract --fetch $name
  stderr_has 'apt install libcurl'
fi

# ---- proxies and certificates ----

rm -rf home/.cache
expect 0 env HF_ENDPOINT=http://hub.invalid/ok http_proxy="$address" extract --fetch $name
whole
log_has 'GET http://hub.invalid/ok/.*safetensors'
if command -v openssl > /dev/null; then
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2> /dev/null
  cat key.pem certificate.pem > both.pem
  serve fetch_server.py hub secure both.pem
  rm -rf home/.cache
  expect 1 env HF_ENDPOINT="$(cat secure)/ok" extract --fetch $name
  stderr_has certificate
  expect 0 env HF_ENDPOINT="$(cat secure)/ok" SSL_CERT_FILE=certificate.pem extract --fetch $name
  whole
fi

# ---- shards, ONNX, and a cache that leads elsewhere ----

"$PYTHON" - "$WEIGHTS" << 'END'
import json
import os
import struct
import sys

data = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + size])
header.pop("__metadata__", None)
names, shards = list(header), {}
for i in range(2):
    mine, body = {}, b""
    for name in names[i::2]:
        begin, end = header[name]["data_offsets"]
        mine[name] = {**header[name], "data_offsets": [len(body), len(body) + end - begin]}
        body += data[8 + size + begin:8 + size + end]
        shards[name] = f"model-{i}.safetensors"
    text = json.dumps(mine).encode()
    os.makedirs("hub/org/shards", exist_ok=True)
    open(f"hub/org/shards/model-{i}.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + body)
json.dump({"weight_map": shards}, open("hub/org/shards/model.safetensors.index.json", "w"))
os.makedirs("hub/org/outside")
json.dump({"weight_map": {names[0]: "../../../x"}}, open("hub/org/outside/model.safetensors.index.json", "w"))
END
fetch 0 ok hf:org/shards
expect 0 extract photos -o s.h5 --backbone resnet18_w16 --weights hf:org/shards --resize 32 --crop 32
[ "$(digest_cache s.h5 | grep features/)" = "$(digest_cache e.h5 | grep features/)" ] || failed 'other features by shards'
expect 0 train s.h5 -q --epochs 1 --val 0 -o m.safetensors
expect 0 predict m.safetensors photos/a/*.pgm -q
# What is there but for a part of it is completed; what is whole is not asked for.
asks_nothing() { : > log; again 0 ok "$1"; stderr_has 'is there'; [ ! -s log ] || failed 'the server was asked'; checks=$((checks + 1)); }
asks_nothing hf:org/shards
asks_nothing hf:org/shards@$commit
for repository in hf:org/shards hf:org/shards@$commit; do
  rm home/.cache/huggingface/hub/models--org--shards/snapshots/$commit/model-1.safetensors
  HF_HUB_OFFLINE=1 again 1 ok $repository
  stderr_has 'HF_HUB_OFFLINE is set'
  again 0 ok $repository
  exists home/.cache/huggingface/hub/models--org--shards/snapshots/$commit/model-1.safetensors
done
"$PYTHON" - << 'END'
import os


def part(number, value):
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(value)]) + value


shape = b"".join(part(1, part(1, size)) for size in (1, 3, 8, 8))
image = part(1, "x") + part(2, part(1, part(1, 1) + part(2, shape)))
place = part(13, part(1, "location") + part(2, "model.onnx_data"))
numbers = part(1, 1) + part(2, 1) + part(8, "w") + place + part(14, 1)
graph = part(1, part(1, "x") + part(1, "w") + part(2, "y") + part(4, "Mul")) + part(5, numbers) + part(11, image) + part(12, part(1, "y"))
os.makedirs("hub/org/pair")
with open("hub/org/pair/model.onnx", "wb") as file:
    file.write(part(8, part(2, 13)) + part(7, graph))
with open("hub/org/pair/model.onnx_data", "wb") as file:
    file.write(bytes(4))
END
fetch 0 ok hf:org/pair
asks_nothing hf:org/pair
rm home/.cache/huggingface/hub/models--org--pair/snapshots/$commit/model.onnx_data
again 0 ok hf:org/pair
exists home/.cache/huggingface/hub/models--org--pair/snapshots/$commit/model.onnx_data
asks_nothing hf:org/pair
fetch 1 ok hf:org/outside
stderr_has 'does not name a file beside it'
fetch 0 ok
for text in ../../../../elsewhere "$commit/../x" '' zzz; do
  printf '%s' "$text" > $folder/refs/main
  expect 1 extract photos -o d.h5 --backbone $name
  stderr_has 'expected a commit, of 40 hex digits'
done

mkdir -p hub/org/net/onnx
expect 0 predict resnet18_w16 --weights "$WEIGHTS" --export hub/org/net/onnx/model.onnx
echo '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.25, 0.5], "size": {"height": 96, "width": 96}, "resample": 3}' > hub/org/net/preprocessor_config.json
fetch 0 ok hf:org/net
expect 0 extract photos -o n.h5 --backbone hf:org/net
stderr_has "preprocessor_config.json', beside the weights, says how images are prepared"
stderr_has 'squash to 96x96, bicubic'
expect 0 train n.h5 -q --epochs 1 --val 0 -o m.safetensors
expect 0 predict m.safetensors photos/a/*.pgm -q
expect 2 extract photos -o n2.h5 --backbone resnet18_w16 --weights hf:org/net
stderr_has 'Hint: --backbone hf:org/net'

# ---- torch.hub's cache ----

head -c 3000000 /dev/zero > hub/mirror/resnet18-f37072fd.pth
head -c 3000000 /dev/urandom > hub/mirror/dinov2_vits14_pretrain.pth
fetch 1 ok resnet18
stderr_has 'expected f37072fd...'
absent home/.cache/torch/hub/checkpoints/resnet18-f37072fd.pth
checkpoint=home/.cache/torch/hub/checkpoints/dinov2_vits14_pretrain.pth
fetch 0 cut dinov2_vits14
cmp -s hub/mirror/dinov2_vits14_pretrain.pth $checkpoint || failed 'another file'
stderr_has 'of which no hash is published'
[ "$(ls home/.cache/torch/hub/checkpoints)" = dinov2_vits14_pretrain.pth ] || failed 'more files than one'
again 0 ok dinov2_vits14
stderr_has 'is there'
fetch 1 gone dinov2_vits14
stderr_has '404'
# On a run, by any of a network's names; weights that a repository alone holds come from there.
rm -rf home/.cache
expect 1 env PF_TORCH_HUB_MIRROR="$address/gone/mirror" extract photos -o f.h5 --fetch --backbone facebook/dinov2-small
stderr_has 'dinov2_vits14_pretrain.pth: there is no such file (404)'
done_with
