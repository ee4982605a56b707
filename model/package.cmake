# What `cmake --install` puts in place: the program, one static library, one header, and the files
# by which pkg-config and cmake find them.
add_library(osl_package STATIC
  $<TARGET_OBJECTS:osl_platform>
  $<TARGET_OBJECTS:osl_shaders>
  $<TARGET_OBJECTS:osl_compute>
  $<TARGET_OBJECTS:osl_model>
)
set_target_properties(osl_package PROPERTIES
  OUTPUT_NAME ossicle EXPORT_NAME ossicle LINKER_LANGUAGE C)
target_include_directories(osl_package INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(osl_package INTERFACE cjson utf8proc mbedcrypto Threads::Threads m
  ${CMAKE_DL_LIBS})

install(TARGETS osl_package EXPORT ossicle-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/model/ossicle.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/README.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(OSL_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ossicle)
install(EXPORT ossicle-targets NAMESPACE ossicle:: DESTINATION ${OSL_CMAKE_DIR})
include(CMakePackageConfigHelpers)
configure_file(${PROJECT_SOURCE_DIR}/model/ossicle-config.cmake.in
  ${PROJECT_BINARY_DIR}/ossicle-config.cmake @ONLY)
# 0.x: a new minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ossicle-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ossicle-config.cmake
  ${PROJECT_BINARY_DIR}/ossicle-config-version.cmake DESTINATION ${OSL_CMAKE_DIR})

# The .pc file finds its prefix from where it lies, so that the folder can be moved.
file(RELATIVE_PATH OSL_PC_TO_PREFIX
  /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/model/ossicle.pc.in ${PROJECT_BINARY_DIR}/ossicle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ossicle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
