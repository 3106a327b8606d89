#include <ropewalk/version.h>

namespace ropewalk {

const char* Version() { return ROPEWALK_VERSION; }

}  // namespace ropewalk
