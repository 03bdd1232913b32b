# What `cmake --install` puts down for people, into a folder with spaces in its name: programs under
# one name, pages, completions, documents, the makefile of pipelines; and that uninstalling takes all
# of it away.
. "$(dirname "$0")/harness.sh"
unset WEIGHTS BACKBONE DATA OUT DOWNLOADS EXTRACT_FLAGS TRAIN_FLAGS MAKEFLAGS MAKEOVERRIDES 2> /dev/null || :
prefix="$WORK/my tools"
expect 0 cmake --install "$BUILD" --prefix "$prefix"
for file in bin/permafrost share/doc/permafrost/LICENSE share/doc/permafrost/README.md \
  share/doc/permafrost/docs/extract.md share/permafrost/pipeline.mk share/zsh/site-functions/_permafrost \
  share/bash-completion/completions/permafrost share/fish/vendor_completions.d/permafrost.fish \
  share/man/man1/permafrost.1; do
  exists "$prefix/$file"
done

# ---- one name for the programs ----
PATH=$prefix/bin:$PATH
expect 0 permafrost --version
stdout_has 'permafrost 0.'
for program in extract train predict inspect; do
  expect 0 permafrost --help
  stdout_has "$program "
  exists "$prefix/bin/$program"
  expect 0 permafrost $program --version
  stdout_has "$program (permafrost) 0."
  expect 0 $program --help
  cp stdout helped
  expect 0 permafrost help $program
  cmp -s stdout helped || failed "permafrost help $program is not $program --help"
  exists "$prefix/share/bash-completion/completions/$program"
done
expect 2 permafrost
stderr_has 'permafrost --help'
expect 2 permafrost traim
stderr_has 'Did you mean train?'
expect 2 permafrost help nothing
expect 2 permafrost --nothing
expect 2 permafrost train --nothing # the program's own words and code
stderr_has 'train: error: unknown option'
# By a link from elsewhere, and alone.
mkdir elsewhere; ln -s "$prefix/bin/permafrost" elsewhere/linked
expect 0 elsewhere/linked train --version
cp "$prefix/bin/permafrost" elsewhere/alone
expect 1 elsewhere/alone train --version
stderr_has "cannot run"
expect 1 elsewhere/alone --makefile

# ---- pages ----
for page in "$prefix"/share/man/man1/*.1; do
  command="the page $page"
  cp "$page" stdout; : > stderr
  [ "$(head -c 3 "$page")" != .so ] || {
    # shellcheck disable=SC2046
    exists "$prefix/share/man/$(cut -d' ' -f2 "$page")"; continue; }
  stdout_has '.SH NAME'; stdout_has '.SH SYNOPSIS'; stdout_has '.SH OPTIONS'
  if command -v mandoc > /dev/null; then
    expect 0 mandoc -T lint -W style "$page"
    stdout_empty; stderr_empty
    expect 0 mandoc -T ascii "$page"
  fi
done
# Every option of --help is in the page, as both come from one table.
for program in extract train predict inspect; do
  expect 0 $program --help
  grep -o '^ *\(-., \)\?--[a-z0-9-]*' stdout | grep -o -- '--.*' | sort -u > helped
  sed -n 's/\\-/-/g; s/.*\\fB\(--[a-z0-9-]*\)\\fR.*/\1/p' "$prefix/share/man/man1/permafrost-$program.1" | sort -u > paged
  command="the page of $program"
  [ "$(wc -l < helped)" -gt 15 ] || failed 'too few options in --help'
  cmp -s helped paged || { diff helped paged > stdout || :; failed 'the page has other options than --help'; }
done

# ---- the pipeline, from any folder, by what is installed ----
fake_backbone
mkdir -p 'my photos/a' 'my photos/b'
for class in a b; do
  for i in 1 2 3; do printf 'P5 24 24 255\n%0576d' "$i" > "my photos/$class/$class$i.pgm"; done
done
expect 0 permafrost --makefile
stdout_has "$prefix/share/permafrost/pipeline.mk"
makefile=$(cat stdout)
head_of() {
  make -f "$makefile" DATA="$1" BACKBONE="$WORK/net.pt" EXTRACT_FLAGS='--resize 20 --crop 16' \
    TRAIN_FLAGS='--epochs 1 --val 0 -q'
}
expect 0 head_of 'my photos'
exists out/my_photos-net.h5; exists out/my_photos-net.safetensors
expect 0 head_of 'my photos'
stdout_empty # make itself has nothing to say
stderr_has 'up to date'
expect 2 make -f "$makefile"
stderr_has 'which images?'

# ---- and away ----
expect 0 cmake -P "$BUILD/uninstall.cmake"
[ -z "$(find "$prefix" ! -type d)" ] || failed "left: $(find "$prefix" ! -type d)"
[ -z "$(find "$prefix" -name 'permafrost*')" ] || failed "left: $(find "$prefix" -name 'permafrost*')"
expect 1 cmake -P "$BUILD/uninstall.cmake"
stderr_has 'nothing is known to be installed'
done_with
