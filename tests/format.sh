# Our C and C++ are as clang-format leaves them (.clang-format, version 14 as in Debian 12).
cd "$(dirname "$0")/.."
command -v clang-format > /dev/null || { echo 'SKIP: clang-format is not installed'; exit 77; }
clang-format --version | grep -q 'version 14' || { echo 'SKIP: another version of clang-format formats otherwise'; exit 77; }
find include common extract train predict inspect tests -name '*.c' -o -name '*.h' -o -name '*.cpp' | sort |
  xargs clang-format --dry-run -Werror
