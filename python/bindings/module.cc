#include <nanobind/nanobind.h>
#include <ropewalk/error.h>
#include <ropewalk/version.h>

#include <exception>

#include "common.h"
#include "plans.h"

namespace ropewalk::python {
namespace {

// Classes of Python's own kinds, which live as long as the interpreter.
PyObject* format_error = nullptr;
PyObject* memory_limit_error = nullptr;

PyObject* NewError(nb::module_& module, const char* name, PyObject* base,
                   const char* doc) {
  const std::string full = std::string("ropewalk.") + name;
  PyObject* type = PyErr_NewExceptionWithDoc(full.c_str(), doc, base, nullptr);
  if (type == nullptr) throw nb::python_error();
  module.attr(name) = nb::borrow(type);
  return type;
}

void Raise(PyObject* type, const char* message) {
  PyErr_SetObject(type, TextOf(message).ptr());
}

void RaiseFormatError(const FormatError& error) {
  const nb::object raised = nb::borrow(format_error)(TextOf(error.what()));
  raised.attr("offset") = error.offset();
  PyErr_SetObject(format_error, raised.ptr());
}

void Translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const FormatError& error) {
    RaiseFormatError(error);
  } catch (const IoError& error) {
    Raise(PyExc_OSError, error.what());
  } catch (const MemoryLimitError& error) {
    Raise(memory_limit_error, error.what());
  } catch (const std::invalid_argument& error) {
    Raise(PyExc_ValueError, error.what());
  }
}

}  // namespace

void BindErrors(nb::module_& module) {
  format_error = NewError(module, "FormatError", PyExc_ValueError,
                          "A file whose bytes are not what its format allows. "
                          "`offset` is the byte at which that was seen.");
  memory_limit_error =
      NewError(module, "MemoryLimitError", PyExc_MemoryError,
               "Keys and values would pass the memory limit of the model; "
               "nothing was done.");
  nb::register_exception_translator(Translate);
}

}  // namespace ropewalk::python

NB_MODULE(_engine, module) {
  using namespace ropewalk::python;
  module.doc() = "The engine of Ropewalk; use the package ropewalk instead.";
  module.attr("version") = ropewalk::Version();
  BindErrors(module);
  BindTokenizer(module);
  BindModel(module);
  BindMemory(module);
  BindSession(module);
  BindEvaluate(module);
  BindPositions(module);
  BindPlans(module);
}
