# The operators as a plug-in for a PyTorch that is not Debian's:
# ROPEWALK_TORCH is the folder of the Python package torch, and
# ROPEWALK_TORCH_ABI its _GLIBCXX_USE_CXX11_ABI. `python -m
# ropewalk.torch_ops.build` sets both. CMake files of PyTorch itself are not
# used: those of a CUDA build ask for a CUDA toolkit.

if(NOT EXISTS "${ROPEWALK_TORCH}/include/ATen/ATen.h")
  message(FATAL_ERROR "ROPEWALK_TORCH: no include/ATen/ATen.h in "
                      "'${ROPEWALK_TORCH}'")
endif()
find_package(OpenMP REQUIRED COMPONENTS CXX)

file(GLOB torch_ops_sources CONFIGURE_DEPENDS src/lab/ops/*.cc)
list(FILTER torch_ops_sources EXCLUDE REGEX "_test\\.cc$")
add_library(ropewalk_torch_ops SHARED ${torch_ops_sources})
set_target_properties(ropewalk_torch_ops PROPERTIES
  OUTPUT_NAME ropewalk_torch LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/torch
  CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_include_directories(ropewalk_torch_ops SYSTEM PRIVATE
  ${ROPEWALK_TORCH}/include
  ${ROPEWALK_TORCH}/include/torch/csrc/api/include)
# OpenMP for at::parallel_for, which is a template; its run time is PyTorch's
# own, so it is compiled for and not linked.
target_compile_options(ropewalk_torch_ops PRIVATE ${OpenMP_CXX_FLAGS} -g1)
target_precompile_headers(ropewalk_torch_ops PRIVATE <ATen/ATen.h>
  <torch/csrc/autograd/custom_function.h> <torch/library.h>)
target_link_libraries(ropewalk_torch_ops PRIVATE
  ropewalk_attention_training ropewalk_attention_definition ropewalk_kernels
  ropewalk_position ropewalk_base
  ${ROPEWALK_TORCH}/lib/libtorch.so ${ROPEWALK_TORCH}/lib/libtorch_cpu.so
  ${ROPEWALK_TORCH}/lib/libc10.so)
target_link_options(ropewalk_torch_ops PRIVATE -Wl,--exclude-libs,ALL)
# PyTorch is loaded before the plug-in.
set_target_properties(ropewalk_torch_ops PROPERTIES SKIP_BUILD_RPATH ON)
