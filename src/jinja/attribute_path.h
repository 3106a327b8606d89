// The attribute that filters such as map, sort and selectattr look at.

#ifndef ROPEWALK_JINJA_ATTRIBUTE_PATH_H_
#define ROPEWALK_JINJA_ATTRIBUTE_PATH_H_

#include <vector>

#include "jinja/rendering.h"
#include "jinja/value.h"

namespace ropewalk::jinja {

// value.a.b for the attribute "a.b"; whole numbers are indices. What is missing
// on the way becomes `otherwise` where that is not null.
Value GetPath(Rendering& rendering, const Value& value, const Value& attribute,
              const Value* otherwise = nullptr);

// What values are sorted by: their attribute if one is given (several with
// commas as a list), in lower case unless case counts.
Value SortKey(Rendering& rendering, const Value& value, const Value* attribute,
              bool case_counts);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_ATTRIBUTE_PATH_H_
