# The training wing: LibTorch, found here and linked below lab/ alone.

find_package(Torch REQUIRED)
# at::parallel_for is a template that runs serially in sources compiled without
# OpenMP, where LibTorch itself was built with it.
find_package(OpenMP REQUIRED COMPONENTS CXX)
# A LibTorch from elsewhere is found again by the installed program.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

# Headers of LibTorch take 5 to 20 s a file, so one precompiled header serves
# all of lab/.
set(ROPEWALK_LAB_HEADERS
  <ATen/ATen.h>
  <torch/csrc/autograd/custom_function.h>
  <torch/csrc/autograd/grad_mode.h>
  <torch/library.h>)

add_library(ropewalk_lab_headers OBJECT ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
target_link_libraries(ropewalk_lab_headers PUBLIC
  ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
target_precompile_headers(ropewalk_lab_headers PRIVATE ${ROPEWALK_LAB_HEADERS}
  ${ROPEWALK_TEST_HEADERS})
if(ROPEWALK_TESTS)
  target_link_libraries(ropewalk_lab_headers PRIVATE GTest::gmock GTest::gtest)
endif()

# ropewalk_folder for src/lab/<folder>: ropewalk_lab_<folder>, and one test
# program lab_<folder>_test. register*.cc belong to the plug-in alone. EXCLUDE
# is a pattern of paths that are not built.
function(ropewalk_lab_folder folder)
  cmake_parse_arguments(ARG "" "EXCLUDE" "FOLDERS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS src/lab/${folder}/*.cc)
  if(ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${ARG_EXCLUDE}")
  endif()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/register[a-z_]*\\.cc$")
  list(TRANSFORM ARG_FOLDERS PREPEND ropewalk_)
  set(library ropewalk_lab_${folder})
  add_library(${library} STATIC ${sources} ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
  target_include_directories(${library} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${library} PUBLIC
    ${ARG_FOLDERS} ${ARG_LIBRARIES} ${TORCH_LIBRARIES} OpenMP::OpenMP_CXX)
  target_precompile_headers(${library} REUSE_FROM ropewalk_lab_headers)
  # The header was compiled with what GoogleTest defines.
  if(ROPEWALK_TESTS)
    target_compile_options(${library} PRIVATE
      $<TARGET_PROPERTY:GTest::gtest,INTERFACE_COMPILE_OPTIONS>)
    target_compile_definitions(${library} PRIVATE
      $<TARGET_PROPERTY:GTest::gtest,INTERFACE_COMPILE_DEFINITIONS>)
  endif()
  if(ROPEWALK_TESTS AND tests)
    ropewalk_test(lab_${folder}_test SOURCES ${tests} FOLDERS lab_${folder}
      HEADERS ropewalk_lab_headers)
    # Programs are compiled as libraries are, or the header would not fit them.
    set_target_properties(lab_${folder}_test PROPERTIES
      POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(lab_${folder}_test PRIVATE -fPIC)
  endif()
endfunction()

# ropewalk-lab, and the operators as a plug-in for PyTorch.
function(ropewalk_lab_programs)
  add_executable(ropewalk-lab src/lab/main.cc)
  target_link_libraries(ropewalk-lab PRIVATE
    ropewalk_lab_studies ropewalk_lab_train)
  # Whoever loads the plug-in may hold our libraries already (its test does),
  # so none of their symbols leave it.
  add_library(ropewalk_torch SHARED
    src/lab/ops/register.cc src/lab/ops/register_attention.cc)
  target_link_libraries(ropewalk_torch PRIVATE ropewalk_lab_ops)
  target_link_options(ropewalk_torch PRIVATE -Wl,--exclude-libs,ALL)
  set_target_properties(ropewalk_torch PROPERTIES UNITY_BUILD OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  if(TARGET lab_ops_test)
    add_dependencies(lab_ops_test ropewalk_torch)
    set_source_files_properties(src/lab/ops/register_test.cc PROPERTIES
      COMPILE_DEFINITIONS
      ROPEWALK_TORCH_LIBRARY="$<TARGET_FILE:ropewalk_torch>")
    target_link_libraries(lab_ops_test PRIVATE ${CMAKE_DL_LIBS})
  endif()
  include(GNUInstallDirs)
  # `make install` takes what was built; reproduce reads studies/.
  install(TARGETS ropewalk-lab OPTIONAL
    RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/ropewalk)
  install(TARGETS ropewalk_torch OPTIONAL
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY studies DESTINATION ${CMAKE_INSTALL_DATADIR}/ropewalk)
endfunction()
