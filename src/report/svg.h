// An SVG canvas with the few shapes that our plots need.
//
// Colours are CSS classes that set `color`, and shapes use currentColor. That
// works in programs without CSS variables (librsvg, Inkscape) and lets one
// media query make the whole picture dark.

#ifndef ROPEWALK_REPORT_SVG_H_
#define ROPEWALK_REPORT_SVG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::report {

struct Pixel {
  double x = 0;
  double y = 0;
};

struct Box {
  double left, top, right, bottom;
};

// The look of the i-th series. 12 series have 12 colours; colour, marker and
// dashes together distinguish 24, and each of them helps readers who cannot see
// the others.
struct Look {
  int64_t index = 0;
  bool dashed = false;
  bool solid = false;  // whatever the index
};

inline constexpr double kFontPx = 12;

// The text of a coordinate, with at most two decimals; 0 if it is not finite.
std::string Px(double value);

// Escapes text; class names must come from svg.cc. For one thread at a time.
class Canvas {
 public:
  // Begins a document of this size with a title for screen readers.
  Canvas(double width, double height, std::string_view title);

  // `style` is a list of classes of the style sheet in svg.cc.
  void Line(Pixel from, Pixel to, std::string_view style);
  void Rect(const Box& box, std::string_view style);
  void Fill(const Box& box, std::string_view rgb);
  // Many boxes of one colour, as one path.
  void Fill(const std::vector<Box>& boxes, std::string_view rgb);
  void Text(Pixel at, std::string_view text, std::string_view style);

  // The pieces of one line; each piece has at least one point.
  void Path(const std::vector<std::vector<Pixel>>& pieces, const Look& look,
            std::string_view style);

  void Dot(Pixel at, const Look& look, double radius);
  void ArrowUp(Pixel tip, const Look& look);
  void ArrowDown(Pixel tip, const Look& look);

  // All shapes until EndGroup show `tip` under the mouse.
  void BeginGroup(std::string_view tip, std::string_view style = {});
  void EndGroup();

  // The finished document.
  std::string Finish() const;

 private:
  std::string out_;
};

// Cuts a segment to the part inside `box`; returns false if there is no such
// part.
bool ClipSegment(const Box& box, Pixel* from, Pixel* to);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_SVG_H_
