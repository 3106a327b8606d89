// What the files of the extension share.
//
// ropewalk._engine is the engine as Python sees it: classes and functions with
// plain arguments, which python/ropewalk/*.py turns into the package's
// interface. tokenizer.cc, model.cc, session.cc and memory.cc bind the public
// headers; evaluate.cc and positions.cc bind what those do not have, from
// folders of src/.
//
// Every call that may compute, wait for a pass or read a file releases the GIL,
// and takes it back only to look for Ctrl-C and to call a Python callback. No
// lock of the engine is waited for while the GIL is held.

#ifndef ROPEWALK_PYTHON_COMMON_H_
#define ROPEWALK_PYTHON_COMMON_H_

#include <nanobind/nanobind.h>
#include <ropewalk/session.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::python {

namespace nb = nanobind;

using ReleaseGil = nb::call_guard<nb::gil_scoped_release>;

// Throws the Python error of a pending signal (KeyboardInterrupt). Takes the
// GIL, so the caller must not hold it.
void CheckSignals();

// Throws std::invalid_argument for ids that are no int32 from 0.
std::vector<Token> TokensOf(const std::vector<int64_t>& ids);

// "f32", "f16", "bf16", "q8_0" or "q4_0"; throws std::invalid_argument for
// others.
KvType KvTypeOf(const std::string& name);
std::string NameOf(KvType type);

// Looks for Ctrl-C after each pass and tells `progress` (None: nobody), which
// stops the reading by returning False.
ReadCallback ReadCallbackOf(const nb::object& progress);

// Bytes that may end inside a character, as text.
nb::str TextOf(std::string_view bytes);

void BindErrors(nb::module_& module);
void BindTokenizer(nb::module_& module);
void BindModel(nb::module_& module);
void BindSession(nb::module_& module);
void BindMemory(nb::module_& module);
void BindEvaluate(nb::module_& module);
void BindPositions(nb::module_& module);

}  // namespace ropewalk::python

#endif  // ROPEWALK_PYTHON_COMMON_H_
