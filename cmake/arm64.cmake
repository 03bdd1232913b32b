# Toolchain: for arm64, by Debian's cross compiler, on another machine. PF_ARM64_ROOT is a folder of
# arm64's headers and libraries (tests/arm64_root.sh makes one); tests run in qemu.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(PF_ARM64_ROOT ${CMAKE_CURRENT_LIST_DIR}/../out/arm64 CACHE PATH "arm64's headers and libraries")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PF_ARM64_ROOT)
get_filename_component(root ${PF_ARM64_ROOT} ABSOLUTE)
set(CMAKE_SYSROOT ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig:${root}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})

# The program's -L only; qemu has no emulation of seccomp, whose calls fail there.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${root})
