# Joins the files of src/serve/page into one document and writes it as C++, as
# HTML or as both:
#
#   cmake -DPAGE=src/serve/page -DCC=page.cc -DHTML=page.html -P embed_page.cmake
#
# In index.html `<!-- style.css -->` stands for a style sheet and
# `<!-- script: a.js -->` for a script.

if(NOT PAGE)
  message(FATAL_ERROR "embed_page.cmake needs -DPAGE=FOLDER")
endif()

file(READ ${PAGE}/index.html document)
string(REGEX MATCHALL "<!-- (script: )?[a-z_]+\\.(css|js) -->" markers
  "${document}")
if(NOT markers)
  message(FATAL_ERROR "${PAGE}/index.html names no files to join")
endif()
foreach(marker IN LISTS markers)
  string(REGEX REPLACE "^<!-- (script: )?| -->$" "" file "${marker}")
  if(NOT EXISTS ${PAGE}/${file})
    message(FATAL_ERROR "${PAGE}/index.html names ${file}, which is not there")
  endif()
  file(READ ${PAGE}/${file} text)
  if(file MATCHES "\\.css$")
    set(tag style)
  else()
    set(tag script)
  endif()
  # Either would end the element early or keep it from ending.
  if(text MATCHES "</${tag}|<!--")
    message(FATAL_ERROR "${PAGE}/${file} contains </${tag} or <!--")
  endif()
  string(REPLACE "${marker}" "<${tag}>\n${text}</${tag}>" document "${document}")
endforeach()

if(HTML)
  file(WRITE ${HTML} "${document}")
endif()

if(CC)
  file(WRITE ${CC}.html "${document}")
  file(READ ${CC}.html bytes HEX)
  file(REMOVE ${CC}.html)
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  # A piece of 24 bytes a line: compilers are slow at very long lines.
  string(REPEAT "\\\\x.." 24 piece)
  string(REGEX REPLACE "(${piece})" "\\1\"\n\"" bytes "${bytes}")
  file(WRITE ${CC}
"// Written by cmake/embed_page.cmake.

#include \"serve/page.h\"

namespace ropewalk::serve {

using namespace std::string_view_literals;

const std::string_view kPage =
\"${bytes}\"sv;

}  // namespace ropewalk::serve
")
endif()
