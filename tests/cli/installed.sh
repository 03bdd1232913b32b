# What `cmake --install` installs is found by pkg-config and by CMake, from C and from C++: a program
# of ten lines opens a cache and prints its first row. The library exports what its headers declare.
. "$(dirname "$0")/harness.sh"
[ -z "${PF_SANITIZE:-}" ] || skip 'a library with sanitizers needs a program with them'

prefix=$WORK/prefix
expect 0 cmake --install "$BUILD" --prefix "$prefix"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name permafrost.pc)")
export PKG_CONFIG_PATH
libraries=$(pkg-config --variable=libdir permafrost)
flags=$(pkg-config --cflags --libs permafrost)

cat > first_row.c << 'END'
#include <permafrost/feature_cache.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    PfCache *cache;
    PfError err;
    float row[16];
    if (argc != 2 || pf_cache_open(argv[1], &cache, &err) || pf_cache_read_f32(cache, 0, 0, 1, row, 1, &err))
        return 1;
    for (int i = 0; i < 16; i++) printf("%g ", row[i]);
    pf_cache_close(&cache);
}
END
# shellcheck disable=SC2086
expect 0 cc -std=c11 -Wall -Wextra -Werror first_row.c -o by_pkg_config $flags

cat > CMakeLists.txt << 'END'
cmake_minimum_required(VERSION 3.18)
project(first_row LANGUAGES C)
find_package(permafrost 0.1 REQUIRED)
add_executable(by_cmake first_row.c)
target_link_libraries(by_cmake permafrost::permafrost)
END
expect 0 cmake -S . -B built -DCMAKE_PREFIX_PATH="$prefix"
expect 0 cmake --build built

# The same numbers as h5py reads.
expect 0 make_cache known.h5
"$PYTHON" -c 'import h5py' 2> /dev/null || skip 'no h5py'
expect 0 env HDF5_PLUGIN_PATH="$BUILD/lib/hdf5-plugins" "$PYTHON" -c '
import h5py
features = h5py.File("known.h5")["features"]
print("".join("%g " % value for value in features[list(features)[0]][0].astype("f4")), end="")'
cp stdout wanted
export LD_LIBRARY_PATH="$libraries"
for program in ./by_pkg_config built/by_cmake; do
  expect 0 $program known.h5
  cmp -s stdout wanted || failed "another row than HDF5's: $(cat wanted)"
done
expect 1 ./by_pkg_config first_row.c
unset LD_LIBRARY_PATH

# Each header alone, as C++ too.
for header in "$prefix"/include/permafrost/*.h; do
  expect 0 cc -std=c11 -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" "$header"
  expect 0 c++ -x c++ -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" "$header"
done

# Whatever is exported is declared. The other way round, but for the plugin's own entry.
nm -D --defined-only "$libraries/libpermafrost.so" | awk '$2 != "A" { print $3 }' | sort > exported
cat "$prefix"/include/permafrost/*.h | cc -fpreprocessed -dD -E -P - 2> /dev/null |
  grep -o '\bpf_[a-z0-9_]*(' | tr -d '(' | grep -v '^pf_backbone_plugin$' | sort -u > declared
command='exported against declared'
cmp -s exported declared || { diff exported declared > stdout || :; failed 'the library exports other functions than its headers declare'; }
done_with
