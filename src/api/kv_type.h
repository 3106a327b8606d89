// Types of keys and values, as embedders and as the folders below see them.

#ifndef ROPEWALK_API_KV_TYPE_H_
#define ROPEWALK_API_KV_TYPE_H_

#include <ropewalk/session.h>

#include "base/dtype.h"

namespace ropewalk {

// Throws std::invalid_argument for a number that is no KvType.
DType DTypeOf(KvType type);

// Of a type that keys can be stored as.
KvType KvTypeOf(DType type);

}  // namespace ropewalk

#endif  // ROPEWALK_API_KV_TYPE_H_
