#include "serve/connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ropewalk::serve {
namespace {

thread_local Connection* current = nullptr;

// How often a wait looks whether the server stops.
constexpr std::chrono::milliseconds kLook{100};
// Chunked bodies have sizes and line ends beside their bytes.
constexpr int64_t kBodyOverhead = 64 << 10;

void Describe(const sockaddr_storage& address, std::string& ip, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  port = 0;
  if (address.ss_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    port = ntohs(in.sin_port);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    port = ntohs(in.sin6_port);
  }
  ip = text;
}

}  // namespace

Connection::Connection(socket_t socket, const ConnectionLimits& limits,
                       const std::atomic<bool>& stopping)
    : socket_(socket), limits_(limits), stopping_(stopping) {
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  current = this;
}

Connection::~Connection() { current = nullptr; }

Connection* Connection::Current() { return current; }

// Whether one of `events` comes before `until`. A client that has gone is one.
bool Connection::Poll(short events, Clock::time_point until) const {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - Clock::now());
    pollfd fd{.fd = socket_, .events = events, .revents = 0};
    const int wait = static_cast<int>(
        std::clamp<int64_t>(left.count(), 0, int64_t{kLook.count()}));
    const int ready = poll(&fd, 1, wait);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (left.count() <= 0) return false;
  }
}

bool Connection::AwaitRequest() {
  in_header_ = true;
  line_ends_ = 0;
  header_bytes_ = header_lines_ = body_bytes_ = 0;
  if (begin_ == end_) {
    const auto until = Clock::now() + limits_.idle_time;
    for (;;) {
      if (stopping_) return false;
      if (Poll(POLLIN, std::min(until, Clock::now() + kLook))) break;
      if (Clock::now() >= until) return false;
    }
    if (HasLeft()) return false;
  }
  until_ = Clock::now() + limits_.header_time;
  return true;
}

bool Connection::HasLeft() const {
  char byte = 0;
  const ssize_t got = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) return true;
  return got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
}

bool Connection::is_readable() const {
  return begin_ < end_ || Poll(POLLIN, Clock::now());
}

bool Connection::is_writable() const {
  return !refused_ && !HasLeft() && Poll(POLLOUT, Clock::now());
}

// Answers a breach, since the library would close without a word.
void Connection::Refuse(const char* status, const char* message) {
  if (refused_) return;
  const std::string body =
      std::string(R"({"error":{"message":")") + message +
      R"(","type":"invalid_request_error","param":null,"code":null}})";
  const std::string response =
      std::string("HTTP/1.1 ") + status +
      "\r\nConnection: close\r\nContent-Type: application/json\r\n"
      "Content-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  write(response.data(), response.size());
  refused_ = true;
}

bool Connection::Fill() {
  if (!Poll(POLLIN, until_)) {
    Refuse("408 Request Timeout", "the request took too long to arrive");
    return false;
  }
  const ssize_t got = recv(socket_, buffer_.data(), buffer_.size(), 0);
  if (got <= 0) return false;
  begin_ = 0;
  end_ = static_cast<size_t>(got);
  return true;
}

// Counts what the library takes. False: the request is too large.
bool Connection::Count(const char* bytes, size_t size) {
  for (size_t i = 0; i < size && in_header_; ++i) {
    ++header_bytes_;
    if (bytes[i] == '\n') {
      ++header_lines_;
      if (++line_ends_ == 2) {
        in_header_ = false;
        until_ = Clock::now() + limits_.body_time;
        body_bytes_ -= static_cast<int64_t>(i) + 1;
      }
    } else if (bytes[i] != '\r') {
      line_ends_ = 0;
    }
  }
  if (header_bytes_ > limits_.header_bytes ||
      header_lines_ > limits_.header_lines) {
    Refuse("431 Request Header Fields Too Large",
           "the request has too many or too long header fields");
    return false;
  }
  if (!in_header_) body_bytes_ += static_cast<int64_t>(size);
  if (body_bytes_ > limits_.body_bytes + kBodyOverhead) {
    Refuse("413 Payload Too Large", "the body of the request is too large");
    return false;
  }
  return true;
}

ssize_t Connection::read(char* to, size_t size) {
  if (refused_) return -1;
  if (begin_ == end_ && !Fill()) return -1;
  // A header is counted line by line, so that a body behind it is not.
  const size_t take = in_header_ ? 1 : std::min(size, end_ - begin_);
  std::memcpy(to, buffer_.data() + begin_, take);
  begin_ += take;
  return Count(to, take) ? static_cast<ssize_t>(take) : -1;
}

ssize_t Connection::write(const char* from, size_t size) {
  if (refused_) return -1;
  size_t sent = 0;
  while (sent < size) {
    if (!Poll(POLLOUT, Clock::now() + limits_.write_time)) return -1;
    const ssize_t now =
        send(socket_, from + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (now <= 0) return -1;
    sent += static_cast<size_t>(now);
  }
  return static_cast<ssize_t>(sent);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  Describe(address, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  Describe(address, ip, port);
}

}  // namespace ropewalk::serve
