# Archives at addresses: the rows of the same archives on the disk, whatever happens on the way.
. "$(dirname "$0")/harness.sh"
fake_backbone
export HOME="$WORK/home" AWS_EC2_METADATA_DISABLED=true
mkdir home
unset CURL_CA_BUNDLE SSL_CERT_FILE NO_PROXY no_proxy XDG_CACHE_HOME http_proxy https_proxy all_proxy HTTPS_PROXY ALL_PROXY HF_HUB_DOWNLOAD_TIMEOUT
unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3 AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE
: > log
log_has() { checks=$((checks + 1)); grep -q -- "$1" log || { cat log; failed "the server has seen nothing like '$1'"; }; }
log_lacks() { checks=$((checks + 1)); ! grep -q -- "$1" log || { cat log; failed "the server has seen '$1'"; }; }
asked() { checks=$((checks + 1)); [ "$(grep -c -- "$2" log)" -eq "$1" ] || { cat log; failed "the server was asked $(grep -c -- "$2" log) times for '$2', expected $1"; }; }
# fetch CODE ADDRESS...: into a cache that is not there, with an empty log.
fetch() {
  wanted_code=$1; shift
  rm -rf r.h5 r.h5.*; : > log
  expect "$wanted_code" extract_fake "$@" -o r.h5
}
whole() { same_cache one.h5 r.h5; absent r.h5.fetched; absent r.h5.journal; }

photographs photos 4 2
pack() { "$PYTHON" "$SOURCE/tests/tools/pack_archives.py" "$@"; }
mkdir files 'files/a folder'
pack tar photos files/one.tar
cp files/one.tar 'files/a folder/öne +=&é.tar'
pack zip photos files/one.zip
gzip -k < files/one.tar > files/one.tar.gz
pack keys photos files/keys 4 cls
expect 0 extract_fake files/one.tar -o one.h5
expect 0 extract_fake 'files/keys-{000..003}.tar' -o keys.h5
serve object_server.py files address
address=$(cat address)

# ---- as from the disk ----

fetch 0 "$address/ok/one.tar"
whole
stderr_has "$address/ok/one.tar: 1 of 1 archives, "
stderr_has "into 'r.h5.fetched' until they are done with"
asked 2 one.tar
for file in one.zip one.tar.gz; do fetch 0 "$address/ok/$file"; whole; done
fetch 1 "$address/huge/keys-{000..003}.tar"
stderr_has 'the servers say sizes that are more than 9223372036854775807 bytes together'
fetch 0 "$address/ok/keys-{000..003}.tar"
same_cache keys.h5 r.h5
stderr_has 'archives: 4, of '
# What is there is not fetched again.
: > log
expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o r.h5
stderr_has 'up to date, of the same versions of the archives; none was fetched'
asked 0 ' range=-'
saw 0
expect 0 extract --verify "$address/ok/keys-{000..003}.tar" r.h5; stdout_has '18 images of http'
absent home/.cache/permafrost/fetched
# Other options, and other versions, are noticed; what is the same is not computed again.
: > log
expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o r.h5 --split val=0.3; asked 4 ' range=-'; saw 0
expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o r.h5 --json r.json; saw 0
cp files/keys-000.tar saved.tar; sleep 1.1
"$PYTHON" -c 'import io, tarfile
with tarfile.open("files/keys-000.tar", "a") as archive:
    data = b"P5 24 24 255\n" + b"7" * 576
    info = tarfile.TarInfo("new.pgm"); info.size = len(data); archive.addfile(info, io.BytesIO(data))'
expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o r.h5; saw 1
stderr_has '19 images: 1 new, 18 reused'
mv saved.tar files/keys-000.tar
# predict.
expect 0 train one.h5 -o head.safetensors --tap mean --epochs 2
expect 0 predict head.safetensors files/one.tar --backbone ./net.pt; mv stdout disk.csv
expect 0 predict head.safetensors "$address/cut/one.tar" --backbone ./net.pt; cmp stdout disk.csv
expect 0 predict head.safetensors "$address/ok/one.tar" --evaluate --backbone ./net.pt
absent home/.cache/permafrost/fetched

