#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace ropewalk {
namespace {

std::string Format(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

int64_t TerminalColumns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return size.ws_col;
  }
  return 80;
}

}  // namespace

Progress::Progress(std::string label, const Workload& total_work,
                   std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_work_(total_work),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(Clock::now()),
      last_(start_),
      next_draw_(start_ + std::chrono::seconds(terminal_ ? 1 : 15)) {}

Progress::~Progress() { Clear(); }

void Progress::Clear() {
  if (!drawn_ || !terminal_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void Progress::Add(int64_t count, const Workload& work) {
  done_ += count;
  work_ += work;
  const Clock::time_point now = Clock::now();
  time_.Add(work, std::chrono::duration<double>(now - last_).count());
  last_ = now;
  if (now < next_draw_) return;
  Draw(now);
  next_draw_ = now + (terminal_ ? std::chrono::milliseconds(100)
                                : std::chrono::milliseconds(15000));
}

void Progress::Draw(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string tail = FormatCount(rate) + " " + unit_ + "/s";
  double fraction = 0;
  const std::optional<double> left =
      time_.Of({std::max(0.0, total_work_.steady - work_.steady),
                std::max(0.0, total_work_.growing - work_.growing)});
  if (total_work_.steady + total_work_.growing > 0 && left) {
    fraction = *left > 0 ? seconds / (seconds + *left) : 1;
    tail = Format("%3.0f%%", 100 * fraction) + "  " + tail;
    if (fraction < 1) tail += "  " + FormatDuration(*left) + " left";
  }
  if (!terminal_) {
    std::fprintf(stderr, "%s  %s\n", label_.c_str(), tail.c_str());
    return;
  }
  const int64_t columns = TerminalColumns();
  const int64_t room = columns - static_cast<int64_t>(tail.size()) - 6;
  std::string label = label_.substr(0, static_cast<size_t>(std::max<int64_t>(
                                           8, std::min<int64_t>(room, 44))));
  const int64_t width =
      std::clamp<int64_t>(room - static_cast<int64_t>(label.size()), 0, 40);
  std::string bar;
  const auto filled =
      static_cast<int64_t>(std::lround(fraction * static_cast<double>(width)));
  for (int64_t i = 0; i < width; ++i) bar += i < filled ? '#' : '.';
  std::fprintf(stderr, "\r\033[K%s [%s] %s", label.c_str(), bar.c_str(),
               tail.c_str());
  std::fflush(stderr);
  drawn_ = true;
}

std::string FormatDuration(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(seconds));
  std::array<char, 64> text{};
  if (total < 60) {
    std::snprintf(text.data(), text.size(), "%llds",
                  static_cast<long long>(total));
  } else if (total < 3600) {
    std::snprintf(text.data(), text.size(), "%lldm %02llds",
                  static_cast<long long>(total / 60),
                  static_cast<long long>(total % 60));
  } else {
    std::snprintf(text.data(), text.size(), "%lldh %02lldm",
                  static_cast<long long>(total / 3600),
                  static_cast<long long>(total / 60 % 60));
  }
  return text.data();
}

std::string FormatBytes(int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB",
                                                        "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return Format(unit == 0 ? "%.0f " : "%.1f ", value) + kUnits[unit];
}

std::string FormatCount(double count) {
  static constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (count >= 1000 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  const char* format = count >= 100 ? "%.0f" : count >= 10 ? "%.1f" : "%.2f";
  return Format(unit == 0 && count == std::floor(count) ? "%.0f" : format,
                count) +
         kUnits[unit];
}

}  // namespace ropewalk
