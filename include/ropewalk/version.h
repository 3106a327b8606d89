/* The version of this library. Readable by C.

   This is the one place where the version is written; CMakeLists.txt reads it
   from here.

   Before 1.0 a new minor version may change the C++ interface in ways that
   want a recompilation or an edit; a patch version does neither. The soname
   carries major and minor until then. The C interface (c.h) only grows. */

#ifndef ROPEWALK_VERSION_H_
#define ROPEWALK_VERSION_H_

#define ROPEWALK_VERSION_MAJOR 0
#define ROPEWALK_VERSION_MINOR 1
#define ROPEWALK_VERSION_PATCH 0

/* "0.1.0", of the headers. */
#define ROPEWALK_VERSION                                               \
  ROPEWALK_TEXT_OF_(ROPEWALK_VERSION_MAJOR)                            \
  "." ROPEWALK_TEXT_OF_(ROPEWALK_VERSION_MINOR) "." ROPEWALK_TEXT_OF_( \
      ROPEWALK_VERSION_PATCH)
#define ROPEWALK_TEXT_OF_(number) ROPEWALK_LITERAL_(number)
#define ROPEWALK_LITERAL_(number) #number

#ifdef __cplusplus

#include <ropewalk/export.h>

namespace ropewalk {

/* ROPEWALK_VERSION of the library that runs, which differs from the macro
   where a program was compiled against another one. */
ROPEWALK_EXPORT const char* Version();

}  // namespace ropewalk

#endif

#endif /* ROPEWALK_VERSION_H_ */