# ---- connections that break, busy servers, servers without ranges ----

fetch 0 "$address/cut/one.tar"
whole
log_has 'range=bytes=[1-9][0-9]*- if-range="'
fetch 0 "$address/dated/one.tar"
whole
log_has 'range=bytes=[1-9][0-9]*- if-range=[A-Z]'
fetch 0 "$address/busy/one.tar"; whole
fetch 0 "$address/noranges/one.tar"; whole
fetch 0 "$address/nothing/one.tar"; whole
fetch 1 "$address/down/one.tar"
stderr_has '/down/one.tar: the server answers 500, InternalError'
asked 4 /down/one.tar
for mode in changed swapped; do
  fetch 1 "$address/$mode/one.tar"
  stderr_has 'has changed on the server since this run began'
  absent r.h5
done
fetch 1 "$address/forbidden/one.tar"; stderr_has 'the server refuses it (403, AccessDenied)'
fetch 1 "$address/ok/none.tar"; stderr_has 'there is no such file (404, NoSuchKey)'
fetch 1 "$address/ok/keys-{000..004}.tar"; stderr_has 'keys-004.tar: there is no such file'
asked 0 'keys-000.tar host=[^ ]* range=-'
echo 'no archive' > files/text.tar; fetch 1 "$address/ok/text.tar"; stderr_has 'begins neither as a .tar nor as a .zip'
: > files/empty.tar; fetch 1 "$address/ok/empty.tar"; stderr_has 'empty (0 bytes)'
head -c 20000 files/one.tar > files/short.tar; fetch 1 "$address/ok/short.tar"; stderr_has 'short.tar'"' is cut short"
fetch 1 http://127.0.0.1:9/one.tar; stderr_has 'is this machine online?'

# ---- killed ----

rm -rf r.h5*; : > log
command='extract of a slow server'
kill_at() { # kill_at SIGNAL ADDRESS: once some of it has come. It ends in two seconds, on a busy machine in ten.
  extract "$2" -o r.h5 --backbone ./net.pt --resize 20 --crop 16 > stdout 2> stderr & pid=$!
  tries=0
  while ! grep -qv 'range=bytes=0-511' log || [ -z "$(find r.h5.fetched -name '*.incomplete' -size +8k 2> /dev/null)" ]; do
    tries=$((tries + 1)); [ $tries -lt 400 ] || failed 'nothing was fetched'
    sleep 0.05
  done
  started=$(date +%s%N)
  kill "-$1" $pid
  code=0; wait $pid || code=$?
  checks=$((checks + 1)); [ $(($(date +%s%N) - started)) -lt 10000000000 ] || failed "it did not end"
}
kill_at TERM "$address/slow/one.tar"; [ $code -eq 143 ] || failed 'expected exit code 143'
exists r.h5.fetched
: > log
kill_at KILL "$address/slow/one.tar"
log_has 'range=bytes=[1-9][0-9]*- '
: > log
expect 0 extract_fake "$address/slow/one.tar" -o r.h5
whole
log_has 'range=bytes=[1-9][0-9]*- '
log_lacks 'slow one.tar host=[^ ]* range=-'
rm -rf r.h5*; : > log
kill_at TERM "$address/stall/one.tar"; [ $code -eq 143 ] || failed 'expected exit code 143'
rm -rf r.h5*
# Of several, those that are whole are not fetched again.
mkdir files/few; cp files/keys-000.tar files/few/0.tar; cp files/one.tar files/few/1.tar
expect 1 extract_fake "$address/{ok/few/0,changed/few/1}.tar" -o r.h5
: > log
expect 0 extract_fake "$address/{ok/few/0,changed/few/1}.tar" -o r.h5
asked 0 '0.tar host=[^ ]* range=-'

