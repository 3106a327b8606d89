# What an installed program has beside it (manual page, completions), and the
# packages of CPack: `make package` writes a .deb and an archive that can be
# unpacked anywhere.

# The program itself writes these three, from its own commands.
set(written ${PROJECT_BINARY_DIR}/written)
set(written_files ${written}/ropewalk.1 ${written}/ropewalk
  ${written}/_ropewalk)
add_custom_command(OUTPUT ${written_files}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${written}
  COMMAND ropewalk completion man > ${written}/ropewalk.1
  COMMAND ropewalk completion bash > ${written}/ropewalk
  COMMAND ropewalk completion zsh > ${written}/_ropewalk
  DEPENDS ropewalk COMMENT "Writing the manual page and completions" VERBATIM)
if(NOT ROPEWALK_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  add_custom_target(written ALL DEPENDS ${written_files})
  install(FILES ${written}/ropewalk.1
    DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
  install(FILES ${written}/ropewalk
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions OPTIONAL)
  install(FILES ${written}/_ropewalk
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions OPTIONAL)
endif()

set(CPACK_GENERATOR "DEB;TGZ")
set(CPACK_PACKAGE_NAME ropewalk)
set(CPACK_PACKAGE_VENDOR "Ropewalk")
set(CPACK_PACKAGE_CONTACT "The Ropewalk developers <ropewalk@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION
  "Runs open models (GGUF files and folders of Hugging Face) on texts many times
 longer than they were trained to read: ReRoPE, Leaky ReRoPE, NTK, YaRN,
 Self-Extend, dual chunk attention and windows, with the quality of each
 measured on your own text.")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
# What the program links, with the versions it was built with.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bible-kjv-text")
include(CPack)
