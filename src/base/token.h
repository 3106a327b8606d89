// A token id: an index into a model's vocabulary.

#ifndef ROPEWALK_BASE_TOKEN_H_
#define ROPEWALK_BASE_TOKEN_H_

#include <cstdint>

namespace ropewalk {

using Token = int32_t;

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_TOKEN_H_
