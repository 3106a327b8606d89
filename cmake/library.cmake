# The library that others link: the folders up to api in one file, static and
# shared, with the headers of include/ropewalk and what find_package and
# pkg-config need. docs/library.md tells how it is used.

set(library_objects)
foreach(folder base position kernels formats tokenizer attention_definition
    attention_serving model engine memory api)
  list(APPEND library_objects $<TARGET_OBJECTS:ropewalk_${folder}>)
endforeach()

function(ropewalk_library kind type export_name)
  set(target ropewalk_${kind})
  add_library(${target} ${type} ${library_objects})
  add_library(ropewalk::${export_name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ropewalk EXPORT_NAME ${export_name} LINKER_LANGUAGE CXX)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(${target} INTERFACE cxx_std_20)
  target_link_libraries(${target} PRIVATE Threads::Threads ZLIB::ZLIB
    PkgConfig::HWY PkgConfig::TOMLPLUSPLUS PkgConfig::ONIGURUMA
    PkgConfig::UTF8PROC)
  install(TARGETS ${target} EXPORT ropewalk_${kind}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ropewalk_${kind} NAMESPACE ropewalk::
    FILE ropewalk-${kind}.cmake DESTINATION ${config_folder})
endfunction()

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/ropewalk)
ropewalk_library(shared SHARED ropewalk)
ropewalk_library(static STATIC ropewalk_static)

# Before 1.0 a minor version may break programs, and the soname says so.
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(soversion 0.${PROJECT_VERSION_MINOR})
  set(compatibility SameMinorVersion)
else()
  set(soversion ${PROJECT_VERSION_MAJOR})
  set(compatibility SameMajorVersion)
endif()
# Templates of the standard library are visible whatever the compiler is told;
# the map keeps theirs inside too.
set(version_map ${PROJECT_SOURCE_DIR}/cmake/exports.map)
target_link_options(ropewalk_shared PRIVATE
  -Wl,--version-script=${version_map})
if(NOT ROPEWALK_SANITIZE)  # a sanitizer's functions come with the program
  target_link_options(ropewalk_shared PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(ropewalk_shared PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${soversion}
  LINK_DEPENDS ${version_map})

install(DIRECTORY include/ropewalk DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN *.h)

include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/ropewalk-config.cmake.in
  ropewalk-config.cmake INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(ropewalk-config-version.cmake
  COMPATIBILITY ${compatibility})
install(FILES ${PROJECT_BINARY_DIR}/ropewalk-config.cmake
  ${PROJECT_BINARY_DIR}/ropewalk-config-version.cmake
  DESTINATION ${config_folder})

# The prefix is found from where the file lies, so that the tree can be moved.
cmake_path(SET pkgconfig_folder NORMALIZE
  ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${pkgconfig_folder} OUTPUT_VARIABLE prefix_from_pkgconfig)
configure_file(cmake/ropewalk.pc.in ropewalk.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ropewalk.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# `cmake --install --strip` leaves archives as they are.
install(CODE "
  if(CMAKE_INSTALL_DO_STRIP)
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/libropewalk.a\"
      COMMAND_ERROR_IS_FATAL ANY)
  endif()")
