# Tests of the program as a whole, from outside. Only where it can be run without an emulator.
if(CMAKE_CROSSCOMPILING OR NOT OSSICLE_BOARDS)
  return()
endif()
set(osl_tiny ${CMAKE_BINARY_DIR}/tests/models/tiny.gguf)

add_executable(peak peak.c)
target_link_libraries(peak PRIVATE osl_flags)
set_target_properties(peak PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

# Broken files. Half a minute of it under ASan is what .ci/run does.
add_test(NAME malformed COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/malformed.sh
  $<TARGET_FILE:ossicle> $<TARGET_FILE:peak> ${osl_tiny})
set_tests_properties(malformed PROPERTIES FIXTURES_REQUIRED models LABELS unit TIMEOUT 300)

# What is installed can be used. A sanitizer's library would want its flags in the user's build.
if(NOT OSSICLE_SANITIZE)
  add_test(NAME install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/check.sh
    ${PROJECT_BINARY_DIR} $<TARGET_FILE:make_gguf>)
endif()

# Nothing is allocated after boot, counted inside and seen from outside. Sanitizers allocate.
if(NOT OSSICLE_SANITIZE)
  add_executable(test_no_alloc test_no_alloc.c)
  target_link_libraries(test_no_alloc PRIVATE osl_model osl_flags PkgConfig::CMOCKA)
  set_target_properties(test_no_alloc PROPERTIES RUNTIME_OUTPUT_DIRECTORY
    ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME test_no_alloc COMMAND test_no_alloc ${osl_tiny}
    WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  set_tests_properties(test_no_alloc PROPERTIES FIXTURES_REQUIRED models)
  add_test(NAME strace_answer COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/strace_answer.sh
    $<TARGET_FILE:ossicle> ${osl_tiny})
  set_tests_properties(strace_answer PROPERTIES FIXTURES_REQUIRED models SKIP_RETURN_CODE 77)
endif()

# Log-probabilities: against the float32 reference, and beside llama.cpp where it can be had.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT OSSICLE_SANITIZE)
  set(osl_parity $<TARGET_FILE:ossicle> $<TARGET_FILE:make_gguf> $<TARGET_FILE:reference_score>
    ${CMAKE_BINARY_DIR}/tests/parity)
  add_test(NAME parity_reference COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/parity/score.sh
    ${osl_parity}/reference)
  add_test(NAME parity_llama COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/parity/llama.sh
    ${osl_parity}/llama)
  set_tests_properties(parity_reference parity_llama PROPERTIES TIMEOUT 1200
    SKIP_RETURN_CODE 77)

  # The same on Vulkan, each tier forced: on this machine's first device, and on sid's lavapipe.
  foreach(where host sid)
    add_test(NAME parity_vulkan_${where} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/parity/vulkan.sh
      ${where} $<TARGET_FILE:ossicle> $<TARGET_FILE:make_gguf> $<TARGET_FILE:reference_score>
      ${CMAKE_BINARY_DIR}/tests/parity/reference)
    set_tests_properties(parity_vulkan_${where} PROPERTIES LABELS gpu TIMEOUT 1200
      SKIP_RETURN_CODE 77 ENVIRONMENT PARITY_QUICK=1)
  endforeach()
endif()

# Where there is no Vulkan the CPU does everything; where there is, its validation layer is silent.
foreach(name absent validate)
  add_test(NAME vulkan_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gpu/${name}.sh
    $<TARGET_FILE:ossicle> ${osl_tiny})
  set_tests_properties(vulkan_${name} PROPERTIES LABELS gpu FIXTURES_REQUIRED models
    SKIP_RETURN_CODE 77)
endforeach()

# The shader tests among Debian sid's packages: fp16, cooperative matrix, the newest validation
# layer. Faults and files were tested here.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT OSSICLE_SANITIZE)
  add_test(NAME vulkan_sid COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/gpu/sid.sh
    "ctest --test-dir /mnt/build -L gpu -E 'fault|broken|cache|loader|parity|vulkan_' \
    --output-on-failure --no-tests=error -j 2")
  set_tests_properties(vulkan_sid PROPERTIES LABELS gpu TIMEOUT 1800 SKIP_RETURN_CODE 77 COST 500)
endif()