# A file is named by the SHA-256 of address, size and version, of which a server chooses the last. One of another size is fetched anew.
rm -rf r.h5*
expect 1 extract_fake "$address/{ok/few/0,swapped/few/1}.tar" -o r.h5
set -- "$(wc -c < files/few/0.tar)" "$(md5sum < files/few/0.tar | cut -c1-32)"
left=r.h5.fetched/$(printf '%s' "$address/ok/few/0.tar $1 $2" | sha256sum | cut -c1-32)
exists "$left"; cmp "$left" files/few/0.tar || failed 'another file is there'
head -c 5000 files/few/0.tar > "$left"
: > log
expect 0 extract_fake "$address/{ok/few/0,swapped/few/1}.tar" -o r.h5
asked 1 '0.tar host=[^ ]* range=-'
absent r.h5.fetched

# ---- whom it is told ----

fetch 1 "$address/login/one.tar"; stderr_has 'the server refuses it (401'
with_login=$(echo "$address" | sed 's|//|//me:secret@|')
fetch 0 "$with_login/login/one.tar?signature=hidden"; whole
stderr_lacks secret; stderr_lacks hidden
! strings -a r.h5 | grep -E 'secret|hidden' || failed 'a secret is in the cache'
expect 0 extract --info r.h5; stdout_lacks secret
expect 0 extract_fake "$address/ok/one.tar" -o dry.h5 --dry-run; stderr_has "which stays in 'dry.h5.fetched'"; absent dry.h5
expect 2 extract r.h5
stderr_has 'nothing is fetched that was not typed'
fetch 0 "$with_login/away/one.tar"; whole
log_has 'ok one.tar host=localhost.* login=-'

# ---- S3 ----

export AWS_ENDPOINT_URL="$address" AWS_REGION=eu-west-1
fetch 1 s3://s3-ok/one.tar
stderr_has 'no keys (AWS_ACCESS_KEY_ID, AWS_PROFILE): requests are not signed'
stderr_has 'the request was not signed'
fetch 0 s3://open/one.tar; whole
export AWS_ACCESS_KEY_ID=AKIDPERMANENT AWS_SECRET_ACCESS_KEY=s3cr/et+of=forty
for mode in ok cut busy noranges; do fetch 0 s3://s3-$mode/one.tar; whole; done
fetch 0 's3://s3-cut/a folder/öne +=&é.tar'; whole
log_has 'path=/s3-cut/a%20folder/%C3%B6ne%20%2B%3D%26%C3%A9.tar'
fetch 0 's3://s3-ok/keys-{000..003}.tar'; same_cache keys.h5 r.h5
! strings -a r.h5 | grep -E 's3cr/et|AKID' || failed 'a key is in the cache'
fetch 1 s3://s3-ok/none.tar; stderr_has 's3://s3-ok/none.tar: there is no such file (404, NoSuchKey)'
fetch 1 s3://s3-region/one.tar; stderr_has 'Hint: AWS_REGION=ap-south-1'
fetch 0 s3://s3-away/one.tar; whole
log_has 'ok one.tar host=localhost.* login=-'
log_has 's3-away one.tar .*login=AWS4-HMAC-SHA256'
rm -rf r.h5*
AWS_SECRET_ACCESS_KEY=wrong; fetch 1 s3://s3-ok/one.tar
stderr_has '(403, SignatureDoesNotMatch)'
AWS_SECRET_ACCESS_KEY=s3cr/et+of=forty AWS_REGION=eu-central-1; fetch 1 s3://s3-ok/one.tar
stderr_has 'AuthorizationHeaderMalformed'
AWS_REGION=eu-west-1 AWS_ACCESS_KEY_ID=; fetch 1 s3://s3-ok/one.tar
stderr_has 'AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not'
AWS_ACCESS_KEY_ID=ASIATEMPORARY AWS_SECRET_ACCESS_KEY=other/secret
fetch 1 s3://s3-ok/one.tar; stderr_has 'InvalidToken'
export AWS_SESSION_TOKEN=se/ss+ion==
fetch 0 s3://s3-cut/one.tar; whole
unset AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_ENDPOINT_URL
mkdir home/.aws
cat > home/.aws/credentials << 'END'
# keys
[default]
aws_access_key_id = AKIDPERMANENT
aws_secret_access_key = wrong
[ temporary ]
aws_access_key_id=ASIATEMPORARY
aws_secret_access_key=other/secret
aws_session_token=se/ss+ion==
END
cat > home/.aws/config << END
[profile temporary]
region = eu-west-1
s3 =
  endpoint_url = http://nested.invalid
