# Fuzz targets: fuzz/NAME_fuzz.cc is a libFuzzer program of its own, fuzz/NAME
# below the build folder; its target is fuzz_NAME, and all of them are
# `fuzzers`. docs/reliability.md tells how they are run.

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "ROPEWALK_FUZZ needs clang, which has libFuzzer; got "
                      "${CMAKE_CXX_COMPILER_ID}. `make fuzz` chooses it")
endif()

# Every file counts the edges that an input takes; only the targets get
# libFuzzer's main.
add_compile_options(-fsanitize=fuzzer-no-link)

# NAME links the libraries of `FOLDERS`.
function(ropewalk_fuzz name)
  cmake_parse_arguments(ARG "" "" "FOLDERS" ${ARGN})
  list(TRANSFORM ARG_FOLDERS PREPEND ropewalk_)
  add_executable(fuzz_${name} fuzz/${name}_fuzz.cc)
  target_link_libraries(fuzz_${name} PRIVATE ropewalk_fuzzing ${ARG_FOLDERS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(fuzz_${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  add_dependencies(fuzzers fuzz_${name})
endfunction()

function(ropewalk_fuzz_targets)
  # What targets share: inputs as files, the mutators.
  file(GLOB sources CONFIGURE_DEPENDS fuzz/*.cc)
  list(FILTER sources EXCLUDE REGEX "_fuzz\\.cc$")
  add_library(ropewalk_fuzzing STATIC ${sources})
  target_include_directories(ropewalk_fuzzing PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(ropewalk_fuzzing PUBLIC ropewalk_base ropewalk_formats)
  set_target_properties(ropewalk_fuzzing PROPERTIES UNITY_BUILD OFF)
  add_custom_target(fuzzers)
  ropewalk_fuzz(folder FOLDERS model)
  ropewalk_fuzz(gguf FOLDERS formats)
  ropewalk_fuzz(gguf_model FOLDERS model)
  ropewalk_fuzz(gguf_split FOLDERS formats)
  ropewalk_fuzz(grammar FOLDERS grammar)
  ropewalk_fuzz(memory FOLDERS memory)
  ropewalk_fuzz(rows FOLDERS kernels)
  ropewalk_fuzz(safetensors FOLDERS formats)
  ropewalk_fuzz(scheme FOLDERS position)
  ropewalk_fuzz(serve_request FOLDERS serve)
  ropewalk_fuzz(session FOLDERS engine)
  ropewalk_fuzz(stack_file FOLDERS position)
  ropewalk_fuzz(template FOLDERS engine)
  ropewalk_fuzz(text_file FOLDERS formats report)
  ropewalk_fuzz(tokenizer FOLDERS tokenizer)
  ropewalk_fuzz(tokenizer_files FOLDERS huggingface)
endfunction()
