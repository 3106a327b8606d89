// What a request is answered with where it cannot be done.

#ifndef ROPEWALK_SERVE_API_ERROR_H_
#define ROPEWALK_SERVE_API_ERROR_H_

#include <stdexcept>
#include <string>
#include <utility>

namespace ropewalk::serve {

// Becomes {"error": {"message", "type", "param", "code"}} with this status.
class ApiError : public std::runtime_error {
 public:
  // `param` is the field of the request that is wrong; empty: none is.
  ApiError(int status, const std::string& message, std::string param = {},
           std::string code = {})
      : std::runtime_error(message),
        status_(status),
        param_(std::move(param)),
        code_(std::move(code)) {}

  int status() const { return status_; }
  const std::string& param() const { return param_; }
  const std::string& code() const { return code_; }

 private:
  int status_;
  std::string param_;
  std::string code_;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_API_ERROR_H_
