// The HTTP library's server with bounds: on connections, time and size.

#ifndef ROPEWALK_SERVE_HTTP_SERVER_H_
#define ROPEWALK_SERVE_HTTP_SERVER_H_

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "serve/connection.h"

namespace ropewalk::serve {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;             // 0: any that is free
  int64_t connections = 2048;  // served at once; others wait
  ConnectionLimits limits;
};

class HttpServer : public httplib::Server {
 public:
  explicit HttpServer(const HttpOptions& options);

  // Binds to host and port and returns the port. Throws IoError.
  int Bind();
  // Serves until Stop; returns when no connection is left.
  void Serve();
  // Any thread: takes no more connections, ends those that are idle.
  void Stop();
  bool stopping() const { return stopping_; }

 private:
  bool process_and_close_socket(socket_t socket) override;

  HttpOptions options_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_HTTP_SERVER_H_
