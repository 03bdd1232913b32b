# make -f Makefile.data head, with names that make or the shell would take apart.
. "$(dirname "$0")/harness.sh"
unset WEIGHTS BACKBONE DATA OUT DOWNLOADS EXTRACT_FLAGS TRAIN_FLAGS MAKEFLAGS MAKEOVERRIDES 2> /dev/null || :
fake_backbone
pipeline() {
  make -C "$SOURCE" -f Makefile.data -o build BUILD="$BUILD" OUT="$WORK/out" \
    EXTRACT_FLAGS='--resize 20 --crop 16' TRAIN_FLAGS='--epochs 1 --val 0 -q' "$@" head
}
draw() {
  mkdir -p "$1/a" "$1/b"
  for class in a b; do
    for i in 1 2 3; do printf 'P5 24 24 255\n%0576d' "$i" > "$1/$class/$class$i.pgm"; done
  done
}
# made NAME FOLDER: from the images of FOLDER, out/NAME-net.*.
made() {
  draw "$WORK/$2"
  expect 0 pipeline DATA="$WORK/$2" BACKBONE="$WORK/net.pt"
  saw 3; : > images # files of both classes have the same bytes
  exists "out/$1-net.h5"; exists "out/$1-net.safetensors"; exists "out/$1-net.json"
  expect 0 pipeline DATA="$WORK/$2" BACKBONE="$WORK/net.pt"
  saw 0
  stderr_has 'up to date'
}
made plain,folder plain,folder
made two__words 'two  words'
made tab_and__end "tab	and  end"
made front 'above it/front' 
made _front ' front'
made it_s_here "it's here"
made _quoted_ '"quoted"'
made a_b_c__d 'a&b;c>|d'
made _HOME__x '$HOME$(x'
made dollars__ 'dollars$$'
made _touch_oops_ '`touch oops`'
made back_slash 'back\slash'
made p_t__r_q_ 'p*t?[r]q#'
made k_v_w_x_ 'k=v:w%x '
made _dash_ "(dash)"
made Bücher Bücher/
absent oops

# Folders and manifests are named as ever; ~/ is the home folder.
HOME=$WORK/at; export HOME
draw 'at/home photos'
expect 0 pipeline DATA='~/home photos' BACKBONE="$WORK/net.pt"
exists out/home_photos-net.h5
draw listed
printf 'path,class\na/a1.pgm,a\na/a2.pgm,a\nb/b1.pgm,b\nb/b2.pgm,b\n' > 'listed/a list.csv'
expect 0 pipeline DATA="$WORK/listed/a list.csv" BACKBONE="$WORK/net.pt"
exists out/a_list-net.h5

# Networks and weights; what the programs say of them shows that they arrive whole.
cp net.pt "my net's.v2.pt"
expect 0 pipeline DATA="$WORK/listed" BACKBONE="$WORK/my net's.v2.pt"
exists out/listed-my_net_s.v2.h5
expect 2 pipeline DATA="$WORK/listed" BACKBONE=resnet18 WEIGHTS="$WORK/no  such (\$w)'s.pth"
stderr_has "no  such (\$w)'s.pth"
# Options keep their quotes.
expect 0 pipeline DATA="$WORK/listed" BACKBONE="$WORK/net.pt" TRAIN_FLAGS="--epochs 1 --val 0 --csv '$WORK/of  each.csv'"
exists 'of  each.csv'
# A recipe hands them on.
mkdir archives; : > archives/hymenoptera_data.zip
expect 0 make -n -C "$SOURCE" -f Makefile.data BUILD="$BUILD" OUT="$WORK/recipe" DOWNLOADS="$WORK/archives" \
  BACKBONE='a  net ($x).pt' WEIGHTS='a  file ($x).pth' hymenoptera
stdout_has "--backbone 'a  net (\$x).pt'"
stdout_has "--weights 'a  file (\$x).pth'"
stdout_has 'recipe/hymenoptera-a__net___x_.h5'
expect 0 env WEIGHTS='a  file ($x).pth' make -n -C "$SOURCE" -f Makefile.data BUILD="$BUILD" OUT="$WORK/recipe" \
  DOWNLOADS="$WORK/archives" hymenoptera
stdout_has "--weights 'a  file (\$x).pth'"
# Weights that no rule fetches are fetched by extract, unless others are named.
planned() {
  expect 0 make -n -C "$SOURCE" -f Makefile.data BUILD="$BUILD" OUT="$WORK/recipe" DOWNLOADS="$WORK/archives" "$@" hymenoptera
}
planned BACKBONE=resnet50; stdout_has '--fetch'
planned BACKBONE=resnet50 WEIGHTS=random:0; stdout_lacks '--fetch'
planned BACKBONE=vgg16; stdout_lacks '--fetch'; stdout_has "--weights $WORK/archives/vgg16-"
expect 2 pipeline DATA="$WORK/no such 'photos'" BACKBONE="$WORK/net.pt"
stderr_has "no such 'photos'"

# What make cannot do.
for name in 'my out' 'a$b' "a'b" 'a"b' 'a:b' 'a#b' 'a(b)' 'a\b' 'a&b' 'a '; do
  expect 2 pipeline DATA="$WORK/listed" BACKBONE="$WORK/net.pt" OUT="$name"
  stderr_has 'OUT: make cannot have white space'
  stderr_has "this one is '$name'"
  expect 2 pipeline DATA="$WORK/listed" DOWNLOADS="$name"
  stderr_has 'DOWNLOADS: make cannot'
done
stderr_has "ln -s 'a '"
expect 2 pipeline DATA='two
lines'
stderr_has 'DATA: a name with a line break'
done_with
