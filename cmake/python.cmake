# The extension of the Python package, python/ropewalk/_engine. `pip install .`
# comes here through pyproject.toml; docs/python.md tells the rest.

find_package(Python 3.10 REQUIRED
  COMPONENTS Interpreter Development.Module ${SKBUILD_SABI_COMPONENT})
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

file(GLOB python_sources CONFIGURE_DEPENDS python/bindings/*.cc)
# STABLE_ABI is for Python 3.12 and later, and ignored before.
nanobind_add_module(ropewalk_python STABLE_ABI NB_STATIC NOMINSIZE NOSTRIP
  ${python_sources})
set_target_properties(ropewalk_python PROPERTIES OUTPUT_NAME _engine
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python)
target_link_libraries(ropewalk_python PRIVATE ropewalk_api ropewalk_evaluate)
# The engine is inside, and none of its names leave: a process may hold other
# copies of it, such as the operators for PyTorch.
target_link_options(ropewalk_python PRIVATE -Wl,--exclude-libs,ALL)
# EXCLUDE_FROM_ALL: `make install` is for the program and the library.
install(TARGETS ropewalk_python LIBRARY DESTINATION ropewalk
  COMPONENT python EXCLUDE_FROM_ALL)
# What editors and type checkers read, drawn from the extension itself.
if(NOT CMAKE_CROSSCOMPILING)
  nanobind_add_stub(ropewalk_python_stub
    MODULE _engine OUTPUT ${PROJECT_BINARY_DIR}/python/_engine.pyi
    PYTHON_PATH ${PROJECT_BINARY_DIR}/python DEPENDS ropewalk_python)
  install(FILES ${PROJECT_BINARY_DIR}/python/_engine.pyi
    DESTINATION ropewalk COMPONENT python EXCLUDE_FROM_ALL)
endif()
# What the operators for PyTorch are built from, so that an installed package
# can build them (python/ropewalk/torch_ops/build.py has the same list).
set(operator_sources ropewalk/torch_ops/source)
install(FILES CMakeLists.txt DESTINATION ${operator_sources}
  COMPONENT python EXCLUDE_FROM_ALL)
install(FILES cmake/torch_ops.cmake DESTINATION ${operator_sources}/cmake
  COMPONENT python EXCLUDE_FROM_ALL)
install(DIRECTORY include/ropewalk DESTINATION ${operator_sources}/include
  COMPONENT python EXCLUDE_FROM_ALL)
install(DIRECTORY src/base src/position src/kernels src/attention
  DESTINATION ${operator_sources}/src COMPONENT python EXCLUDE_FROM_ALL
  PATTERN *_test.cc EXCLUDE)
install(DIRECTORY src/lab/ops DESTINATION ${operator_sources}/src/lab
  COMPONENT python EXCLUDE_FROM_ALL PATTERN *_test.cc EXCLUDE)
