// What the part for transformers asks of position schemes.

#ifndef ROPEWALK_PYTHON_BINDINGS_PLANS_H_
#define ROPEWALK_PYTHON_BINDINGS_PLANS_H_

#include <nanobind/nanobind.h>

namespace ropewalk::python {

// Adds `build_plans` to the module.
void BindPlans(nanobind::module_& module);

}  // namespace ropewalk::python

#endif  // ROPEWALK_PYTHON_BINDINGS_PLANS_H_
