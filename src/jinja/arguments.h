// The arguments of a call by the names of its parameters.

#ifndef ROPEWALK_JINJA_ARGUMENTS_H_
#define ROPEWALK_JINJA_ARGUMENTS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace ropewalk::jinja {

class BoundArguments {
 public:
  // An empty name is a parameter that has to be given by its place. The first
  // `required` ones have to be given. Throws Failure, naming `function`.
  BoundArguments(std::string_view function, const Arguments& arguments,
                 std::initializer_list<std::string_view> names,
                 size_t required = 0);

  // Null where it was not given.
  const Value* Find(size_t index) const { return found_[index]; }
  Value Get(size_t index, Value otherwise) const;
  // Throw Failure for values of another kind.
  int64_t Integer(size_t index, int64_t otherwise) const;
  const Text& AsText(size_t index) const;
  // Whether it was given and is no none.
  bool Has(size_t index) const;
  bool IsTrue(size_t index, bool otherwise) const;

 private:
  std::string function_;
  std::vector<const Value*> found_;
};

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_ARGUMENTS_H_
