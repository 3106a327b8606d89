#include "serve/http_server.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::serve {
namespace {

// A thread a connection, as many as are busy. Threads that find nothing to do
// for a while end.
class ConnectionThreads : public httplib::TaskQueue {
 public:
  explicit ConnectionThreads(int64_t most) : most_(most) {}

  void enqueue(std::function<void()> task) override {
    const std::scoped_lock lock(mutex_);
    tasks_.push_back(std::move(task));
    if (idle_ < static_cast<int64_t>(tasks_.size()) && threads_ < most_) {
      try {
        std::thread([this] { Work(); }).detach();
        ++threads_;
      } catch (const std::system_error&) {
        // The system has no more; those there are take it.
      }
    }
    changed_.notify_one();
  }

  void shutdown() override {
    std::unique_lock lock(mutex_);
    stops_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return threads_ == 0; });
  }

 private:
  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait_for(lock, std::chrono::seconds(5),
                        [&] { return stops_ || !tasks_.empty(); });
      --idle_;
      if (tasks_.empty()) break;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
    --threads_;
    changed_.notify_all();
  }

  const int64_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  int64_t threads_ = 0;
  int64_t idle_ = 0;
  bool stops_ = false;
};

// The requests that one connection may send.
constexpr int kRequestsOfAConnection = 10'000;

// Each connection takes a file descriptor.
void RaiseFileLimit(int64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const auto most = static_cast<rlim_t>(wanted);
  if (limit.rlim_cur >= most) return;
  limit.rlim_cur = std::min(limit.rlim_max, most);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

HttpServer::HttpServer(const HttpOptions& options) : options_(options) {
  RaiseFileLimit(options_.connections + 256);
  new_task_queue = [this] {
    return new ConnectionThreads(options_.connections);
  };
  // Connection counts itself; this is for what the library would answer.
  set_payload_max_length(static_cast<size_t>(options_.limits.body_bytes));
}

int HttpServer::Bind() {
  int port = options_.port;
  errno = 0;
  bool bound = false;
  if (port == 0) {
    port = bind_to_any_port(options_.host);
    bound = port > 0;
  } else {
    bound = bind_to_port(options_.host, port);
  }
  if (!bound) {
    throw IoError("cannot listen on " + Printable(options_.host, 100) + ":" +
                  std::to_string(options_.port) +
                  (errno != 0 ? std::string(": ") + std::strerror(errno)
                              : std::string()) +
                  "; name another --port or --host");
  }
  // The library waits with five connections in the queue of the system.
  ::listen(svr_sock_, 1024);
  return port;
}

void HttpServer::Serve() { listen_after_bind(); }

void HttpServer::Stop() {
  stopping_ = true;
  // The library's own may be called once only, while it listens.
  if (is_running()) stop();
}

bool HttpServer::process_and_close_socket(socket_t socket) {
  {
    Connection connection(socket, options_.limits, stopping_);
    for (int left = kRequestsOfAConnection; left > 0; --left) {
      if (!connection.AwaitRequest()) break;
      bool closed = false;
      const bool answered =
          process_request(connection, left == 1 || stopping_, closed, nullptr);
      if (!answered || closed || connection.closes()) break;
    }
  }
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return true;
}

}  // namespace ropewalk::serve
