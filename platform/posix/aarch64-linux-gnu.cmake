# Cross build for 64-bit ARM Linux on a Debian or Ubuntu machine of another architecture.
# Compiler: gcc-aarch64-linux-gnu. Libraries: those under OSL_ARM64_ROOT, a folder that
# tests/aarch64_sysroot.sh makes; or, without it, the arm64 packages of the same release (dpkg
# --add-architecture arm64), which multiarch keeps in folders named after the architecture.
# Tests run under qemu-user-static.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

set(OSL_ARM64_ROOT "" CACHE PATH "Folder with the arm64 libraries; empty: multiarch")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES OSL_ARM64_ROOT)

# Programs are this machine's; libraries only the other's.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_IGNORE_PATH /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu)
if(OSL_ARM64_ROOT)
  set(CMAKE_SYSROOT ${OSL_ARM64_ROOT})
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
  set(OSL_ARM64_LOADER ${OSL_ARM64_ROOT})
  set(ENV{PKG_CONFIG_SYSROOT_DIR} ${OSL_ARM64_ROOT})
else()
  # Headers of multiarch packages are shared or lie in the architecture's own folder, so both
  # places are right. The C library of the cross compiler lies outside the usual places.
  set(CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu /)
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY BOTH)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE BOTH)
  set(CMAKE_SYSTEM_LIBRARY_PATH /usr/lib/aarch64-linux-gnu)
  set(OSL_ARM64_LOADER /usr/aarch64-linux-gnu)
endif()

# pkg-config must not see the build machine's own libraries.
set(ENV{PKG_CONFIG_LIBDIR}
  "${OSL_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${OSL_ARM64_ROOT}/usr/share/pkgconfig")
set(ENV{PKG_CONFIG_PATH} "")

find_program(OSL_QEMU_AARCH64 NAMES qemu-aarch64-static qemu-aarch64)
if(OSL_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${OSL_QEMU_AARCH64} -L ${OSL_ARM64_LOADER})
endif()
