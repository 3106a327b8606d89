// A picture as a page holds it.

#ifndef ROPEWALK_REPORT_PICTURE_H_
#define ROPEWALK_REPORT_PICTURE_H_

#include <string>
#include <utility>

namespace ropewalk::report {

struct Picture {
  Picture(std::string for_all = {}, std::string for_telephones = {})
      : svg(std::move(for_all)), narrow(std::move(for_telephones)) {}

  bool empty() const { return svg.empty(); }

  std::string svg;
  std::string narrow;  // for screens of 390 px; empty: svg is for all
};

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_PICTURE_H_
