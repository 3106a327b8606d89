// The page that the server shows to browsers, whole: one document with its
// styles and scripts, which asks for nothing but the server's own endpoints.
// cmake/embed_page.cmake makes it of the files of page/.

#ifndef ROPEWALK_SERVE_PAGE_H_
#define ROPEWALK_SERVE_PAGE_H_

#include <string_view>

namespace ropewalk::serve {

extern const std::string_view kPage;  // HTML in UTF-8

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_PAGE_H_