endpoint_url = $address
[profile role]
role_arn = arn:aws:iam::1:role/x
END
export AWS_PROFILE=temporary; fetch 0 s3://s3-ok/one.tar; whole
export AWS_PROFILE=role; fetch 1 s3://s3-ok/one.tar; stderr_has "has its keys by role_arn"
export AWS_PROFILE=nobody; fetch 1 s3://s3-ok/one.tar; stderr_has "no AWS profile 'nobody'"
unset AWS_PROFILE
for wrong in s3://b/x.tar s3://bucket s3://bucket/ s3:///x.tar 's3://Buc_ket/x.tar'; do fetch 2 "$wrong"; stderr_has 'expected s3://BUCKET/KEY'; done

# ---- https ----

if command -v openssl > /dev/null; then
  openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 2> /dev/null
  cat key.pem certificate.pem > both.pem
  serve object_server.py files secure both.pem
  fetch 1 "$(cat secure)/ok/one.tar"; stderr_has certificate
  for name in SSL_CERT_FILE CURL_CA_BUNDLE; do
    export $name=certificate.pem; fetch 0 "$(cat secure)/cut/one.tar"; whole; unset $name
  done
fi

# ---- shards: whole archives, each fetched once ----

: > log
for k in 1 2 3; do expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o part$k.h5 --shard $k/3; done
stderr_has 'shard 3 of 3: its own archives only'
asked 4 ' range=-'
[ "$(grep ' range=-' log | sort -u | wc -l)" -eq 4 ] || failed 'an archive was fetched twice'
expect 0 extract --merge merged.h5 part1.h5 part2.h5 part3.h5
expect 0 extract --info merged.h5; stdout_has 'rows        18'
strings -a part3.h5 | grep -q 'keys-002.tar#' || failed 'names lack their archive'
# A folder in each: as one run over all.
for class in boat cat; do mkdir -p "by/$class"; cp photos/train/$class/*.jpg by/$class/; pack tar by/$class files/$class.tar ustar $class/; done
for k in 1 2; do expect 0 extract_fake "$address/ok/{boat,cat}.tar" -o class$k.h5 --shard $k/2; done
stderr_has 'cat (4)'
expect 0 extract --merge classes.h5 class1.h5 class2.h5
expect 0 extract --info classes.h5; stdout_has boat; stdout_has cat
# What --exclude names is looked for in the shard alone.
strings -a class2.h5 | grep -o 'cat\.tar#.*\.jpg' | sort -u > cats
head -n 1 cats > one
expect 0 extract_fake "$address/ok/{boat,cat}.tar" -o less1.h5 --shard 1/2 --exclude one
stderr_has "excluded: 0 of 4 images, by the 1 paths of 'one', of which 1 are not in this shard"
expect 2 extract_fake "$address/ok/{boat,cat}.tar" -o less2.h5 --shard 2/2 --exclude cats
stderr_has "leaves out all 4 images of this shard of '"; stderr_has 'Hint: fewer shards'
expect 2 extract_fake "$address/ok/keys-{000..003}.tar" -o none.h5 --shard 1/5; stderr_has 'there are only 4 archives'
: > log
expect 0 extract_fake "$address/ok/keys-{000..003}.tar" -o any.h5 --shard any/4
asked 4 ' range=-'
expect 0 extract --merge any.h5 any.h5.parts
[ "$(find any.h5.parts -name '*.fetched')" = '' ] || failed 'fetched files are left'

# ---- nothing unasked ----

: > log
printf 'path,label\n%s/ok/one.tar,a\n' "$address" > list.csv
expect 1 extract_fake list.csv -o none.h5
[ ! -s log ] || failed 'the server was asked'
done_with
