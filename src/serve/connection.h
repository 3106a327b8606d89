// One connection of a client: its socket with bounds on time and size, which
// the HTTP library does not set.

#ifndef ROPEWALK_SERVE_CONNECTION_H_
#define ROPEWALK_SERVE_CONNECTION_H_

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace ropewalk::serve {

struct ConnectionLimits {
  int64_t header_bytes = 64 << 10;
  int64_t header_lines = 128;
  int64_t body_bytes = int64_t{64} << 20;
  std::chrono::milliseconds header_time{10'000};  // from the first byte
  std::chrono::milliseconds body_time{120'000};
  std::chrono::milliseconds idle_time{30'000};   // between requests
  std::chrono::milliseconds write_time{30'000};  // without a byte taken
};

// Breaches are answered with one response of the connection's own (408, 413 or
// 431), after which it is closed. One thread at a time.
class Connection : public httplib::Stream {
 public:
  Connection(socket_t socket, const ConnectionLimits& limits,
             const std::atomic<bool>& stopping);

  // Waits for the first byte of a request; false if none comes in time, the
  // client has gone or the server stops.
  bool AwaitRequest();

  // Whether the client has closed its side.
  bool HasLeft() const;
  // No further request is read from this connection.
  void CloseAfterResponse() { closes_ = true; }
  bool closes() const { return closes_ || refused_; }

  // The connection that this thread serves; null outside of one.
  static Connection* Current();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

 private:
  using Clock = std::chrono::steady_clock;

  bool Poll(short events, Clock::time_point until) const;
  bool Fill();
  bool Count(const char* bytes, size_t size);
  void Refuse(const char* status, const char* message);

  socket_t socket_;
  const ConnectionLimits& limits_;
  const std::atomic<bool>& stopping_;
  std::array<char, 16 << 10> buffer_;
  size_t begin_ = 0;  // of what was received and not read
  size_t end_ = 0;
  // Of the current request.
  bool in_header_ = true;
  int line_ends_ = 0;  // that just passed, without other characters
  int64_t header_bytes_ = 0;
  int64_t header_lines_ = 0;
  int64_t body_bytes_ = 0;
  Clock::time_point until_;
  bool refused_ = false;
  bool closes_ = false;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_CONNECTION_H_
